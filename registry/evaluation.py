"""How good scores are on labelled accounts. Labels are 1.0 untrustworthy, 0.0 trustworthy; `p` is P(untrustworthy)."""

import numpy as np

from features.profile import Column, Profiles
from features.score import FULL, RISK_BOUNDS, Hundredths
from registry.masking import all_hidden
from registry.model import TrustModel

ECE_BINS = 15
LEAST_P = 0.5 / FULL
"""Half a hundredth of a point: a shown score of 0 or 100 stands for a P that was rounded, not for certainty."""


def evaluate(model: TrustModel, profiles: Profiles, labels: Column) -> dict[str, float]:
    """Measure the scores that people would be shown, rounding included.

    Returns:
        `roc_auc`, `pr_auc` (average precision), `brier`, `log_loss`, `ece15`; `masked_roc_auc` with every optional
        field hidden, and what that hiding does to scores (see `hiding`); `prevalence`, the share of the untrustworthy.
    """
    shown = model.score(profiles).hundredths
    hidden = model.score(all_hidden(profiles)).hundredths
    p = 1.0 - shown / FULL
    return {
        "roc_auc": roc_auc(labels, p),
        "pr_auc": average_precision(labels, p),
        "brier": brier(labels, p),
        "log_loss": log_loss(labels, p),
        "ece15": calibration_error(labels, p),
        "masked_roc_auc": roc_auc(labels, 1.0 - hidden / FULL),
        **hiding(shown, hidden),
        "prevalence": float(labels.mean()),
    }


def hiding(shown: Hundredths, hidden: Hundredths) -> dict[str, float]:
    """Tell what happens to scores when every optional field is hidden.

    Args:
        shown: Scores of the accounts as they are.
        hidden: Scores of the same accounts with the fields hidden.

    Returns:
        `masked_mean_change` and `masked_p95_change` of a score, in points; `masked_level_flips`, the share of the
        accounts whose risk level changes; `masked_falls`, the share of those with 80 or more that fall below 60, 0
        when there are none.
    """
    change = np.abs(shown - hidden) / 100
    bounds = sorted(bound for bound, _ in RISK_BOUNDS)
    flips = np.digitize(shown, bounds) != np.digitize(hidden, bounds)
    high = shown >= RISK_BOUNDS[0][0]
    return {
        "masked_mean_change": float(change.mean()),
        "masked_p95_change": float(np.quantile(change, 0.95)),
        "masked_level_flips": float(flips.mean()),
        "masked_falls": float((hidden[high] < RISK_BOUNDS[1][0]).mean()) if high.any() else 0.0,
    }


def shown_p(model: TrustModel, profiles: Profiles) -> Column:
    """Return the P(untrustworthy) behind the shown scores, in steps of a hundredth of a point."""
    return 1.0 - model.score(profiles).hundredths / FULL


def roc_auc(labels: Column, p: Column) -> float:
    """Chance that an untrustworthy account gets a higher `p` than a trustworthy one; a tie counts one half."""
    _, place, count = np.unique(p, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count - 1) / 2
    poor = labels == 1
    pairs = poor.sum() * (~poor).sum()
    return float((mean_rank[place][poor].sum() - poor.sum() * (poor.sum() + 1) / 2) / pairs)


def average_precision(labels: Column, p: Column) -> float:
    """Area under precision over recall, as a sum of steps; accounts with the same `p` are one step."""
    order = np.argsort(-p, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(p[order]) != 0, [True]))
    found = np.cumsum(labels[order])[ends]
    precision = found / (ends + 1)
    recall = found / labels.sum()
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def brier(labels: Column, p: Column) -> float:
    """Mean squared distance of `p` from the label; 0 is best."""
    return float(((p - labels) ** 2).mean())


def log_loss(labels: Column, p: Column) -> float:
    """Mean surprise in nats; 0 is best."""
    clipped = np.clip(p, LEAST_P, 1 - LEAST_P)
    return float(-(labels * np.log(clipped) + (1 - labels) * np.log1p(-clipped)).mean())


def calibration_error(labels: Column, p: Column) -> float:
    """Expected calibration error: mean |share of untrustworthy - mean p| over 15 bins of equal width, by size."""
    bins = np.minimum((p * ECE_BINS).astype(np.intp), ECE_BINS - 1)
    gaps = np.bincount(bins, weights=labels - p, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / len(p))
