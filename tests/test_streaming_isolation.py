"""Rows that kill or hang the scorer, here without Spark: they alone are refused, and all others keep their outcomes."""

import os
import signal
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from time import monotonic, sleep

import pytest

from features.rejection import decode_rejection
from features.score import Provenance
from runtime.topics import EVENTS
from streaming import isolation
from streaming.isolation import MOST_UNSCORABLE, ScorerBrokenError, decide_safely
from streaming.outcomes import Message, Outcome

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ROWS = 3_000
POISONED = {0, 1, 777, 1_500, ROWS - 1}


def messages(count: int = ROWS) -> list[Message]:
    return [Message(str(number).encode(), EVENTS, Provenance("T", 0, number), NOW) for number in range(count)]


def scorer(poisoned: set[int], do: Callable[[], object]) -> Callable[[Sequence[Message]], list[Outcome]]:
    """Make a scorer that does something terrible as soon as it sees some rows."""

    def decide(given: Sequence[Message]) -> list[Outcome]:
        if any(int(message.value or b"") in poisoned for message in given):
            do()
        return [Outcome(scored=True, key=message.value or b"", value=b"fine") for message in given]

    return decide


def die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def raise_an_error() -> None:
    message = "the model gives nonsense"
    raise ValueError(message)


def refused_places(decided: list[Outcome]) -> set[int]:
    """Return where the refused messages stood; all others must be in their places, with what was decided."""
    for number, outcome in enumerate(decided):
        assert (outcome.key, outcome.value) == (str(number).encode(), b"fine") or not outcome.scored
    rejections = [decode_rejection(outcome.value) for outcome in decided if not outcome.scored]
    assert {each.reason for each in rejections} <= {"unscorable"}
    return {each.provenance.offset for each in rejections}


def test_exactly_the_rows_that_kill_are_refused_and_the_rest_is_scored_in_order() -> None:
    decided = decide_safely(messages(), scorer(POISONED, die), attempt=1, at=NOW)
    assert len(decided) == ROWS
    assert refused_places(decided) == POISONED


def test_a_row_that_hangs_is_refused_in_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "START_SECONDS", 0.2)
    monkeypatch.setattr(isolation, "CONFIRM_SECONDS", 0.5)
    began = monotonic()
    decided = decide_safely(messages(64), scorer({40}, lambda: sleep(600)), attempt=1, at=NOW)
    assert refused_places(decided) == {40}
    assert monotonic() - began < 30


def test_the_time_for_a_full_batch_ends_before_its_worker_counts_as_hung() -> None:
    parts = [20_000 // 2**halving for halving in range(15)]
    longest = sum(isolation.START_SECONDS + rows * isolation.SECONDS_PER_ROW for rows in parts)
    assert longest + isolation.CONFIRM_SECONDS < isolation.IDLE_SECONDS / 2


def test_a_first_attempt_starts_no_child() -> None:
    pids: list[int] = []
    decide_safely(messages(1), scorer({0}, lambda: pids.append(os.getpid())), attempt=0, at=NOW)
    assert pids == [os.getpid()]


def test_a_worker_that_somebody_killed_costs_no_row() -> None:
    assert refused_places(decide_safely(messages(), scorer(set(), die), attempt=3, at=NOW)) == set()


def test_an_error_is_no_death_and_refuses_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="nonsense"):
        decide_safely(messages(), scorer({5}, raise_an_error), attempt=1, at=NOW)


def test_a_scorer_that_dies_of_everything_stops_and_refuses_nothing() -> None:
    with pytest.raises(ScorerBrokenError, match="more than 50 of 200 events"):
        decide_safely(messages(200), scorer(set(range(MOST_UNSCORABLE + 100)), die), attempt=1, at=NOW)
