"""What is called stale, and why: what is unknown or impossible is never called fresh."""

from datetime import datetime, timedelta

import pytest

from serving.freshness import Freshness, Limits, StaleReason, age_seconds, stale_because
from tests.support_views import NOON, later

LIMITS = Limits(old_event=timedelta(days=30), realtime_behind=timedelta(seconds=30), batch_late=timedelta(hours=36))
FRESH = Freshness(cutoff=NOON, caught_up_at=NOON)

CASES: dict[str, tuple[datetime, Freshness, datetime, tuple[StaleReason, ...]]] = {
    "all fresh": (NOON, FRESH, NOON, ()),
    "event of 30 days": (NOON - timedelta(days=30), FRESH, NOON, ()),
    "event older than 30 days": (NOON - timedelta(days=30, microseconds=1), FRESH, NOON, ("old_event",)),
    "realtime 31 s behind": (NOON, Freshness(NOON, later(-31)), NOON, ("realtime_behind",)),
    "realtime never seen": (NOON, Freshness(NOON, None), NOON, ("realtime_behind",)),
    "batch of 37 hours": (NOON, Freshness(later(-37 * 3600), NOON), NOON, ("batch_late",)),
    "no batch": (NOON, Freshness(None, NOON), NOON, ("batch_late",)),
    "nothing known": (
        NOON - timedelta(days=99),
        Freshness(None, None),
        NOON,
        ("old_event", "realtime_behind", "batch_late"),
    ),
    "an event 4 minutes ahead": (later(240), FRESH, NOON, ()),
    "a clock set back a day": (NOON, FRESH, later(-86_400), ("old_event", "realtime_behind", "batch_late")),
}


@pytest.mark.parametrize("case", CASES)
def test_reasons_name_exactly_what_is_late(case: str) -> None:
    observed_at, freshness, now, wanted = CASES[case]
    assert stale_because(observed_at, freshness, LIMITS, now) == wanted


def test_age_is_counted_from_the_observation_in_milliseconds() -> None:
    assert age_seconds(NOON, later(1.2345)) in {1.234, 1.235}


def test_an_event_from_the_tolerated_future_has_age_zero() -> None:
    assert age_seconds(later(3), NOON) == 0
