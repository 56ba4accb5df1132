"""Python workers that die of a row, hang or are killed, on a real broker and real Spark: no query fails."""

import contextlib
import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from threading import Event as Told
from time import monotonic, sleep

import psutil
import pytest
import structlog
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from features.event import encode_event
from features.rejection import decode_rejection
from features.score import decode_score
from registry.shelf import Activation, Shelf
from runtime.settings import ROOT, Settings
from runtime.topics import EVENTS, REJECTED, SCORES, end_offsets, topic_ids
from streaming.isolation import IDLE, IDLE_SECONDS, KILL, watch_workers
from streaming.scoring import start_scoring
from tests.support_events import event_of, varied_values
from tests.support_model import tiny_shelf
from tests.support_stream import messages_of, renew_topics, score_all, send

pytestmark = pytest.mark.jvm

MARKED = 123_454_321
"""Posts of the profiles that the sabotaged scorer dies of or hangs at; no other profile has so many."""
MOST_ISOLATION_SECONDS = 300
LOOK_SECONDS = 0.05
OUT_OF_PLAY = {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}


@dataclass(frozen=True, slots=True)
class Home:
    """A place with a model and empty topics."""

    settings: Settings
    activation: Activation
    spark: SparkSession

    def sabotage(self, what: str) -> None:
        """Let the workers of the queries that start from now on do this, in processes of their own."""
        self.spark.sparkContext.environment.update(
            TEST_SABOTAGE=what, PYTHONPATH=os.pathsep.join([str(ROOT / "tests" / "sabotage"), str(ROOT)])
        )

    def send(self, count: int, marked: set[int]) -> None:
        """Send events, some of them marked."""
        at = datetime.now(UTC)
        rows = varied_values(count, seed=7)
        for number in marked:
            rows[number] = (*rows[number][:2], MARKED, *rows[number][3:])
        events = [event_of(row, number, at=at) for number, row in enumerate(rows)]
        send(self.settings, [(event.kol_id.encode(), encode_event(event)) for event in events])


@pytest.fixture
def home(kafka_settings: Settings, spark: SparkSession) -> Iterator[Home]:
    """Make a home, and give the session its own environment back at the end."""
    renew_topics(kafka_settings)
    activation = tiny_shelf(Shelf.at(kafka_settings.shelf))
    environment, idle = dict(spark.sparkContext.environment), spark.conf.get(IDLE)
    yield Home(kafka_settings, activation, spark)
    spark.sparkContext.environment.clear()
    spark.sparkContext.environment.update(environment)
    spark.conf.set(IDLE, str(idle))


def assert_ledger_is_exact(settings: Settings, unscorable: set[str]) -> None:
    """Every offset has one outcome, and exactly these events were refused, as unscorable."""
    scores = [decode_score(value) for value in messages_of(settings, SCORES)]
    rejects = [decode_rejection(value) for value in messages_of(settings, REJECTED)]
    provenances = [*(score.provenance for score in scores), *(reject.provenance for reject in rejects)]
    places = Counter((place.partition, place.offset) for place in provenances if place)
    ends = end_offsets(settings, EVENTS)
    assert set(places) == {(partition, offset) for partition in ends for offset in range(ends[partition])}
    assert {reject.reason for reject in rejects} == ({"unscorable"} if unscorable else set())
    assert {
        reject.value_head.split(b'"event_id":"')[1][:7].decode() for reject in rejects if reject.value_head
    } == unscorable


def test_rows_that_crash_the_native_code_are_refused_and_the_rest_is_scored(home: Home) -> None:
    home.sabotage(f"crash_on:{MARKED}")
    home.send(2_000, marked={5, 6, 1_500})
    began = monotonic()
    score_all(home.spark, home.settings, home.activation)
    seconds = monotonic() - began
    structlog.get_logger().info("isolated", seconds=round(seconds, 1))
    assert seconds < MOST_ISOLATION_SECONDS
    assert_ledger_is_exact(home.settings, {"e000005", "e000006", "e001500"})


