"""How good scores are on labelled accounts. Labels are 1.0 untrustworthy, 0.0 trustworthy; `p` is P(untrustworthy)."""

import numpy as np

from features.profile import Column, Profiles
from features.score import FULL
from registry.masking import all_hidden
from registry.model import TrustModel

ECE_BINS = 15
LEAST_P = 0.5 / FULL
"""Half a hundredth of a point: a shown score of 0 or 100 stands for a P that was rounded, not for certainty."""


def evaluate(model: TrustModel, profiles: Profiles, labels: Column) -> dict[str, float]:
    """Measure the scores that people would be shown, rounding included.

    Returns:
        `roc_auc`, `pr_auc` (average precision), `brier`, `log_loss`, `ece15`; `masked_roc_auc` with every optional
        field hidden; `prevalence`, the share of the untrustworthy.
    """
    p = shown_p(model, profiles)
    return {
        "roc_auc": roc_auc(labels, p),
        "pr_auc": average_precision(labels, p),
        "brier": brier(labels, p),
        "log_loss": log_loss(labels, p),
        "ece15": calibration_error(labels, p),
        "masked_roc_auc": roc_auc(labels, shown_p(model, all_hidden(profiles))),
        "prevalence": float(labels.mean()),
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
