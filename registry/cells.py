"""The cells of a CSV of labelled accounts: text in, numbers out, or what was wanted instead."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from features.profile import LARGEST_COUNT
from features.scrutiny import MOST_IDENTIFIER_BYTES, is_identifier

MOST_SHOWN = 80
"""Characters of a bad value that a message repeats."""

LABELS = {"bot": 1.0, "human": 0.0}
"""The upstream's words; the proxy for untrustworthy (1) and trustworthy (0)."""

UNKNOWN = float("nan")


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that was not used: the line it starts on, the column at fault, the value there, and why."""

    line: int
    field: str
    value: str
    why: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"line {self.line}: {self.field} is {self.value[:MOST_SHOWN]!r}; {self.why}"


class CellError(ValueError):
    """A cell does not hold what its column needs; the message says what is wanted."""


def identifier(text: str) -> str:
    """Read an id: text that may name a KOL."""
    if not is_identifier(text):
        raise CellError(f"wanted is text of 1 to {MOST_IDENTIFIER_BYTES} bytes without control characters")
    return text


def count(text: str) -> float:
    """Read a whole number >= 0; `12.0`, as table tools write it beside gaps, is one."""
    digits = text.removesuffix(".0")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 16 and int(digits) <= LARGEST_COUNT):
        raise CellError(f"wanted is a whole number from 0 to {LARGEST_COUNT}")
    return float(digits)


def flag(text: str) -> float:
    """Read True or False, in any case."""
    word = text.lower()
    if word not in {"true", "false"}:
        raise CellError("wanted is True or False")
    return float(word == "true")


def label(text: str) -> float:
    """Read a label: 1 untrustworthy, 0 trustworthy."""
    if text not in LABELS:
        raise CellError(f"wanted is one of {', '.join(LABELS)}")
    return LABELS[text]


def moment(text: str) -> datetime:
    """Read a date and time; without a zone it is UTC. The result has no zone and is in UTC, as NumPy wants it."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise CellError("wanted is a date and time like 2016-11-09 05:01:30") from error
    return (read if read.tzinfo is None else read.astimezone(UTC)).replace(tzinfo=None)


def or_unknown(read: Callable[[str], float]) -> Callable[[str], float]:
    """Make a reader that takes an empty cell as unknown."""
    return lambda text: read(text) if text else UNKNOWN


READERS: Mapping[str, Callable[[str], str | float | datetime]] = {
    "id": identifier,
    "created_at": moment,
    "followers_count": count,
    "friends_count": count,
    "statuses_count": count,
    "favourites_count": or_unknown(count),
    "account_age_days": count,
    "verified": or_unknown(flag),
    "default_profile_image": or_unknown(flag),
    "description": len,
    "account_type": label,
}
"""The upstream's columns that we need, and how a cell of each is read; a description counts by its characters."""
