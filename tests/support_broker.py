"""A broker that the tests may kill, a flood of events that goes on meanwhile, and what must hold afterwards."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import psutil

from features.event import encode_event
from features.score import decode_score
from registry.shelf import Shelf
from runtime.broker import broker_status, start_broker
from runtime.lake import EVENTS as EVENTS_TABLE
from runtime.processes import Life, start, stop, tail, wait_ready
from runtime.settings import ROOT, Settings, environment_of
from runtime.tables import open_table
from runtime.topics import EVENTS, SCORES, create_topics, producer
from tests.support_crash import Stream
from tests.support_flood import next_events
from tests.support_ledger import balanced, differing
from tests.support_model import tiny_shelf
from tests.support_stream import messages_of

FLOWS = 200
FLOW_SECONDS = 120
END_SECONDS = 60
VERB_SECONDS = 120
QUIET_SECONDS = 150
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Flood:
    """Events that flow until the flood ends; what the broker acknowledged is known one by one."""

    file: Path

    @property
    def acknowledged(self) -> set[str]:
        """Ids of the events that the broker has by its own word; a line that is being written is left out."""
        text = self.file.read_text() if self.file.exists() else ""
        return set(text[: text.rfind("\n") + 1].split())


@contextmanager
def flowing(settings: Settings, at_least: int) -> Iterator[Flood]:
    """Let events flow meanwhile, and on until so many are acknowledged; at the end everything that was sent is."""
    flood = Flood(settings.runs / "acknowledged")
    command = [sys.executable, "-m", "tests.support_flood", str(flood.file)]
    process = start(settings, "flood", command, environment=environment_of(settings), life=Life.WITH_PARENT)
    try:
        wait_ready(lambda: len(flood.acknowledged) >= FLOWS, process, FLOW_SECONDS)
        yield flood
        wait_ready(lambda: len(flood.acknowledged) >= at_least, process, FLOW_SECONDS)
    finally:
        stop(settings, "flood", END_SECONDS)


def own_stream(settings: Settings, sabotage: str = "") -> Stream:
    """Start a broker and the stream on a home of their own."""
    start_broker(settings, Life.WITH_PARENT)
    create_topics(settings)
    tiny_shelf(Shelf.at(settings.shelf))
    stream = Stream(settings, sabotage=sabotage)
    stream.start()
    return stream


def kill_broker(settings: Settings) -> None:
    """Kill the broker by SIGKILL."""
    broker = broker_status(settings)
    assert broker is not None
    os.kill(broker.pid, signal.SIGKILL)


@contextmanager
def paused(stream: Stream) -> Iterator[None]:
    """Let no process of the stream get any time meanwhile, as on a machine that hangs."""
    family = [psutil.Process(stream.pid), *psutil.Process(stream.pid).children(recursive=True)]
    for process in family:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(family):
            process.resume()


def send_some(settings: Settings, first: int, count: int, partition: int | None = None) -> set[str]:
    """Send events that are acknowledged, to one partition if it is given; return their ids."""
    events = next_events(first, count)
    with producer(settings) as client:
        sent = [
            client.send(EVENTS, key=event.kol_id.encode(), value=encode_event(event), partition=partition)
            for event in events
        ]
        client.flush()
    assert all(future.succeeded() for future in sent)
    return {event.event_id for event in events}


def kol(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a verb of `./kol` on a home."""
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env=environment_of(settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=VERB_SECONDS,
        check=False,
    )


def wait_for_all(stream: Stream, acknowledged: set[str], seconds: float = QUIET_SECONDS) -> None:
    """Wait until every acknowledged event is scored and landed; the stream lives all the time.

    Raises:
        AssertionError: The stream ended, or something was still missing after `seconds`.
    """
    deadline = monotonic() + seconds
    while missing := acknowledged - landed(stream.settings):
        assert stream.process is not None
        assert stream.lives(), f"the stream ended: {tail(stream.process)}"
        assert monotonic() < deadline, f"{len(missing)} of {len(acknowledged)} are missing: {tail(stream.process)}"
        sleep(LOOK_SECONDS)


def landed(settings: Settings) -> set[str]:
    """Return the ids of the events that are in the lake."""
    return set(open_table(settings, EVENTS_TABLE).to_pyarrow_table(columns=["event_id"])["event_id"].to_pylist())


def scored(settings: Settings) -> set[str]:
    """Return the ids of the events that have a score on the topic."""
    return {decode_score(value).event_id for value in messages_of(settings, SCORES)}


def said_by(stream: Stream) -> str:
    """Return all that the stream has said."""
    assert stream.process is not None
    return Path(stream.process.log).read_text()


def assert_books_balance(stream: Stream, acknowledged: set[str]) -> None:
    """Assert that every acknowledged event is scored, that nothing landed twice, and that the ledger agrees."""
    assert stream.stop() == 0
    assert acknowledged <= scored(stream.settings)
    ledger = balanced(stream.settings, settled=False)
    assert ledger.balances, differing(ledger)


def ended_with(stream: Stream, seconds: float) -> str:
    """Wait until the stream has ended by itself with exit code 1; return the end of what it said.

    Raises:
        AssertionError: It still runs after `seconds`, or ended otherwise.
    """
    assert stream.process is not None
    deadline = monotonic() + seconds
    code = None
    while code is None:
        assert monotonic() < deadline, f"the stream goes on: {tail(stream.process)}"
        pid, status = os.waitpid(stream.pid, os.WNOHANG)
        code = os.waitstatus_to_exitcode(status) if pid else None
        sleep(LOOK_SECONDS)
    said = tail(stream.process)
    assert code == 1, said
    return said
