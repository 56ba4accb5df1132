"""The raw profile: the ten numbers and flags observed of a KOL, one row or many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]
"""One value a KOL; NaN = unknown; flags are 0.0 and 1.0."""

LARGEST_COUNT = 2**53
"""Largest count accepted: above it float64 no longer holds every whole number."""


@dataclass(frozen=True, slots=True)
class RawColumn:
    """One observed fact about a KOL.

    Attributes:
        name: Field name in events, tables and requests.
        kind: `count` is a whole number >= 0, `flag` is true or false.
        required: Whether an event without it is refused; the others may be unknown.
        unit: Unit of the value.
        meaning: What it is, for people who read the API documentation.
    """

    name: str
    kind: Literal["count", "flag"]
    required: bool
    unit: str
    meaning: str


RAW_COLUMNS: tuple[RawColumn, ...] = (
    RawColumn("followers_count", "count", required=True, unit="accounts", meaning="Accounts that follow the KOL."),
    RawColumn("following_count", "count", required=True, unit="accounts", meaning="Accounts the KOL follows."),
    RawColumn("post_count", "count", required=True, unit="posts", meaning="Posts since the account was created."),
    RawColumn(
        "favorites_count",
        "count",
        required=False,
        unit="likes",
        meaning="Likes the account gave (the platform's favourites counter), not likes it received.",
    ),
    RawColumn(
        "account_age_days",
        "count",
        required=True,
        unit="days",
        meaning="Age of the account as observed at event_time; never advanced later.",
    ),
    RawColumn("verified", "flag", required=False, unit="-", meaning="The platform verified the account."),
    RawColumn("has_bio", "flag", required=False, unit="-", meaning="The profile has a biography."),
    RawColumn("has_url", "flag", required=False, unit="-", meaning="The profile links to a page."),
    RawColumn("has_profile_image", "flag", required=False, unit="-", meaning="The profile has its own image."),
    RawColumn("bio_length", "count", required=False, unit="characters", meaning="Length of the biography."),
)
RAW_NAMES: tuple[str, ...] = tuple(column.name for column in RAW_COLUMNS)
OPTIONAL_NAMES: tuple[str, ...] = tuple(column.name for column in RAW_COLUMNS if not column.required)
COUNT_AS_MISSING = tuple(
    (position, column.name)
    for position, column in enumerate(RAW_COLUMNS)
    if not column.required and column.name != "has_url"
)
FLAG_NAMES: tuple[str, ...] = tuple(column.name for column in RAW_COLUMNS if column.kind == "flag")


@dataclass(frozen=True, slots=True)
class Profiles:
    """Raw profiles of n KOLs as columns of float64, in the order of `RAW_COLUMNS`; NaN = unknown."""

    followers_count: Column
    following_count: Column
    post_count: Column
    favorites_count: Column
    account_age_days: Column
    verified: Column
    has_bio: Column
    has_url: Column
    has_profile_image: Column
    bio_length: Column

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[float | None]]) -> "Profiles":
        """Build from rows of ten values in the order of `RAW_COLUMNS`; None = unknown."""
        table = np.array(rows, dtype=np.float64).reshape(len(rows), len(RAW_NAMES))
        return cls(*np.ascontiguousarray(table.T))

    @classmethod
    def of_columns(cls, columns: Mapping[str, Sequence[float | None] | Column]) -> "Profiles":
        """Build from named columns; None = unknown. Further columns are ignored.

        Raises:
            KeyError: A raw column is absent. An unknown value is a None inside a column, never a column left out.
        """
        return cls(*(np.ascontiguousarray(columns[name], dtype=np.float64) for name in RAW_NAMES))

    def __len__(self) -> int:
        """Count the KOLs."""
        return len(self.followers_count)

    def columns(self) -> dict[str, Column]:
        """Return the columns by name, in the order of `RAW_COLUMNS`."""
        return {name: getattr(self, name) for name in RAW_NAMES}


def missing_fields(values: Sequence[float | bool | None]) -> tuple[str, ...]:
    """Name the unknown fields of one profile, given as ten values in the order of `RAW_COLUMNS`.

    `has_url` does not count: no labelled account has it known, so a model learns nothing from it either way.
    """
    return tuple(
        [
            name
            for position, name in COUNT_AS_MISSING
            if (value := values[position]) is None or value != value  # noqa: PLR0124 - NaN differs from itself
        ]
    )
