"""Whether the lake holds all that was known at the cutoff: the nightly job never works on half a day."""

import time
from collections.abc import Callable
from datetime import datetime

from runtime.failure import DataQualityError
from runtime.landed import read_landed
from runtime.settings import Settings
from runtime.topics import EVENTS, offsets_at, topic_ids

POLL_SECONDS = 0.5


class NotLandedError(DataQualityError):
    """Events that Kafka received before the cutoff are not in the lake yet."""


def events_to_land(settings: Settings, cutoff: datetime) -> dict[int, int]:
    """Count, per partition, the events appended before the cutoff that are not landed yet; empty = complete."""
    wanted = offsets_at(settings, EVENTS, cutoff)
    landed = read_landed(settings)
    same_topic = landed is not None and landed.topic_ids.get(EVENTS) == topic_ids(settings)[EVENTS]
    reached = landed.positions.get(EVENTS, {}) if landed is not None and same_topic else {}
    behind = {partition: offset - reached.get(partition, 0) for partition, offset in wanted.items()}
    return {partition: count for partition, count in behind.items() if count > 0}


def wait_until_landed(settings: Settings, cutoff: datetime, *, seconds: float, report: Callable[[int], None]) -> None:
    """Wait until landing has reached the cutoff.

    Args:
        settings: Where Kafka and the lake are.
        cutoff: Events that the broker received before it must be in the lake.
        seconds: How long to wait.
        report: Called with the number of events still to land, at every look.

    Raises:
        NotLandedError: The time is up.
    """
    deadline = time.monotonic() + seconds
    while behind := events_to_land(settings, cutoff):
        report(sum(behind.values()))
        if time.monotonic() >= deadline:
            raise NotLandedError(
                f"{sum(behind.values())} events received before {cutoff.isoformat()} are not in the lake after "
                f"{seconds:.0f} s (partitions {sorted(behind)}); run ./kol stream land, and try again"
            )
        time.sleep(POLL_SECONDS)
