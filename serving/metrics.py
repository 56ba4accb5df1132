"""Figures for Prometheus: requests, latencies, answers, model and views; over all workers of one server."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from serving.answers import Answer
from serving.service import Readiness

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The client's own variable: workers write their figures into files in this folder, and any of them adds them up."""
BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Upper bounds of the latency classes, seconds; an answer from the views takes less than a millisecond."""


def share_figures(folder: Path) -> None:
    """Let the workers that this process starts from now on count together, from zero."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[SHARED_FOLDER] = str(folder)


class Metrics:
    """The figures of one worker."""

    def __init__(self) -> None:
        self._own = CollectorRegistry()
        labels = ("route", "method", "status")
        self._requests = Counter("kol_requests", "Requests.", labels, registry=self._own)
        self._seconds = Histogram(
            "kol_request_seconds", "Time to answer.", ("route",), buckets=BUCKETS, registry=self._own
        )
        self._answers = Counter("kol_answers", "Answers by layer.", ("source", "stale"), registry=self._own)
        self._by_request: dict[tuple[str, str, int], Counter] = {}
        self._by_route: dict[str, Histogram] = {}

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request; looking up a labelled figure costs more than counting, so those are kept."""
        key = route, method, status
        if key not in self._by_request:
            self._by_request[key] = self._requests.labels(route, method, str(status))
            self._by_route.setdefault(route, self._seconds.labels(route))
        self._by_request[key].inc()
        self._by_route[route].observe(seconds)

    def count_answer(self, answer: Answer) -> None:
        """Count one answer by layer and freshness."""
        self._answers.labels(answer.prediction_source, str(answer.stale).lower()).inc()

    def text(self, readiness: Readiness) -> bytes:
        """Return all figures as Prometheus reads them."""
        registry = CollectorRegistry()
        registry.register(_State(readiness))
        if SHARED_FOLDER not in os.environ:
            return generate_latest(self._own) + generate_latest(registry)
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the package's own gap
        return generate_latest(registry)


class _State(Collector):
    """What is true at this moment, read when asked for."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    def collect(self) -> Iterator[GaugeMetricFamily]:
        layers = self._readiness.layers
        freshness = layers.freshness
        yield _gauge("kol_ready", "1 = can answer.", float(self._readiness.status != "unavailable"))
        yield _gauge("kol_realtime_lag", "Scores in the topic that are not in the view.", float(freshness.lag))
        if freshness.cutoff:
            yield _gauge("kol_batch_cutoff_seconds", "Cutoff of the batch view.", freshness.cutoff.timestamp())
        if freshness.caught_up_at:
            yield _gauge("kol_caught_up_seconds", "All scores before are in.", freshness.caught_up_at.timestamp())
        if layers.batch:
            yield _gauge("kol_batch_kols", "KOLs in the batch view.", float(layers.batch.kols))
        if layers.realtime:
            yield _gauge("kol_scores_refused", "Messages that were no scores.", float(layers.realtime.refused))


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value=value)
