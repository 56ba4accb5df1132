"""The broker dies, stays away, grows, forgets and is made anew under the running stream: acknowledged means scored."""

from collections.abc import Callable, Iterator
from time import monotonic, sleep

import pytest
import structlog
from kafka import TopicPartition

from registry.shelf import Shelf
from runtime.broker import start_broker, stop_broker
from runtime.processes import Life, free_port, stop
from runtime.settings import Settings
from runtime.topics import EVENTS, NAMES, admin, end_offsets
from tests.support_broker import (
    assert_books_balance,
    ended_with,
    flowing,
    kill_broker,
    kol,
    own_stream,
    paused,
    said_by,
    send_some,
    wait_for_all,
)
from tests.support_crash import Stream
from tests.support_ledger import balanced, differing
from tests.support_model import tiny_shelf
from tests.support_stream import renew_topics

pytestmark = pytest.mark.jvm

KILLS = 20
SHORT_OUTAGE_SECONDS = 25
LONG_OUTAGE_SECONDS = 600
AFTER_LONG_OUTAGE_SECONDS = 300
STOP_SECONDS = 90
BACK_SECONDS = 60
GOES_ON_SECONDS = 30
"""How long a stream without its guard is watched."""

NewSettings = Callable[..., Settings]


@pytest.fixture
def home(new_settings: NewSettings) -> Iterator[Settings]:
    """A home for a broker of the test's own, with small micro-batches, so that an outage meets one."""
    settings = new_settings(max_offsets_per_trigger=5_000, landing_interval_seconds=1, spark_driver_memory="1g")
    yield settings
    stop(settings, "stream")  # of a test that failed
    stop_broker(settings)


def outlive(settings: Settings, outage_seconds: float, sabotage: str = "") -> Stream:
    """Take the broker away while events flow; return the stream when it has caught up.

    Raises:
        AssertionError: The stream ended, or an acknowledged event is not scored and landed.
    """
    stream = own_stream(settings, sabotage)
    with flowing(settings, at_least=1_000) as flood:
        wait_for_all(stream, flood.acknowledged)
        kill_broker(settings)
        sleep(outage_seconds)
        start_broker(settings, Life.WITH_PARENT)
    wait_for_all(stream, flood.acknowledged, AFTER_LONG_OUTAGE_SECONDS)
    assert_books_balance(stream, flood.acknowledged)
    return stream


def forget_what_comes_next(stream: Stream) -> None:
    """Let Kafka delete events that a hanging stream has not read, as retention does: the log begins after them."""
    settings = stream.settings
    wait_for_all(stream, send_some(settings, first=0, count=500))
    with paused(stream):
        send_some(settings, first=500, count=500)
        ends = end_offsets(settings, EVENTS)
        with admin(settings) as client:
            client.delete_records({TopicPartition(EVENTS, partition): end - 1 for partition, end in ends.items()})


def make_topics_anew(stream: Stream) -> set[str]:
    """Delete and make the topics while the stream hangs, with more events than before; return the ids of those.

    So no offset tells that it is another topic.
    """
    wait_for_all(stream, send_some(stream.settings, first=0, count=500))
    with paused(stream):
        renew_topics(stream.settings)
        return send_some(stream.settings, first=500, count=1_000)


def test_one_killed_broker_costs_no_acknowledged_event(home: Settings) -> None:
    outlive(home, outage_seconds=0)


@pytest.mark.parametrize("configured", [True, False])
def test_without_a_broker_the_start_says_so_in_time(new_settings: NewSettings, *, configured: bool) -> None:
    settings = new_settings(kafka_servers=f"127.0.0.1:{free_port()}" if configured else "")
    tiny_shelf(Shelf.at(settings.shelf))
    began = monotonic()
    done = kol(settings, "stream", "run")
    assert monotonic() - began < 30
    assert done.returncode == 1
    assert ("does not answer (no connection in 10 s)" if configured else "start it with: ./kol up") in done.stderr


