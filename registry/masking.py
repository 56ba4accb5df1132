"""Hidden fields: what a model is shown in training so that it knows unknown facts, and never takes them for zero."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from features.catalogue import NAMES, feature_matrix
from features.profile import OPTIONAL_NAMES, RAW_NAMES, Column, Profiles

URL = "has_url"
HIDEABLE = tuple(name for name in OPTIONAL_NAMES if name != URL)
"""Optional fields that labelled accounts have known, so that they can be hidden."""

Rows = NDArray[np.intp] | NDArray[np.bool_]


def taken(profiles: Profiles, rows: Rows) -> Profiles:
    """Return some rows, by position or by mask."""
    return Profiles(*(column[rows] for column in profiles.columns().values()))


def joined(parts: Sequence[Profiles]) -> Profiles:
    """Return the rows of all parts, one after another."""
    return Profiles(*(np.concatenate([getattr(part, name) for part in parts]) for name in RAW_NAMES))


def with_random_url(profiles: Profiles, chance: np.random.Generator) -> Profiles:
    """Make `has_url` unknown in half of the rows and a coin's toss in the rest.

    No labelled account has it known. Shown like this a model has seen known, unknown and all fractions of
    completeness, and cannot learn anything from it: knowing it neither helps nor hurts.
    """
    known = chance.random(len(profiles)) < 0.5
    tossed = (chance.random(len(profiles)) < 0.5).astype(np.float64)
    return _replaced(profiles, {URL: np.where(known, tossed, np.nan)})


def some_hidden(profiles: Profiles, chance: np.random.Generator) -> Profiles:
    """Hide each optional field of each row with probability one half, one independent of the other."""
    hidden = {name: chance.random(len(profiles)) < 0.5 for name in HIDEABLE}
    return _replaced(profiles, {name: np.where(hidden[name], np.nan, getattr(profiles, name)) for name in HIDEABLE})


def all_hidden(profiles: Profiles) -> Profiles:
    """Hide every optional field."""
    return _replaced(profiles, {name: np.full(len(profiles), np.nan) for name in OPTIONAL_NAMES})


def features_that_can_be_unknown() -> tuple[str, ...]:
    """Name the features that are unknown for some profile with optional fields hidden.

    Each needs a split that knows unknown values, or none at all. Large and small accounts are asked, because a flag
    such as `fake_follower_indicator` depends on the hidden field only above its bound.
    """
    sizes = Profiles.of_rows([(size,) * len(RAW_NAMES) for size in (0, 1, 10_000_000)])
    unknown = np.isnan(feature_matrix(all_hidden(sizes)))
    return tuple(name for name, column in zip(NAMES, unknown.T, strict=True) if column.any())


def _replaced(profiles: Profiles, columns: dict[str, Column]) -> Profiles:
    """Return the profiles with some columns replaced."""
    return Profiles(**{**profiles.columns(), **columns})
