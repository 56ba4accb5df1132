"""How good scores are for parts of the accounts: by followers, age and verification, each figure with its interval."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.formulas import account_age_tier, followers_tier
from features.profile import Column, Profiles
from registry.evaluation import ECE_BINS, brier, calibration_error, roc_auc

ALL = "all"
TIERS = ("nano", "micro", "mid", "macro", "mega")
AGE_BANDS = ("age_below_1_year", "age_1_to_2_years", "age_2_to_5_years", "age_from_5_years")
YOUNG_DAYS = 3 * 365
"""Accounts younger than this are the slice `young`: below two years the public accounts are too few to say much."""

LEAST_OF_EACH_LABEL = 25
"""With fewer accounts of one label in a slice its figures mean nothing and are left out."""
DRAWS = 500
TOGETHER = 50
"""Draws that are computed at once; 50 of 6,000 accounts are 2.4 MB a table."""
SURE = 0.95

Measures = dict[str, Callable[[Column, Column], float]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and the bootstrap interval that holds it with a chance of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bin:
    """One row of a reliability table: what was said of some accounts, and what was so.

    Attributes:
        low: Least P(untrustworthy) of the bin; it is 1/15 wide.
        rows: Accounts in it.
        mean_p: Mean P(untrustworthy) that was shown; None without accounts.
        share: Share of the untrustworthy; None without accounts.
    """

    low: float
    rows: int
    mean_p: float | None
    share: float | None


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of the accounts, and how good the scores are for them.

    Attributes:
        name: Which accounts.
        rows: How many.
        untrustworthy: How many of them carry that label.
        figures: `roc_auc`, `ece15`, `brier`; empty when there are too few of a label.
        reliability: Fifteen bins.
    """

    name: str
    rows: int
    untrustworthy: int
    figures: dict[str, Figure]
    reliability: tuple[Bin, ...]


def measure_slices(profiles: Profiles, labels: Column, p: Column, *, seed: int = 1) -> tuple[Slice, ...]:
    """Measure all accounts, then each slice that has any.

    Args:
        profiles: The accounts.
        labels: 1.0 untrustworthy, 0.0 trustworthy.
        p: P(untrustworthy) as shown.
        seed: Of the draws; the same seed and accounts give the same intervals.
    """
    members = membership(profiles)
    return tuple(_measure(name, labels[rows], p[rows], seed) for name, rows in members.items() if rows.any())


def membership(profiles: Profiles) -> dict[str, NDArray[np.bool_]]:
    """Mark the accounts of each slice; one whose `verified` is unknown is in neither of those two."""
    tiers, ages = followers_tier(profiles), account_age_tier(profiles)
    return {
        ALL: np.ones(len(profiles), dtype=np.bool_),
        **{name: tiers == number for number, name in enumerate(TIERS)},
        **{name: ages == number for number, name in enumerate(AGE_BANDS)},
        "young": profiles.account_age_days < YOUNG_DAYS,
        "verified": profiles.verified == 1,
        "unverified": profiles.verified == 0,
    }


def as_metrics(slices: tuple[Slice, ...]) -> dict[str, float]:
    """Return the figures of all slices but the whole by names such as `slice.nano.roc_auc`."""
    return {
        f"slice.{one.name}.{name}": figure.value
        for one in slices
        if one.name != ALL
        for name, figure in one.figures.items()
    }


def reliability(labels: Column, p: Column) -> tuple[Bin, ...]:
    """Return the reliability table: 15 bins of equal width of P(untrustworthy)."""
    return tuple(_bins(labels, p))


def _measure(name: str, labels: Column, p: Column, seed: int) -> Slice:
    """Measure one slice."""
    poor = int(labels.sum())
    enough = min(poor, len(labels) - poor) >= LEAST_OF_EACH_LABEL
    figures = _figures(labels, p, np.random.default_rng(seed)) if enough else {}
    return Slice(name, len(labels), poor, figures, reliability(labels, p))


def _figures(labels: Column, p: Column, chance: np.random.Generator) -> dict[str, Figure]:
    """Return the figures of one slice with their intervals."""
    measures: Measures = {"roc_auc": roc_auc, "ece15": calibration_error, "brier": brier}
    low, high = np.quantile(_drawn(labels, p, chance), [(1 - SURE) / 2, (1 + SURE) / 2], axis=0)
    return {
        name: Figure(measure(labels, p), float(low[place]), float(high[place]))
        for place, (name, measure) in enumerate(measures.items())
    }


def _drawn(labels: Column, p: Column, chance: np.random.Generator) -> NDArray[np.float64]:
    """Return the three figures of each draw, a row per draw; accounts are drawn with replacement."""
    order = np.argsort(p, kind="stable")
    labels, p = labels[order], p[order]
    parts = []
    for _ in range(DRAWS // TOGETHER):
        times = _times(len(p), chance)
        parts.append(np.column_stack((_aucs(labels, p, times), _eces(labels, p, times), _briers(labels, p, times))))
    return np.concatenate(parts)


def _times(rows: int, chance: np.random.Generator) -> NDArray[np.float64]:
    """Return how often each account is drawn, a row per draw."""
    picked = chance.integers(0, rows, (TOGETHER, rows)) + np.arange(TOGETHER)[:, None] * rows
    return np.bincount(picked.ravel(), minlength=TOGETHER * rows).reshape(TOGETHER, rows).astype(np.float64)


def _aucs(labels: Column, p: Column, times: NDArray[np.float64]) -> Column:
    """Return the ROC-AUC of each draw; `p` rises; a tie counts one half."""
    starts = np.flatnonzero(np.diff(p, prepend=-1.0))
    bad = np.add.reduceat(times * labels, starts, axis=1)
    good = np.add.reduceat(times * (1 - labels), starts, axis=1)
    below = np.cumsum(good, axis=1) - good / 2
    pairs = bad.sum(axis=1) * good.sum(axis=1)
    found: Column = (bad * below).sum(axis=1) / pairs
    return found


def _eces(labels: Column, p: Column, times: NDArray[np.float64]) -> Column:
    """Return the expected calibration error of each draw."""
    gaps = np.where(_places(p)[:, None] == np.arange(ECE_BINS), (labels - p)[:, None], 0.0)
    found: Column = np.abs(times @ gaps).sum(axis=1) / len(p)
    return found


def _briers(labels: Column, p: Column, times: NDArray[np.float64]) -> Column:
    """Return the Brier score of each draw."""
    found: Column = times @ ((labels - p) ** 2) / len(p)
    return found


def _bins(labels: Column, p: Column) -> Iterator[Bin]:
    """Yield the rows of the reliability table."""
    places = _places(p)
    for number in range(ECE_BINS):
        there = places == number
        rows = int(there.sum())
        mean_p, share = (float(p[there].mean()), float(labels[there].mean())) if rows else (None, None)
        yield Bin(number / ECE_BINS, rows, mean_p, share)


def _places(p: Column) -> NDArray[np.intp]:
    """Return the bin of each `p`."""
    return np.minimum((p * ECE_BINS).astype(np.intp), ECE_BINS - 1)
