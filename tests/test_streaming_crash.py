"""The stream is killed at its weakest moments: nothing is lost, nothing lands twice, no score changes."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import structlog

from registry.shelf import Shelf
from runtime.broker import Broker
from runtime.settings import Settings
from tests.support_crash import (
    Found,
    Point,
    Stream,
    Who,
    find_all,
    hash_of_found,
    hash_without_a_crash,
    made_events,
    reach,
    send_all,
    wait_until_quiet,
)
from tests.support_model import tiny_shelf
from tests.support_stream import renew_topics

pytestmark = pytest.mark.jvm

MOST_IN_A_BATCH = 5_000
FEW: tuple[tuple[Point, Who], ...] = (
    ("inside the UDF", "group"),
    ("scoring offsets", "jvm"),
    ("events landed", "python"),
)
MANY: tuple[tuple[Point, Who], ...] = (
    *FEW,
    ("inside the UDF", "python"),
    ("inside the UDF", "jvm"),
    ("scoring offsets", "group"),
    ("scoring offsets", "python"),
    ("scoring commits", "group"),
    ("scoring commits", "python"),
    ("scoring commits", "jvm"),
    ("events landed", "group"),
    ("events landed", "jvm"),
    ("landing commits", "group"),
    ("landing commits", "jvm"),
    ("random", "group"),
    ("random", "python"),
    ("random", "jvm"),
    ("random", "group"),
    ("random", "jvm"),
    ("random", "group"),
)

NewSettings = Callable[..., Settings]


@pytest.fixture
def silent_registry() -> Iterator[socket.socket]:
    """A server that takes connections and never answers, where the settings say that MLflow is."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture
def home(new_settings: NewSettings, broker: Broker, silent_registry: socket.socket) -> Settings:
    """A home with a model and small micro-batches, so that a kill meets one."""
    settings = new_settings(
        mlflow_uri=f"http://127.0.0.1:{silent_registry.getsockname()[1]}",
        kafka_servers=broker.servers,
        max_offsets_per_trigger=MOST_IN_A_BATCH,
        landing_interval_seconds=1,
        spark_driver_memory="1g",
    )
    renew_topics(settings)
    tiny_shelf(Shelf.at(settings.shelf))
    return settings


def crash_often(
    settings: Settings, plan: tuple[tuple[Point, Who], ...], events: int, folder: Path
) -> tuple[Stream, Found]:
    """Send events in as many parts as there are kills, and kill while each flows; then let the stream come to rest."""
    made = made_events(events, seed=3, kols=events // 4)
    part = events // len(plan)
    stream = Stream(settings, sabotage=f"pause_in_udf:{folder}")
    stream.start()
    for number, (point, who) in enumerate(plan):
        last = number == len(plan) - 1
        with ThreadPoolExecutor(1) as sender:
            sent = sender.submit(send_all, settings, made[number * part : None if last else (number + 1) * part])
            reach(stream, point, folder)
            stream.kill(who, point)
        sent.result()
        stream.start()
    wait_until_quiet(stream, events)
    assert stream.stop() == 0
    found = find_all(settings)
    assert hash_of_found(found) == hash_without_a_crash(settings, made)
    return stream, found


def assert_nothing_is_lost_or_doubled(found: Found, events: int, kills: int) -> None:
    assert len(found.scores) == events
    assert len({score.event_id for score in found.scores.values()}) == events
    assert len(found.landed_events) == len(set(found.landed_events)) == events
    assert set(found.landed_events) == set(found.scores)
    assert len(found.landed_scores) == len(set(found.landed_scores)) == events + found.repeated
    assert found.contradictions == 0
    assert found.repeated <= kills * 2 * MOST_IN_A_BATCH


def test_three_kills_lose_nothing_and_double_nothing(
    home: Settings, silent_registry: socket.socket, tmp_path: Path
) -> None:
    stream, found = crash_often(home, FEW, 20_000, tmp_path)
    assert stream.hits.total() == len(FEW)
    assert_nothing_is_lost_or_doubled(found, 20_000, len(FEW))
    with pytest.raises(BlockingIOError):  # nobody has knocked at the registry's door
        silent_registry.accept()


@pytest.mark.long
def test_twenty_kills_lose_nothing_and_double_nothing(home: Settings, tmp_path: Path) -> None:
    stream, found = crash_often(home, MANY, 200_000, tmp_path)
    structlog.get_logger().info(
        "killed",
        hits=dict(stream.hits),
        recovery_seconds=sorted(round(each, 1) for each in stream.recoveries),
        repeated=found.repeated,
    )
    assert stream.hits.total() == len(MANY) == 20
    assert_nothing_is_lost_or_doubled(found, 200_000, len(MANY))