@pytest.mark.long
def test_twenty_killed_brokers_cost_no_acknowledged_event(home: Settings) -> None:
    stream, back = own_stream(home), []
    with flowing(home, at_least=5_000) as flood:
        for number in range(KILLS):
            kill_broker(home)
            began, known = monotonic(), flood.acknowledged
            start_broker(home, Life.WITH_PARENT)
            while flood.acknowledged == known:
                assert monotonic() - began < BACK_SECONDS, "the broker is back, and nobody sends"
                sleep(0.05)
            back.append(round(monotonic() - began, 1))
            if number % 4 == 3:  # so kills meet a stream that is behind, and one that is not
                wait_for_all(stream, flood.acknowledged)
    wait_for_all(stream, flood.acknowledged)
    assert_books_balance(stream, flood.acknowledged)
    revived = said_by(stream).count("query started again")
    structlog.get_logger().info("killed", events=len(flood.acknowledged), back_seconds=sorted(back), revived=revived)
    assert len(back) == KILLS


@pytest.mark.long
def test_a_query_that_an_outage_ends_is_started_again(home: Settings) -> None:
    stream = outlive(home, SHORT_OUTAGE_SECONDS, sabotage="impatient")
    assert "query started again" in said_by(stream)


@pytest.mark.long
def test_sabotage_without_revival_an_outage_ends_the_stream(home: Settings) -> None:
    with pytest.raises(AssertionError, match="the stream ended"):
        outlive(home, SHORT_OUTAGE_SECONDS, sabotage="impatient_without_revival")


@pytest.mark.long
@pytest.mark.parametrize("seconds", [40, LONG_OUTAGE_SECONDS])
def test_an_outage_is_waited_for(home: Settings, seconds: int) -> None:
    outlive(home, seconds)


@pytest.mark.long
def test_partitions_that_are_added_while_it_runs_are_read(home: Settings) -> None:
    stream = own_stream(home)
    before = send_some(home, first=0, count=500)
    wait_for_all(stream, before)
    with admin(home) as client:
        client.create_partitions(dict.fromkeys(NAMES, home.topic_partitions + 2))
        client.wait_for_topics(list(NAMES))
    added = [send_some(home, first=500 * (n + 1), count=500, partition=n) for n in range(home.topic_partitions + 2)]
    sent = before.union(*added)
    wait_for_all(stream, sent)
    assert_books_balance(stream, sent)
    assert [end_offsets(home, EVENTS)[partition] for partition in (2, 3)] == [500, 500]


@pytest.mark.long
def test_retention_that_overtakes_the_reader_stops_it_by_name_and_the_runbook_mends_it(home: Settings) -> None:
    stream = own_stream(home)
    forget_what_comes_next(stream)
    assert "Kafka's retention has deleted them" in ended_with(stream, STOP_SECONDS)
    assert kol(home, "stream", "run").returncode == 1
    assert "--accept-loss" in kol(home, "stream", "rebuild").stderr
    mended = kol(home, "stream", "rebuild", "--accept-loss")
    assert mended.returncode == 0, mended.stderr
    stream.start()
    wait_for_all(stream, send_some(home, first=1_000, count=500))
    assert stream.stop() == 0
    lost = differing(balanced(home, settled=False))  # the ledger goes on naming them, and nothing else
    assert {line.what for line in lost} == {"events deleted by retention against the lake"}
    assert sum(line.missing for line in lost) == 500 - home.topic_partitions


@pytest.mark.long
def test_sabotage_without_asking_for_losses_they_are_skipped(home: Settings) -> None:
    stream = own_stream(home, sabotage="skip_what_is_gone")
    forget_what_comes_next(stream)
    with pytest.raises(AssertionError, match="the stream goes on"):
        ended_with(stream, GOES_ON_SECONDS)
    assert stream.stop() == 0


@pytest.mark.long
def test_topics_made_anew_stop_it_by_name_and_the_runbook_mends_it(home: Settings) -> None:
    stream = own_stream(home)
    sent = make_topics_anew(stream)
    assert "was deleted and made again" in ended_with(stream, STOP_SECONDS)
    assert kol(home, "stream", "run").returncode == 1
    mended = kol(home, "stream", "rebuild")
    assert mended.returncode == 0, mended.stderr
    stream.start()
    wait_for_all(stream, sent)
    assert_books_balance(stream, sent)


@pytest.mark.long
def test_sabotage_by_name_alone_another_topic_is_taken_for_the_old_one(home: Settings) -> None:
    stream = own_stream(home, sabotage="trust_topic_names")
    make_topics_anew(stream)
    with pytest.raises(AssertionError, match="the stream goes on"):
        ended_with(stream, GOES_ON_SECONDS)
    assert stream.stop() == 0
