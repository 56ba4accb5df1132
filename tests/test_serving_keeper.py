"""The view keeper as a process: one at a time, batch in step with what is published, realtime from stored offsets."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import KafkaProducer

from features.score import Score, ScoreDomainError, encode_score
from runtime.broker import Broker, start_broker, stop_broker
from runtime.files import write_whole
from runtime.processes import Life
from runtime.publication import location
from runtime.settings import ROOT, Settings, environment_of
from runtime.topics import SCORES, admin, create_topics, producer
from serving.follower import accept_score
from serving.keeper import KeeperRunningError, sole_keeper
from serving.lmdb_layout import MOST_READERS
from serving.lmdb_reader import LmdbReader
from serving.views import Layers
from tests.conftest import NewSettings
from tests.support_views import a_score, from_batch, later, publish_table, score_table

PATIENCE_SECONDS = 30.0


@contextmanager
def keeping(settings: Settings) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a keeper of its own process, and end it cleanly."""
    log = settings.home / "keeper.log"
    with log.open("ab") as out:
        command = [sys.executable, "-m", "serving.keeper"]
        keeper = subprocess.Popen(command, env=environment_of(settings), cwd=ROOT, stderr=out, stdout=out)
    try:
        yield keeper
    finally:
        keeper.terminate()
        code = keeper.wait(timeout=15)
    assert code == 0, log.read_text()


@pytest.fixture
def reader(settings: Settings) -> Iterator[LmdbReader]:
    opened = LmdbReader.open(settings)
    yield opened
    opened.close()


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def run_in_use(reader: LmdbReader) -> str | None:
    layers = reader.layers()
    return layers.batch.run_id if layers.batch else None


def caught_up(layers: Layers) -> bool:
    """Tell whether the keeper has seen everything at least once."""
    return layers.realtime is not None and layers.realtime.caught_up_at is not None


def test_without_a_broker_the_published_runs_are_served_one_after_the_other(
    settings: Settings, reader: LmdbReader
) -> None:
    publish_table(settings, score_table([from_batch(a_score())]), "run-1")
    with keeping(settings):
        eventually(lambda: run_in_use(reader) == "run-1")
        publish_table(settings, score_table([from_batch(a_score(at=later(9)))]), "run-2")
        eventually(lambda: run_in_use(reader) == "run-2")
        found = reader.read(["twitter:nasa"])
        assert found.candidates[0].batch == from_batch(a_score(at=later(9)))
        assert found.layers.realtime is not None
        assert "no Kafka" in str(found.layers.realtime.problem)
        assert [path.name for path in settings.views.glob("*.mdb")] == ["batch-run-2-v1.mdb"]


def test_a_publication_that_cannot_be_served_leaves_the_view_in_use(settings: Settings, reader: LmdbReader) -> None:
    publish_table(settings, score_table([from_batch(a_score())]), "run-1")
    with keeping(settings):
        eventually(lambda: run_in_use(reader) == "run-1")
        publish_table(settings, score_table([from_batch(a_score())]), "run-2", kols=7)
        eventually(lambda: "could not be built" in str(reader.layers().keeper))
        assert run_in_use(reader) == "run-1"
        write_whole(Path(location(settings)), b"{")
        eventually(lambda: "is no publication" in str(reader.layers().keeper))
        publish_table(settings, score_table([from_batch(a_score())]), "run-3")
        eventually(lambda: run_in_use(reader) == "run-3")


def test_a_second_keeper_is_refused_and_named_the_first(settings: Settings, reader: LmdbReader) -> None:
    with keeping(settings) as first:
        eventually(lambda: reader.layers().keeper is not None)
        with pytest.raises(KeeperRunningError, match=f"process {first.pid} keeps"), sole_keeper(settings.views):
            pass


def test_a_keeper_that_was_killed_leaves_no_lock_behind(settings: Settings, reader: LmdbReader) -> None:
    with keeping(settings) as first:
        eventually(lambda: reader.layers().keeper is not None)
        first.send_signal(signal.SIGKILL)
        first.wait()
        with keeping(settings) as second:
            eventually(lambda: settings.views.joinpath("keeper.lock").read_text() == str(second.pid))
        first.returncode = 0


BAD_MESSAGES = {
    "no value": None,
    "no JSON": b"x",
    "another time spelling": encode_score(a_score(event_time="2026-03-01T13:00:00+01:00")),
    "no time": encode_score(a_score(event_time="9999")),
    "a name that is none": encode_score(a_score("x" * 129)),
    "a score over 100": encode_score(a_score(hundredths=10_001, trust_score=100.01)),
    "words of another score": encode_score(a_score(risk_level="high")),
}


