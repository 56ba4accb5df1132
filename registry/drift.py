"""What changes for people when one model takes the place of another: risk levels that flip, scores that move."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from features.score import FULL, RISK_BOUNDS, Hundredths

BINS = 10
"""Of the population stability index: ten points of the score each."""
LEAST_SHARE = 1e-4
"""Stands for the share of an empty bin, whose logarithm would be infinite."""


class Drift(Struct, frozen=True):
    """Scores of the same accounts by two models, the new one's against the old one's.

    Attributes:
        accounts: How many.
        flips: Accounts whose risk level differs.
        flipped_share: Their share.
        mean_change: Mean of new minus old score, points.
        mean_distance: Mean of its size, points.
        p95_distance: 95th percentile of its size, points.
        stability_index: Population stability index over ten bins; below 0.1 is said to be stable, above 0.2 not.
    """

    accounts: int
    flips: int
    flipped_share: float
    mean_change: float
    mean_distance: float
    p95_distance: float
    stability_index: float


def drift(new: Hundredths, old: Hundredths) -> Drift:
    """Compare the scores of the same accounts."""
    flips = int((levels(new) != levels(old)).sum())
    change = (new.astype(np.float64) - old) / 100
    return Drift(
        accounts=len(new),
        flips=flips,
        flipped_share=round(flips / len(new), 5),
        mean_change=round(float(change.mean()), 3),
        mean_distance=round(float(np.abs(change).mean()), 3),
        p95_distance=round(float(np.quantile(np.abs(change), 0.95)), 3),
        stability_index=round(_stability_index(new, old), 4),
    )


def levels(hundredths: Hundredths) -> NDArray[np.intp]:
    """Number the risk levels of many scores, 0 `high` to 3 `low`, by the bounds of `features.score`."""
    return np.searchsorted(sorted(least for least, _ in RISK_BOUNDS if least), hundredths, side="right")


def _stability_index(new: Hundredths, old: Hundredths) -> float:
    """Sum of (new - old share) * ln(new / old share) over the bins."""
    edges = np.linspace(0, FULL, BINS + 1)
    ours, theirs = (np.maximum(np.histogram(part, edges)[0] / len(part), LEAST_SHARE) for part in (new, old))
    return float(((ours - theirs) * np.log(ours / theirs)).sum())
