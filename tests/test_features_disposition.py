"""The rule of new, duplicate and superseded, against one that remembers everything and compares with all of it."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import disposition
from features.disposition import Arrival, Disposition, Ruling, order_key, rule
from features.instant import format_instant

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TIMES = [datetime(1, 1, 1, tzinfo=UTC), NOON, NOON + timedelta(microseconds=1), datetime(9999, 12, 31, tzinfo=UTC)]
BODIES = ["00000000000000aa", "aa00000000000000", "ffffffffffffffff"]
ARRIVALS = st.builds(
    lambda kol, name, at, body: Arrival(kol, f"{name}", at, body),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["e", "e!", "é", "𐍈", "f"]),
    st.sampled_from(TIMES),
    st.sampled_from(BODIES),
)


def key(arrival: Arrival) -> tuple[str, str, str]:
    """Return the order of events as answers are ordered."""
    return format_instant(arrival.event_time), arrival.event_id, arrival.body_hash


def by_memory(arrivals: list[Arrival]) -> list[Ruling]:
    """Rule by comparing each event with every one before it."""
    rulings = []
    for number, arrival in enumerate(arrivals):
        before = arrivals[:number]
        same_id = [other for other in before if other.event_id == arrival.event_id]
        if any(other.body_hash == arrival.body_hash for other in same_id):
            rulings.append(Ruling(Disposition.DUPLICATE, conflict=False))
        else:
            older = any(key(other) > key(arrival) for other in before if other.kol_id == arrival.kol_id)
            what = Disposition.SUPERSEDED if older else Disposition.NEW
            rulings.append(Ruling(what, conflict=bool(same_id)))
    return rulings


def consistent(arrivals: list[Arrival]) -> list[Arrival]:
    """Let the content name KOL and time, as a body's hash does."""
    said: dict[tuple[str, str], Arrival] = {}
    return [said.setdefault((arrival.event_id, arrival.body_hash), arrival) for arrival in arrivals]


@given(st.lists(ARRIVALS, max_size=12), st.lists(st.integers(1, 4), max_size=12))
def test_the_rule_says_what_comparing_with_everything_before_says_however_the_events_are_cut_into_batches(
    arrivals: list[Arrival], cuts: list[int]
) -> None:
    arrived = consistent(arrivals)
    bodies: dict[str, bytes] = {}
    newest: dict[str, bytes] = {}
    ruled: list[Ruling] = []
    for cut in [*cuts, len(arrived)]:
        ruled += rule(arrived[len(ruled) : len(ruled) + cut], bodies, newest)
    assert ruled == by_memory(arrived)


@given(st.lists(ARRIVALS, max_size=8))
def test_events_that_all_come_again_are_all_duplicates(arrivals: list[Arrival]) -> None:
    bodies: dict[str, bytes] = {}
    newest: dict[str, bytes] = {}
    first = consistent(arrivals)
    rule(first, bodies, newest)
    known = dict(bodies), dict(newest)
    assert {ruling.disposition for ruling in rule(reversed(first), bodies, newest)} <= {Disposition.DUPLICATE}
    assert (bodies, newest) == known


@given(ARRIVALS, ARRIVALS)
def test_keys_order_as_answers_are_ordered(one: Arrival, other: Arrival) -> None:
    assert (order_key(one) < order_key(other)) == (key(one) < key(other))


@given(st.permutations([Arrival("k", f"e{day}", NOON + timedelta(days=day), f"{day:016x}") for day in range(5)]))
def test_in_any_order_the_newest_event_is_new_and_only_older_ones_are_superseded(arrivals: list[Arrival]) -> None:
    found = dict(zip(arrivals, rule(arrivals, {}, {}), strict=True))
    assert found[max(arrivals, key=key)].disposition is Disposition.NEW
    assert found[arrivals[0]].disposition is Disposition.NEW


def test_without_the_look_at_contents_a_repeated_event_would_pass_for_new(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [Arrival("k", "e", NOON, BODIES[0])] * 2
    assert [ruling.disposition for ruling in rule(twice, {}, {})] == ["new", "duplicate"]
    monkeypatch.setattr(disposition, "is_among", lambda *_: False)
    assert rule(twice, {}, {}) != by_memory(twice)


def test_ruling_costs_less_than_five_microseconds_an_event() -> None:
    arrivals = [Arrival(f"k{n % 9999}", f"event-{n}", NOON + timedelta(seconds=n), f"{n:016x}") for n in range(20_000)]
    tries = []
    for _ in range(5):
        started = time.process_time()
        rule(arrivals, {}, {})
        tries.append(time.process_time() - started)
    assert min(tries) / len(arrivals) < 5e-6
