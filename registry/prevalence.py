"""What a warning is worth on another list than that of the labelled accounts: it moves with the share of the bad."""

from dataclasses import dataclass

import numpy as np

from features.profile import Column
from features.score import RISK_BOUNDS


@dataclass(frozen=True, slots=True)
class Warned:
    """Warning of all accounts whose score is below a border.

    Attributes:
        below: The border, as a shown score.
        found: Share of the untrustworthy accounts that are warned of.
        false: Share of the trustworthy accounts that are warned of.
        right: Share of the warnings that are right at the prevalence assumed; None when nobody is warned of.
    """

    below: float
    found: float
    false: float
    right: float | None


def warned(labels: Column, p: Column, prevalence: float) -> tuple[Warned, ...]:
    """Measure warnings at the borders of the risk levels.

    Which of the untrustworthy and of the trustworthy accounts are warned of is measured; how many of each a list
    holds is assumed. Right are `found * prevalence` of `found * prevalence + false * (1 - prevalence)` (Bayes).

    Args:
        labels: 1.0 untrustworthy, 0.0 trustworthy.
        p: P(untrustworthy) as shown.
        prevalence: Share of the untrustworthy on the list, 0 to 1.
    """
    scores = np.rint((1 - p) * 10_000)
    return tuple(_at(labels, scores < bound, bound, prevalence) for bound, _ in RISK_BOUNDS if bound)


def _at(labels: Column, is_warned: np.typing.NDArray[np.bool_], bound: int, prevalence: float) -> Warned:
    found = float(is_warned[labels == 1].mean())
    false = float(is_warned[labels == 0].mean())
    warnings = found * prevalence + false * (1 - prevalence)
    return Warned(bound / 100, found, false, found * prevalence / warnings if warnings else None)
