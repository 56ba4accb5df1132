"""Events for tests: good ones that hit every edge of the features, and bad ones with the reason each must get."""

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np

from features.event import Event, encode_event
from features.profile import LARGEST_COUNT, RAW_COLUMNS, RAW_NAMES
from features.reference import TRUSTWORTHY, UNTRUSTWORTHY

Values = tuple[int | bool | None, ...]

BOUNDS = (0, 1, 2, 20, 49, 50, 51, 99, 100, 101, 179, 180, 181, 199, 200, 201, 364, 365, 729, 730, 999, 1_000, 1_001)
FAR_BOUNDS = (1_824, 1_825, 9_999, 10_000, 10_001, 99_999, 100_000, 999_999, 1_000_000, 2**31, 2**53 - 1, LARGEST_COUNT)
BAD_EVENTS: tuple[tuple[bytes, str], ...] = (
    (b"", "empty"),
    (b"garbage", "unparsable"),
    (b"[1]", "not_an_object"),
    (b"{}", "missing_field"),
    (b'{"schema_version": 9}', "unknown_schema_version"),
    (b"\xff\xfe", "unparsable"),
    (b'{"schema_version": 1, "schema_version": 1}', "duplicate_key"),
)


def varied_values(count: int, seed: int) -> list[Values]:
    """Return raw profiles: the references, a tie at every bound of a formula, extremes, then random ones."""
    chance = np.random.default_rng(seed)
    edges = [*BOUNDS, *FAR_BOUNDS]
    found: list[Values] = [TRUSTWORTHY.values(), UNTRUSTWORTHY.values()]
    for edge, position in itertools.product(edges, range(len(RAW_NAMES))):
        values = list(TRUSTWORTHY.values())
        if RAW_COLUMNS[position].kind == "count":
            values[position] = edge
            found.append(tuple(values))
    while len(found) < count:
        found.append(tuple(random_value(chance, position) for position in range(len(RAW_NAMES))))
    return found[:count]


def random_value(chance: np.random.Generator, position: int) -> int | bool | None:
    """Draw one raw value; optional ones are unknown in a quarter of the rows."""
    column = RAW_COLUMNS[position]
    if not column.required and chance.random() < 0.25:
        return None
    if column.kind == "flag":
        return bool(chance.integers(0, 2))
    return int(10 ** chance.uniform(0, 7)) - 1


def event_of(values: Values, number: int, *, at: datetime, kol: str | None = None) -> Event:
    """Make event `number` of a profile; its KOL is named by the number unless one is given."""
    fields = dict(zip(RAW_NAMES, values, strict=True))
    return Event(event_id=f"e{number:06}", event_time=at, kol_id=kol or f"test:k{number:06}", **fields)  # type: ignore[arg-type]  # by kind


def encoded_events(values: list[Values], *, at: datetime) -> list[tuple[bytes, bytes]]:
    """Return (key, value) messages of profiles, one KOL each."""
    events = (event_of(row, number, at=at) for number, row in enumerate(values))
    return [(event.kol_id.encode(), encode_event(event)) for event in events]


def an_hour_ago() -> datetime:
    """Return an instant that is safely in the past, on a whole microsecond."""
    return datetime.now(UTC) - timedelta(hours=1)
