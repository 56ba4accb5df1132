"""The meta-learner of the ensemble: a logistic regression over the outputs of its three models."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from registry.trees import ModelTextError

Margins = NDArray[np.float32]


MOST_WEIGHT = 100.0
"""Largest weight; fitted ones are below 2. With it no margin leaves float32."""


class Stacking(Struct, frozen=True, forbid_unknown_fields=True):
    """What one unit of each model's output adds to the margin, in log-odds; fitted on out-of-fold outputs only.

    Attributes:
        intercept: Margin when all outputs are 0.
        lightgbm: Weight of LightGBM's margin.
        xgboost: Weight of XGBoost's margin.
        anomaly: Weight of the anomaly.
    """

    intercept: float
    lightgbm: float
    xgboost: float
    anomaly: float

    def check(self) -> None:
        """Refuse weights that are no numbers or very large, or with which no boosted model says anything.

        Raises:
            ModelTextError: See above.
        """
        weights = (self.intercept, self.lightgbm, self.xgboost, self.anomaly)
        if not (all(abs(weight) <= MOST_WEIGHT for weight in weights) and self.lightgbm + self.xgboost > 0):
            raise ModelTextError(f"the stacking weights {weights} are of no use; train the ensemble again")

    def margins(self, lightgbm: Margins, xgboost: Margins, anomaly: Margins) -> Margins:
        """Return the ensemble's margins.

        One rounding per row and operation, in a fixed order and without fused operations or a matrix product: the
        same bits for one row and for many.
        """
        outputs = (lightgbm.astype(np.float64), xgboost.astype(np.float64), anomaly.astype(np.float64))
        total = np.full(len(lightgbm), self.intercept)
        for weight, output in zip((self.lightgbm, self.xgboost, self.anomaly), outputs, strict=True):
            total += weight * output
        return total.astype(np.float32)
