"""The ensemble as an engine: LightGBM, XGBoost and an isolation forest, stacked. One row or a million, the same bits.

The text of its package is one JSON document. All three models are translated to trees whose leaves add up exactly
(`registry.leaves`), and scored by the engines that score LightGBM alone.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec import Raw, Struct
from numpy.typing import NDArray

from registry.engines import Engine, EngineKind, choose_engine
from registry.isolation import IsolationForest, anomaly_trees
from registry.package import Package
from registry.stacking import Margins, Stacking
from registry.tree_text import check_tree, write_trees
from registry.trees import ModelTextError, feature_names, parse_trees
from registry.xgboost_trees import read_xgboost


class Parts(Struct, frozen=True, forbid_unknown_fields=True):
    """The text of an ensemble's package, as JSON.

    Attributes:
        lightgbm: LightGBM's text, leaves rounded.
        xgboost: XGBoost's own JSON, leaves rounded.
        isolation: The isolation forest.
        stacking: The weights of the three.
    """

    lightgbm: str
    xgboost: Raw
    isolation: IsolationForest
    stacking: Stacking


class Ensemble:
    """Three engines and the weights that stack them."""

    def __init__(self, lightgbm: Engine, xgboost: Engine, isolation: Engine, *, stacking: Stacking) -> None:
        self._lightgbm = lightgbm
        self._xgboost = xgboost
        self._isolation = isolation
        self._stacking = stacking

    @property
    def name(self) -> str:
        """`onedal` when it scores all three models, else `lightgbm`."""
        names = {engine.name for engine in (self._lightgbm, self._xgboost, self._isolation)}
        return names.pop() if len(names) == 1 else "lightgbm"

    def margins(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the margin of each row; see `registry.engines.Engine`."""
        return self._stacking.margins(*self.outputs(matrix))

    def outputs(self, matrix: NDArray[np.float32]) -> tuple[Margins, Margins, Margins]:
        """Return what the three models say of each row: LightGBM's margin, XGBoost's margin, and the anomaly.

        Each is exact and follows from the row alone, like an engine's margin.
        """
        return self._lightgbm.margins(matrix), self._xgboost.margins(matrix), self._isolation.margins(matrix)


def read_parts(text: str) -> Parts:
    """Read the text of an ensemble's package.

    Raises:
        ModelTextError: A part is missing or broken.
    """
    try:
        parts = msgspec.json.decode(text, type=Parts)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ModelTextError(f"the parts of the ensemble are broken: {error}") from error
    parts.stacking.check()
    return parts


def ensemble_engine(kind: EngineKind, text: str, names: Sequence[str]) -> Ensemble:
    """Return the engine of an ensemble.

    Args:
        kind: What scores each of its three models; see `choose_engine`.
        text: The text of its package.
        names: Features that each model must read, in order.

    Raises:
        EngineUnavailableError: `onedal` was asked for and does not run here.
        EngineMismatchError: `onedal` was asked for and disagrees with LightGBM.
        LeafError: The margins of a model would not be exact.
        ModelTextError: A part is missing, broken or reads other features.
    """
    return stacked(read_parts(text), kind, names)


def stacked(parts: Parts, kind: EngineKind, names: Sequence[str]) -> Ensemble:
    """Return the engine of an ensemble's parts; see `ensemble_engine`."""
    if feature_names(parts.lightgbm) != list(names):
        raise ModelTextError(f"the LightGBM part reads other features: {', '.join(feature_names(parts.lightgbm))}")
    for tree in parse_trees(parts.lightgbm):
        check_tree(tree, len(names))
    translated = (read_xgboost(bytes(parts.xgboost), names), anomaly_trees(parts.isolation, names))
    texts = (parts.lightgbm, *(write_trees(trees, names) for trees in translated))
    return Ensemble(*(choose_engine(kind, text) for text in texts), stacking=parts.stacking)


def lightgbm_text(package: Package) -> str:
    """Return the LightGBM text in a package of any kind; XGBoost in an ensemble learned from the same rows.

    Raises:
        ModelRefusedError: The package is broken.
        ModelTextError: A part is missing or broken.
    """
    text = package.text.decode()
    return read_parts(text).lightgbm if package.verified_manifest().kind == "ensemble" else text