@pytest.mark.parametrize("case", BAD_MESSAGES)
def test_a_message_that_is_no_score_is_refused(case: str) -> None:
    with pytest.raises(ScoreDomainError):
        accept_score(BAD_MESSAGES[case])


@pytest.fixture
def settings(request: pytest.FixtureRequest, new_settings: NewSettings) -> Settings:
    """Return a fresh home; with the shared broker where the test is marked for it."""
    if request.node.get_closest_marker("jvm"):
        broker: Broker = request.getfixturevalue("broker")
        return new_settings(kafka_servers=broker.servers)
    return new_settings()


@pytest.fixture
def sender(settings: Settings) -> Iterator[KafkaProducer]:
    """Return a producer to topics that are made anew, so that tests do not read each other's scores."""
    remake_topic(settings)
    opened = producer(settings)
    yield opened
    opened.close()


def remake_topic(settings: Settings) -> None:
    """Delete `kol.scores` if it is there, and make it again."""
    with admin(settings) as client:
        if SCORES in client.list_topics():
            client.delete_topics([SCORES])
            eventually(lambda: SCORES not in client.list_topics())
    create_topics(settings)


def send(sender: KafkaProducer, *messages: Score | bytes) -> None:
    for message in messages:
        data = message if isinstance(message, bytes) else encode_score(message)
        sender.send(SCORES, key=b"k", value=data)
    sender.flush()


def realtime(reader: LmdbReader, kol_id: str = "twitter:nasa") -> Score | None:
    return reader.read([kol_id]).candidates[0].realtime


@pytest.mark.jvm
def test_scores_are_followed_newest_first_and_bad_ones_counted(
    settings: Settings, reader: LmdbReader, sender: KafkaProducer
) -> None:
    newest = a_score(at=later(9))
    send(sender, a_score(), newest, b"no score", a_score(at=later(3)))
    with keeping(settings):
        eventually(lambda: caught_up(reader.layers()))
        assert realtime(reader) == newest
        state = reader.layers().realtime
        assert state is not None
        assert (state.refused, state.lag, state.problem) == (1, 0, None)


@pytest.mark.jvm
def test_a_restarted_keeper_goes_on_at_its_offsets(
    settings: Settings, reader: LmdbReader, sender: KafkaProducer
) -> None:
    send(sender, b"no score", a_score())
    with keeping(settings):
        eventually(lambda: realtime(reader) == a_score())
    send(sender, a_score(at=later(1)))
    with keeping(settings):
        eventually(lambda: realtime(reader) == a_score(at=later(1)))
        state = reader.layers().realtime
        assert state is not None
        assert state.refused == 0


@pytest.mark.jvm
def test_a_topic_that_was_made_anew_is_read_from_its_beginning(
    settings: Settings, reader: LmdbReader, sender: KafkaProducer
) -> None:
    send(sender, *[a_score()] * 3)
    with keeping(settings):
        eventually(lambda: realtime(reader) == a_score())
        remake_topic(settings)
        send(sender, a_score(at=later(1)))
        eventually(lambda: realtime(reader) == a_score(at=later(1)))


@pytest.mark.jvm
def test_a_score_is_in_the_view_within_a_second(settings: Settings, reader: LmdbReader, sender: KafkaProducer) -> None:
    with keeping(settings):
        eventually(lambda: caught_up(reader.layers()))
        started = time.monotonic()
        send(sender, a_score())
        eventually(lambda: realtime(reader) is not None)
        assert time.monotonic() - started < 1


@pytest.mark.jvm
def test_a_broker_that_comes_later_is_found(new_settings: NewSettings) -> None:
    alone = new_settings()
    reader = LmdbReader.open(alone)
    with keeping(alone):
        eventually(lambda: "no Kafka" in str(reader.layers().realtime))
        start_broker(alone, Life.WITH_PARENT)
        try:
            create_topics(alone)
            eventually(lambda: caught_up(reader.layers()))
            stop_broker(alone)
            eventually(lambda: "no Kafka" in str(reader.layers().realtime))
        finally:
            stop_broker(alone)
    reader.close()


def test_more_readers_than_workers_fit_into_the_lock_file() -> None:
    assert MOST_READERS > 256
