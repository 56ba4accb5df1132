"""A loaded, verified model: raw profiles in, scores out. The one scorer that batch, stream, API and files share."""

import functools
import itertools
from dataclasses import dataclass

import numpy as np
from lightgbm.basic import LightGBMError
from numpy.typing import NDArray

from features.catalogue import Matrix, feature_matrix
from features.profile import RAW_NAMES, Profiles
from features.reference import TRUSTWORTHY, UNTRUSTWORTHY
from features.score import Hundredths, ScoreDomainError, to_hundredths
from registry.engines import Engine, EngineKind, choose_engine
from registry.ensemble import ensemble_engine
from registry.package import Manifest, ModelRefusedError, Package
from registry.trees import feature_names

LITTLE_KNOWN = (0, 0, 0, None, 0, None, None, None, None, None)
"""An empty new account of which all that may be unknown is unknown; a model must score it too."""


@dataclass(frozen=True, slots=True)
class Scored:
    """The result of scoring n profiles.

    Attributes:
        matrix: The 29 features of each, float32.
        margins: The model's raw output, float32; higher = less trustworthy.
        hundredths: Trust scores in hundredths, 0 .. 10000.
        outside: n rows, ten columns in the order of `RAW_COLUMNS`: the value is outside the training range.
    """

    matrix: Matrix
    margins: NDArray[np.float32]
    hundredths: Hundredths
    outside: NDArray[np.bool_]

    def out_of_range(self, row: int) -> tuple[str, ...]:
        """Name the raw fields of one profile that are outside the training ranges."""
        return tuple(itertools.compress(RAW_NAMES, self.outside[row]))

    def all_out_of_range(self) -> list[tuple[str, ...]]:
        """Name them for every profile; most are inside, and cost next to nothing."""
        found: list[tuple[str, ...]] = [()] * len(self.outside)
        for row in np.flatnonzero(self.outside.any(axis=1)).tolist():
            found[row] = self.out_of_range(row)
        return found


@dataclass(frozen=True, slots=True)
class TrustModel:
    """A model ready to score, from any thread or process, one row or a million, always with the same bits."""

    sha: str
    manifest: Manifest
    engine: Engine

    def score(self, profiles: Profiles) -> Scored:
        """Score raw profiles; unknown facts are NaN."""
        matrix = feature_matrix(profiles)
        margins = self.engine.margins(matrix)
        return Scored(matrix, margins, self.to_hundredths(margins), self._outside(profiles))

    def score_features(self, matrix: Matrix) -> Hundredths:
        """Score ready-made features, in catalogue order; there are no raw facts, so no ranges to check."""
        return self.to_hundredths(self.engine.margins(matrix))

    def to_hundredths(self, margins: NDArray[np.float32]) -> Hundredths:
        """Turn margins into trust scores."""
        return to_hundredths(self.manifest.calibration.probability(margins))

    def _outside(self, profiles: Profiles) -> NDArray[np.bool_]:
        """Mark values outside the training ranges; an unknown value is outside nothing."""
        outside = np.zeros((len(profiles), len(RAW_NAMES)), dtype=np.bool_)
        for position, (name, column) in enumerate(profiles.columns().items()):
            if name in self.manifest.ranges:
                low, high = self.manifest.ranges[name]
                outside[:, position] = (column < low) | (column > high)
        return outside


def unpack(package: Package, engine: EngineKind = "auto") -> TrustModel:
    """Verify a package and make it ready to score.

    Raises:
        ModelRefusedError: It is broken, of another contract, or its scores make no sense.
    """
    manifest = package.verified_manifest()
    model = TrustModel(package.sha, manifest, _engine(package, manifest, engine))
    check_sanity(model)
    return model


@functools.lru_cache(maxsize=4)
def cached_model(package: Package, engine: EngineKind = "auto") -> TrustModel:
    """Return the unpacked model, unpacked once per process.

    The cache lives in this importable module: a function defined in `__main__` is pickled by value, and its cache
    would be empty again for each task.
    """
    return unpack(package, engine)


def _engine(package: Package, manifest: Manifest, kind: EngineKind) -> Engine:
    """Compile the trees, and see to it that they read what the manifest says, in that order: LightGBM itself does not.

    Raises:
        ModelRefusedError: The trees are broken or read other features.
    """
    try:
        text = package.text.decode()
        if manifest.kind == "ensemble":
            return ensemble_engine(kind, text, manifest.features)
        names = feature_names(text)
        if names != list(manifest.features):
            raise ModelRefusedError(f"the trees of model {package.sha[:12]} read other features: {', '.join(names)}")
        return choose_engine(kind, text)
    except (ValueError, LightGBMError) as error:
        raise ModelRefusedError(f"the trees of model {package.sha[:12]} cannot be used: {error}") from error


def check_sanity(model: TrustModel) -> None:
    """Refuse a model whose scores are not finite or whose sign is turned around.

    Raises:
        ModelRefusedError: See above.
    """
    profiles = Profiles.of_rows([TRUSTWORTHY.values(), UNTRUSTWORTHY.values(), LITTLE_KNOWN])
    try:
        good, poor, _ = model.score(profiles).hundredths.tolist()
    except ScoreDomainError as error:
        raise ModelRefusedError(f"model {model.sha[:12]} gives scores that are none: {error}") from error
    if good <= poor:
        raise ModelRefusedError(
            f"model {model.sha[:12]} scores the trustworthy reference {good / 100} and the untrustworthy {poor / 100}; "
            "its sign is turned around"
        )
