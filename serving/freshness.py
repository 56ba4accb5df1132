"""How fresh an answer is: computed on every read from the answer, the present moment and the state of the layers."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Self

from features.event import FUTURE_TOLERANCE
from runtime.settings import Settings

StaleReason = Literal["old_event", "realtime_behind", "batch_late"]


@dataclass(frozen=True, slots=True)
class Limits:
    """From which age on something is stale; each is a setting."""

    old_event: timedelta
    realtime_behind: timedelta
    batch_late: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Take the limits from the settings."""
        return cls(
            old_event=timedelta(days=settings.old_event_days),
            realtime_behind=timedelta(seconds=settings.realtime_behind_seconds),
            batch_late=timedelta(hours=settings.batch_late_hours),
        )


@dataclass(frozen=True, slots=True)
class Freshness:
    """Up to when the two layers have seen everything.

    Attributes:
        cutoff: Events before it are in the batch view; None without a published view.
        caught_up_at: Scores appended to `kol.scores` before it are in the realtime view; None before the first time.
            It stands still when the keeper, the broker or the line between them is down, and when the keeper lags.
        polled_at: When the keeper last heard from the broker, or None.
        lag: Scores in the topic that are not in the view yet, at `polled_at`.
    """

    cutoff: datetime | None
    caught_up_at: datetime | None
    polled_at: datetime | None = None
    lag: int = 0


def age_seconds(observed_at: datetime, now: datetime) -> float:
    """Return the age of an observation in seconds, three decimals; 0 for one from the tolerated near future."""
    return max(0.0, round((now - observed_at).total_seconds(), 3))


def late_layers(freshness: Freshness, limits: Limits, now: datetime) -> tuple[StaleReason, ...]:
    """Say which layers are behind; what is unknown counts as behind, never as fresh."""
    reasons: list[StaleReason] = []
    if _is_old(freshness.caught_up_at, limits.realtime_behind, now):
        reasons.append("realtime_behind")
    if _is_old(freshness.cutoff, limits.batch_late, now):
        reasons.append("batch_late")
    return tuple(reasons)


def stale_because(
    observed_at: datetime, freshness: Freshness, limits: Limits, now: datetime
) -> tuple[StaleReason, ...]:
    """Say why an answer may no longer be true; empty = it is fresh.

    Args:
        observed_at: The event's time.
        freshness: How far the layers are.
        limits: From when on something is stale.
        now: The present moment.

    Returns:
        `old_event`: the KOL was observed long ago. `realtime_behind`: newer scores may wait in the topic.
        `batch_late`: the published nightly run is old, or there is none.
    """
    late = late_layers(freshness, limits, now)
    return ("old_event", *late) if _is_old(observed_at, limits.old_event, now) else late


def _is_old(moment: datetime | None, limit: timedelta, now: datetime) -> bool:
    """Tell whether a moment is further back than the limit, unknown, or so far ahead that a clock must be wrong."""
    return moment is None or now - moment > limit or moment - now > FUTURE_TOLERANCE
