"""Three-valued logic on columns of 0.0, 1.0 and NaN (unknown), as in SQL."""

import numpy as np

from features.profile import Column


def flag(condition: np.typing.NDArray[np.bool_], *known: Column) -> Column:
    """Turn a condition into a flag that is unknown where one of the columns it was made from is unknown."""
    unknown = np.zeros(condition.shape, dtype=np.bool_)
    for column in known:
        unknown |= np.isnan(column)
    return np.where(unknown, np.nan, condition.astype(np.float64))


def both(left: Column, right: Column) -> Column:
    """Both are true: false and unknown is false, true and unknown is unknown."""
    false = (left == 0) | (right == 0)
    return np.where(false, 0.0, np.where(np.isnan(left) | np.isnan(right), np.nan, 1.0))


def negated(value: Column) -> Column:
    """Not true: unknown stays unknown."""
    return 1.0 - value


def share_of_known(*flags: Column) -> Column:
    """Mean of the flags that are known; unknown where none is."""
    table = np.stack(flags)
    known = ~np.isnan(table)
    count = known.sum(axis=0)
    total = np.where(known, table, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def tier(value: Column, *bounds: float) -> Column:
    """Number of bounds that the value has reached, 0 .. len(bounds); unknown stays unknown."""
    reached = np.searchsorted(np.array(bounds, dtype=np.float64), value, side="right").astype(np.float64)
    return np.where(np.isnan(value), np.nan, reached)
