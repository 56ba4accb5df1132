"""From a model's margin to calibrated P(untrustworthy): strictly increasing, so it changes no order and no ties."""

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from features.profile import Column


NEWTON_STEPS = 30
"""Steps of the fit; it stands still after about six."""
RIDGE = 1e-6
"""Pull towards zero, so that labels which the margins separate without error have a finite fit too."""


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
    """Fit slope and intercept by maximum likelihood.

    Args:
        margins: Margins of accounts by models that did not see them.
        labels: 1.0 untrustworthy, 0.0 trustworthy; both occur.

    Raises:
        CalibrationError: Higher margins do not mean less trustworthy, or nothing finite fits.
    """
    design = np.column_stack([margins, np.ones(len(margins))])
    weights = np.array([1.0, 0.0])
    for _ in range(NEWTON_STEPS):
        p = 1.0 / (1.0 + np.exp(-(design @ weights)))
        gradient = design.T @ (labels - p)
        curvature = (design * (p * (1.0 - p))[:, None]).T @ design
        weights = weights + np.linalg.solve(curvature + RIDGE * np.eye(2), gradient - RIDGE * weights)
    fitted = Platt(float(weights[0]), float(weights[1]))
    fitted.check()
    return fitted
