"""Instants as text: RFC 3339, UTC, microseconds, one spelling, so that text order is time order."""

import functools
import re
from datetime import UTC, datetime

RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})", re.ASCII)


def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 date-time with a zone and at most six digits of seconds; return it in UTC.

    Raises:
        ValueError: It has no zone, a finer fraction (which would have to be guessed away), or is no date at all.
    """
    if RFC_3339.fullmatch(text) is None:
        message = f"{text!r} is not like 2026-01-31T12:00:00.000000Z (RFC 3339, with zone, microseconds at most)"
        raise ValueError(message)
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = f"{text!r} is no instant in the years 1 to 9999 UTC: {error}"
        raise ValueError(message) from error


@functools.lru_cache(maxsize=64)
def format_instant(instant: datetime) -> str:
    """Write an instant the one way it is stored and sent: `2026-01-31T12:00:00.000000Z`.

    >>> format_instant(parse_instant("2026-01-31T12:00:00+07:00"))
    '2026-01-31T05:00:00.000000Z'

    Raises:
        ValueError: It has no zone.
    """
    if instant.tzinfo is None:
        message = f"{instant.isoformat()} has no zone; instants carry one here"
        raise ValueError(message)
    in_utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return in_utc.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