def test_a_hung_worker_is_killed_after_a_time_that_a_setting_may_change(home: Home) -> None:
    watch_workers(home.spark)
    assert (home.spark.conf.get(IDLE), home.spark.conf.get(KILL)) == (str(IDLE_SECONDS), "true")
    home.spark.conf.set(IDLE, "7")
    watch_workers(home.spark)
    assert home.spark.conf.get(IDLE) == "7"


def test_without_isolation_the_query_fails(home: Home) -> None:
    home.sabotage(f"crash_without_isolation:{MARKED}")
    home.send(100, marked={5})
    with pytest.raises(StreamingQueryException, match="Python worker exited unexpectedly"):
        score_all(home.spark, home.settings, home.activation)


@pytest.mark.long
def test_a_row_that_hangs_the_native_code_is_refused_and_the_rest_is_scored(home: Home) -> None:
    home.sabotage(f"hang_on:{MARKED}")
    home.send(2_000, marked={1_000})
    began = monotonic()
    score_all(home.spark, home.settings, home.activation)
    seconds = monotonic() - began
    structlog.get_logger().info("isolated a row that hangs", seconds=round(seconds, 1))
    assert seconds < MOST_ISOLATION_SECONDS
    assert_ledger_is_exact(home.settings, {"e001000"})


def workers() -> list[psutil.Process]:
    """Return the Python workers of this process's Spark that live, busy ones first: what its daemons have forked."""
    found: list[tuple[bool, psutil.Process]] = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end at any time
            parent, status = process.parent(), process.status()
            if parent and all("pyspark.daemon" in each.cmdline() for each in (process, parent)):
                found += [(status != psutil.STATUS_RUNNING, process)] if status not in OUT_OF_PLAY else []
    return [process for _, process in sorted(found, key=itemgetter(0))]


def strike(times: int, number: signal.Signals, query: StreamingQuery, over: Told) -> int:
    """Send a signal to a worker, once a micro-batch while events flow; return how often one was hit."""
    hits, before = 0, -1
    while hits < times and not over.is_set():
        progress = query.lastProgress
        now = progress.batchId if progress else -1
        if now > before and (victims := workers()):
            with contextlib.suppress(psutil.NoSuchProcess):
                victims[0].send_signal(number)
                hits, before = hits + 1, now
        sleep(LOOK_SECONDS)
    return hits


@pytest.mark.long
def test_twenty_killed_workers_fail_no_query_and_lose_no_event(home: Home) -> None:
    struck(home, 20, signal.SIGKILL, events=40_000)


def test_three_killed_workers_fail_no_query_and_lose_no_event(home: Home) -> None:
    struck(home, 3, signal.SIGKILL, events=10_000)


@pytest.mark.long
def test_a_worker_that_hangs_is_replaced_and_no_event_is_lost(home: Home) -> None:
    home.spark.conf.set(IDLE, "10")
    struck(home, 1, signal.SIGSTOP, events=20_000)


def struck(home: Home, times: int, number: signal.Signals, *, events: int) -> None:
    """Score events in small micro-batches while workers are struck."""
    settings = home.settings.model_copy(update={"max_offsets_per_trigger": max(500, events // times // 6)})
    home.send(events, marked=set())
    query = start_scoring(home.spark, settings, home.activation, topic_ids(settings)[EVENTS])
    over = Told()
    with ThreadPoolExecutor(1) as pool:
        hits = pool.submit(strike, times, number, query, over)
        began = monotonic()
        query.processAllAvailable()
        over.set()
        seconds = monotonic() - began
    query.stop()
    structlog.get_logger().info("workers struck", signal=number.name, hits=hits.result(), seconds=round(seconds, 1))
    assert hits.result() == times
    assert query.exception() is None
    assert_ledger_is_exact(settings, set())
