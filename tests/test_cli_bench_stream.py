"""`./kol bench stream`: its arithmetic, its load, and how a part of it is asked for."""

from datetime import UTC, datetime

import pytest

from benchmarks.stream import PARTS, Scale, UnknownFigureError, measure, parts_of
from benchmarks.stream_latency import percentile
from benchmarks.stream_load import SHAPES, Load
from benchmarks.stream_throughput import rate
from features.event import Event, decode_event
from runtime.settings import Settings
from tests.support_cli import kol


def test_every_event_of_a_load_is_good_and_tells_its_number() -> None:
    load, now = Load("one"), datetime.now(UTC)
    for number in range(SHAPES):
        key, value = load.event(number, now)
        event = decode_event(value, seen_at=now)
        assert isinstance(event, Event)
        assert event.kol_id.encode() == key
        assert load.number(event.event_id) == number


def test_another_load_is_not_counted() -> None:
    assert Load("one").number("two:5") is None


def test_the_rate_is_taken_after_the_first_tenth() -> None:
    appended = [*range(0, 10_000, 1_000), *range(10_000, 19_000, 100)]
    assert rate(appended) == 10.0
    assert rate([5] * 20) == 0.0


def test_a_percentile_is_in_tenths() -> None:
    assert percentile([float(n) for n in range(101)], 99) == 99.0


def test_all_parts_are_taken_unless_some_are_asked_for() -> None:
    assert parts_of(Scale()) == list(PARTS.values())
    assert parts_of(Scale(only=("loop",))) == [PARTS["loop"]]


def test_a_part_that_is_not_there_is_refused_before_anything_starts(settings: Settings) -> None:
    with pytest.raises(UnknownFigureError, match="no part 'speed'; it has: latency"):
        measure(settings, 1, Scale(only=("speed",)))


def test_a_bench_that_knows_one_scale_is_run_as_a_whole(settings: Settings) -> None:
    ran = kol("bench", "demo", "--events", "1000", settings=settings)
    assert ran.code == 1
    assert "is run as a whole" in ran.err
