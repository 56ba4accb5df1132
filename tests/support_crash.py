"""Killing the real stream at chosen moments, and asking afterwards whether anything was lost, doubled or changed."""

import contextlib
import hashlib
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from time import monotonic, sleep
from typing import Literal

import psutil
import pyarrow as pa

from features.event import Event, encode_event
from features.profile import Profiles
from features.score import Score, decode_score
from registry.shelf import Shelf
from runtime.lake import EVENTS as EVENTS_TABLE
from runtime.lake import REALTIME_SCORES
from runtime.landed import read_landed
from runtime.processes import Process, start, tail
from runtime.settings import ROOT, Settings, environment_of
from runtime.tables import open_table
from runtime.topics import EVENTS as EVENTS_TOPIC
from runtime.topics import NAMES, SCORES, end_offsets, producer
from streaming.status import read_status
from tests.support_events import event_of, varied_values
from tests.support_stream import messages_of

Who = Literal["group", "python", "jvm"]
Point = Literal["inside the UDF", "scoring offsets", "scoring commits", "events landed", "landing commits", "random"]

SABOTAGE = ROOT / "tests" / "sabotage"
SHORT_LIFE = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""A JVM that is killed soon is not worth much compiling: starts take two thirds of the time."""
LOOK_SECONDS = 0.002
READY_SECONDS = 120
POINT_SECONDS = 90
GONE_SECONDS = 20
QUIET_SECONDS = 120


@dataclass(slots=True)
class Stream:
    """The real stream in a process of its own, on the home of some settings; started as often as it is killed."""

    settings: Settings
    sabotage: str = ""
    process: Process | None = None
    hits: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)

    def start(self) -> None:
        """Start it and wait until both queries run."""
        began = monotonic()
        given = {**environment_of(self.settings), "PYTHONPATH": os.pathsep.join([str(SABOTAGE), str(ROOT)])}
        environment = {**given, "TEST_SABOTAGE": self.sabotage, "JAVA_TOOL_OPTIONS": SHORT_LIFE}
        started_at = datetime.now(UTC)
        command = [sys.executable, "-m", "cli", "stream", "run"]
        self.process = start(self.settings, "stream", command, environment=environment)
        while (
            (status := read_status(self.settings)) is None or len(status.queries) < 2 or status.at < _text(started_at)
        ):
            assert self.lives(), tail(self.process)
            assert monotonic() - began < READY_SECONDS, tail(self.process)
            sleep(0.05)
        if self.hits:
            self.recoveries.append(monotonic() - began)

    @property
    def pid(self) -> int:
        """The driver's Python."""
        assert self.process is not None
        return self.process.pid

    def lives(self) -> bool:
        """Tell whether its Python runs."""
        return psutil.pid_exists(self.pid) and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE

    def jvm(self) -> psutil.Process:
        """The driver's JVM."""
        return next(child for child in psutil.Process(self.pid).children(recursive=True) if "java" in child.name())

    def kill(self, who: Who, point: str) -> None:
        """Kill it now; return when nothing of it runs any more."""
        family = [psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)]
        victims = {"group": family, "python": family[:1], "jvm": [self.jvm()]}[who]
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.send_signal(signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        _, alive = psutil.wait_procs(family, timeout=GONE_SECONDS)
        assert not alive, f"{GONE_SECONDS} s after a kill of {who} these run on: {alive}"
        self.hits[point] += 1

    def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def reach(stream: Stream, point: Point, folder: Path) -> None:
    """Wait until the stream is at a point."""
    settings = stream.settings
    if point == "inside the UDF":
        (folder / "armed").touch()
        _until((folder / "inside").exists, point)
        (folder / "inside").unlink()
        return
    logs = {
        "scoring offsets": Path(settings.checkpoint_uri, "scoring", "offsets"),
        "scoring commits": Path(settings.checkpoint_uri, "scoring", "commits"),
        "landing commits": Path(settings.checkpoint_uri, "landing", "commits"),
        "events landed": Path(EVENTS_TABLE.uri(settings), "_delta_log"),
    }
    if point == "random":
        sleep(int.from_bytes(os.urandom(2)) / 2**16 * 3)
        return
    before = _newest(logs[point])
    _until(lambda: _newest(logs[point]) > before, point)


def _newest(log: Path) -> int:
    """Return the highest number of a log's files; -1 when there is none."""
    with contextlib.suppress(FileNotFoundError):
        names = (name.removesuffix(".json") for name in map(attrgetter("name"), log.iterdir()))
        return max((int(name) for name in names if name.isdigit()), default=-1)
    return -1


def _until(reached: Callable[[], bool], point: str) -> None:
    deadline = monotonic() + POINT_SECONDS
    while not reached():
        assert monotonic() < deadline, f"the stream never came to: {point}"
        sleep(LOOK_SECONDS)


def made_events(count: int, seed: int, kols: int) -> list[Event]:
    """Make events of some KOLs, several of each, in their order of time; every event has its own id."""
    at = datetime.now(UTC)
    values = varied_values(count, seed)
    return [event_of(row, number, at=at, kol=f"test:k{number % kols}") for number, row in enumerate(values)]


def send_all(settings: Settings, events: list[Event]) -> None:
    """Send events; return when the broker has acknowledged all of them."""
    with producer(settings) as client:
        sent = [client.send(EVENTS_TOPIC, key=event.kol_id.encode(), value=encode_event(event)) for event in events]
        client.flush()
    assert all(future.succeeded() for future in sent)


def wait_until_quiet(stream: Stream, events: int) -> None:
    """Wait until every event has an outcome and everything is in the lake."""
    deadline = monotonic() + QUIET_SECONDS
    while not _is_quiet(stream.settings, events):
        assert stream.process is not None
        assert stream.lives(), tail(stream.process)
        assert monotonic() < deadline, f"not all outcomes are there: {tail(stream.process)}"
        sleep(0.5)


def _is_quiet(settings: Settings, events: int) -> bool:
    landed = read_landed(settings)
    if landed is None:
        return False
    ends = {topic: end_offsets(settings, topic) for topic in NAMES}
    reached = all(
        landed.positions.get(topic, {}).get(partition, 0) >= end
        for topic in NAMES
        for partition, end in ends[topic].items()
    )
    return reached and sum(ends[SCORES].values()) >= events


@dataclass(frozen=True, slots=True)
class Found:
    """What is there after all kills.

    Attributes:
        scores: Scores on the topic, repeated ones once.
        repeated: How many scores stood there more than once.
        contradictions: Repeated scores that differ in more than the time of scoring.
        landed_events: Places of the raw log's rows.
        landed_scores: Places of the rows of the landed scores.
    """

    scores: dict[tuple[int, int], Score]
    repeated: int
    contradictions: int
    landed_events: list[tuple[int, int]]
    landed_scores: list[tuple[int, int]]


def find_all(settings: Settings) -> Found:
    """Read topic and tables."""
    scores: dict[tuple[int, int], Score] = {}
    repeated = contradictions = 0
    for value in messages_of(settings, SCORES):
        score = decode_score(value)
        assert score.provenance is not None
        place = (score.provenance.partition, score.provenance.offset)
        if place in scores:
            repeated += 1
            contradictions += _without_time(scores[place]) != _without_time(score)
        scores[place] = score
    places = [_places(settings, table) for table in (EVENTS_TABLE, REALTIME_SCORES)]
    return Found(scores, repeated, contradictions, *places)


def _without_time(score: Score) -> dict[str, object]:
    return {name: getattr(score, name) for name in score.__struct_fields__ if name != "timestamp"}


def _places(settings: Settings, table: object) -> list[tuple[int, int]]:
    rows: pa.Table = open_table(settings, table).to_pyarrow_table(columns=["partition", "offset"])  # type: ignore[arg-type]
    return list(zip(rows["partition"].to_pylist(), rows["offset"].to_pylist(), strict=True))


def content_hash(lines: Iterator[tuple[str, int, str, str]]) -> str:
    """Return a hash of (event id, hundredths, model, body) of many scores that does not depend on their order."""
    text = "\n".join(sorted("|".join(map(str, line)) for line in lines))
    return hashlib.sha256(text.encode()).hexdigest()


def hash_of_found(found: Found) -> str:
    """Hash what the stream made."""
    return content_hash((s.event_id, s.hundredths, s.model_sha, s.body_hash) for s in found.scores.values())


def hash_without_a_crash(settings: Settings, events: list[Event]) -> str:
    """Hash what an uninterrupted run makes: the same events, scored at once by the one scorer."""
    shelf = Shelf.at(settings.shelf)
    sha = shelf.production().sha
    scored = shelf.load(sha).score(Profiles.of_rows([event.values() for event in events])).hundredths.tolist()
    rows = zip(events, scored, strict=True)
    return content_hash((event.event_id, hundredths, sha, event.body_hash()) for event, hundredths in rows)
