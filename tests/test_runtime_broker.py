"""The embedded Kafka: quick, small, found again after any kind of stop, and clear about what is wrong."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from runtime.broker import (
    Broker,
    BrokerError,
    answers,
    broker_status,
    servers,
    start_broker,
    stop_broker,
)
from runtime.processes import Life, ProcessError, free_port
from runtime.settings import Settings
from runtime.topics import EVENTS, consumer, create_topics, end_offsets, producer

HOLD_LOCK = """
import fcntl, sys, signal
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
signal.pause()
"""


@pytest.fixture
def own(new_settings: Callable[..., Settings]) -> Iterator[Settings]:
    """Settings for a broker of the test's own."""
    settings = new_settings()
    yield settings
    stop_broker(settings)


def send(settings: Settings, number: int) -> None:
    with producer(settings) as writer:
        for index in range(number):
            writer.send(EVENTS, key=b"k", value=b"%d" % index)


@pytest.mark.jvm
def test_from_nothing_it_answers_within_8_seconds_and_needs_300_mb_at_most(own: Settings) -> None:
    begin = time.perf_counter()
    broker = start_broker(own, Life.WITH_PARENT)
    assert time.perf_counter() - begin < 8
    assert answers(broker.servers)
    assert psutil.Process(broker.pid).memory_info().rss < 300 * 2**20


@pytest.mark.jvm
def test_it_runs_once_and_after_a_stop_address_and_messages_are_as_before(own: Settings) -> None:
    broker = start_broker(own, Life.WITH_PARENT)
    assert start_broker(own, Life.WITH_PARENT) == broker == broker_status(own)
    create_topics(own)
    send(own, 100)
    assert stop_broker(own)
    assert (broker_status(own), answers(broker.servers), stop_broker(own)) == (None, False, False)
    assert start_broker(own, Life.WITH_PARENT).servers == servers(own) == broker.servers
    assert sum(end_offsets(own, EVENTS).values()) == 100


@pytest.mark.jvm
def test_after_a_kill_it_recovers_by_itself_and_acknowledged_messages_are_there(own: Settings) -> None:
    before = start_broker(own, Life.WITH_PARENT)
    create_topics(own)
    send(own, 100)
    os.kill(before.pid, signal.SIGKILL)
    after = start_broker(own, Life.WITH_PARENT)
    assert (after.servers, after.pid != before.pid) == (before.servers, True)
    send(own, 10)
    with consumer(own, EVENTS) as reader:
        found = sorted(int(next(reader).value) for _ in range(110))
    assert found == sorted([*range(100), *range(10)])


@pytest.mark.jvm
def test_an_interrupted_preparation_is_made_again_and_a_stale_lock_is_of_no_consequence(own: Settings) -> None:
    half = own.home / "kafka" / "data.new"
    half.mkdir(parents=True)
    (half / "meta.properties").write_text("half a l")
    (own.home / "kafka" / "data").mkdir()
    (own.home / "kafka" / "data" / ".lock").touch()
    assert answers(start_broker(own, Life.WITH_PARENT).servers)
    assert not half.exists()


@pytest.mark.jvm
def test_a_broker_that_dies_is_told_with_the_end_of_its_log(own: Settings) -> None:
    start_broker(own, Life.WITH_PARENT)
    stop_broker(own)
    meta = own.home / "kafka" / "data" / "meta.properties"
    meta.write_text(meta.read_text().replace("node.id=1", "node.id=7"))
    with pytest.raises(ProcessError, match=r"broker \(pid \d+\) ended before it was ready[\s\S]*node id"):
        start_broker(own, Life.WITH_PARENT)


def test_data_that_another_process_holds_are_left_alone(own: Settings) -> None:
    lock = own.home / "kafka" / "data" / ".lock"
    lock.parent.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", HOLD_LOCK, str(lock)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BrokerError, match=f"in use by process {holder.pid}.*kill {holder.pid}"):
            start_broker(own)
        holder.kill()


def test_without_a_broker_the_error_names_the_command(settings: Settings) -> None:
    with pytest.raises(BrokerError, match=r"start it with: \./kol up"):
        servers(settings)


def test_configured_servers_are_taken_as_they_are(new_settings: Callable[..., Settings]) -> None:
    assert servers(new_settings(kafka_servers="one:9092,two:9092")) == "one:9092,two:9092"


def test_nobody_answers_on_a_free_port() -> None:
    assert not answers(f"127.0.0.1:{free_port()}")


@pytest.mark.jvm
def test_its_log_says_what_happened_and_little_else(broker: Broker) -> None:
    said = broker.log.read_text()
    assert "Kafka Server started" in said
    assert "ERROR" not in said
    assert len(said.splitlines()) < 100
