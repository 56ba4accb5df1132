"""From a model's margin to calibrated P(untrustworthy): strictly increasing, so it changes no order and no ties."""

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from features.profile import Column

NEWTON_STEPS = 30
"""Steps of the fit; it stands still after about six."""
RIDGE = 1e-9
"""Added to the curvature, so that a step exists also where all p are 0 or 1."""


class CalibrationError(ValueError):
    """The stored calibration is not finite or not strictly increasing."""


class Platt(Struct, frozen=True, forbid_unknown_fields=True):
    """P = 1 / (1 + exp(-(slope * margin + intercept))), Platt scaling (Platt 1999), fitted on out-of-fold margins."""

    slope: float
    intercept: float

    def check(self) -> None:
        """Refuse a calibration that would flatten or turn around the order of scores.

        Raises:
            CalibrationError: See above.
        """
        if not (math.isfinite(self.slope) and math.isfinite(self.intercept) and self.slope > 0):
            raise CalibrationError(f"Platt slope {self.slope}, intercept {self.intercept}; the slope must be > 0")

    def probability(self, margins: NDArray[np.float32]) -> Column:
        """Return P(untrustworthy) of float32 margins, in float64."""
        return 1.0 / (1.0 + np.exp(-(self.slope * margins.astype(np.float64) + self.intercept)))


def fit_platt(margins: Column, labels: Column) -> Platt:
    """Fit slope and intercept by maximum likelihood to Platt's smoothed labels, for which something finite fits always.

    Args:
        margins: Margins of accounts by models that did not see them.
        labels: 1.0 untrustworthy, 0.0 trustworthy; both occur.

    Raises:
        CalibrationError: Higher margins do not mean less trustworthy.
    """
    poor = labels.sum()
    targets = np.where(labels == 1, (poor + 1) / (poor + 2), 1 / (len(labels) - poor + 2))
    design = np.column_stack([margins, np.ones(len(margins))])
    weights = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        # Half of 1 + tanh(x / 2) is 1 / (1 + exp(-x)), without overflow.
        p = (1.0 + np.tanh(design @ weights / 2.0)) / 2.0
        curvature = (design * (p * (1.0 - p))[:, None]).T @ design
        weights = weights + np.linalg.solve(curvature + RIDGE * np.eye(2), design.T @ (targets - p))
    fitted = Platt(float(weights[0]), float(weights[1]))
    fitted.check()
    return fitted
