"""Time: where "now" comes from, and the one way in which a moment is written and read."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Tells the present moment, with its zone. Handed in, so that a test can say what time it is."""

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)


class TimeError(ValueError):
    """A text is not a moment; the message shows it and an example of what is wanted."""


def utc_now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def parse_time(text: str) -> datetime:
    """Read a moment as RFC 3339 with a zone; digits finer than a microsecond are refused, not cut off.

    >>> parse_time("2026-03-01T09:30:00+01:00").isoformat()
    '2026-03-01T08:30:00+00:00'

    Returns:
        The moment in UTC.

    Raises:
        TimeError: The text has no zone, another form, or names a day or an hour that does not exist.
    """
    if not RFC3339.fullmatch(text):
        raise TimeError(f"{text!r} is not a time; write it like 2026-03-01T08:30:00Z (RFC 3339, with a zone)")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise TimeError(f"{text!r} is not a time: {error}") from error


def format_time(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with microseconds, so that texts sort as the moments do.

    >>> format_time(datetime(2026, 3, 1, 8, 30, tzinfo=UTC))
    '2026-03-01T08:30:00.000000Z'

    Raises:
        TimeError: The moment has no zone.
    """
    if moment.tzinfo is None:
        raise TimeError(f"{moment.isoformat()} has no zone; moments carry one here")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
