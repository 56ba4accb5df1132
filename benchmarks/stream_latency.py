"""How long an event takes: to its score on `kol.scores`, and to the answer of `GET /kols/{id}/trust`."""

import json
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import msgspec
import numpy as np

from benchmarks.stream_home import System
from benchmarks.stream_load import Load, LoadError, ends, event_of, fast_producer, messages, send_steadily
from features.event import encode_event
from features.reference import TRUSTWORTHY
from runtime.settings import Settings
from runtime.topics import EVENTS, SCORES

EVENTS_PER_SECOND = 500.0
WARM_UP_SECONDS = 15.0
PROBES = 100
LOOK_SECONDS = 0.005
ANSWER_SECONDS = 60.0


class Scored(msgspec.Struct, frozen=True):
    """What is read of a score here."""

    event_id: str


def latencies(settings: Settings, seconds: float, per_second: float = EVENTS_PER_SECOND) -> list[float]:
    """Send at a steady rate; return the milliseconds from when each event was due until its score could be read.

    Args:
        settings: Of the system that runs.
        seconds: How long is measured, after a warm-up that is not.
        per_second: The rate.

    Raises:
        LoadError: Not every event was scored.
    """
    followed(settings, Load(f"wake-{time.time_ns()}"), 1, 1)  # a stream just started loads the model first
    due, readable = followed(settings, Load(f"latency-{time.time_ns()}"), per_second, WARM_UP_SECONDS + seconds)
    first = int(per_second * WARM_UP_SECONDS)
    return [(readable[number] - due[number]) * 1000 for number in range(first, len(due))]


def followed(
    settings: Settings, load: Load, per_second: float, seconds: float
) -> tuple[dict[int, float], dict[int, float]]:
    """Send at a steady rate until all is scored; return when each event was due, and when its score could be read."""
    start = ends(settings, SCORES)
    told = threading.Event()
    with ThreadPoolExecutor(1) as side:
        try:
            reading = side.submit(_read, settings, load, start, int(per_second * seconds), told)
            return send_steadily(settings, load, per_second, seconds), reading.result()
        finally:
            told.set()  # so that Ctrl-C does not wait for scores that will not come


def percentile(values: list[float], share: float) -> float:
    """Return a percentile, rounded to a tenth.

    >>> percentile([1.0, 2.0, 3.0], 50)
    2.0
    """
    return round(float(np.percentile(values, share)), 1)


def answer_latencies(system: System, probes: int = PROBES) -> list[float]:
    """Send one event after another; return the milliseconds until the API answers from each.

    Raises:
        LoadError: It did not within a minute.
    """
    client = fast_producer(system.settings)
    found = []
    for number in range(probes):
        event = event_of(TRUSTWORTHY, f"probe-{time.time_ns()}", f"bench:probe{number}", datetime.now(UTC))
        began = time.perf_counter()
        client.produce(EVENTS, key=event.kol_id.encode(), value=encode_event(event))
        client.poll(0)
        _wait_for_answer(system.address, event.kol_id, event.event_id)
        found.append((time.perf_counter() - began) * 1000)
    client.flush()
    return found


def _read(settings: Settings, load: Load, start: dict[int, int], count: int, told: threading.Event) -> dict[int, float]:
    readable: dict[int, float] = {}
    for message in messages(settings, SCORES, start, told):
        number = load.number(msgspec.json.decode(message.value() or b"", type=Scored).event_id)
        if number is not None:
            readable.setdefault(number, time.time())
        if len(readable) == count:
            told.set()
    return readable


def _wait_for_answer(address: str, kol_id: str, event_id: str) -> None:
    url = f"{address}/kols/{kol_id}/trust"
    deadline = time.monotonic() + ANSWER_SECONDS
    while _answered_event(url) != event_id:
        if time.monotonic() > deadline:
            raise LoadError(f"the API did not answer from {event_id} within {ANSWER_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)


def _answered_event(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own API's address
            return str(json.load(response)["event_id"])
    except urllib.error.HTTPError as error:
        error.close()  # 404: the KOL is not known yet
        return None
