"""Which models score a micro-batch: the one in Production at its time, and in its shadow the one in Staging.

A running query keeps its first broadcast, so a promotion cannot reach its workers by it. They look on the shelf
instead, and all answer alike: the time of the micro-batch, one value for all its rows that the query keeps in its log,
is held against the time at which the shelf's list was written.
"""

import functools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from features.score import Maker
from registry.engines import EngineKind
from registry.model import TrustModel, cached_model
from registry.package import MANIFEST, ModelRefusedError, Package
from registry.shelf import ACTIVATIONS, STAGED, Activation, Shelf, ShelfError, Staged

SEEN_BY_ALL = timedelta(seconds=1)
"""How long after its writing every worker sees a list: a micro-batch that began earlier does not follow it yet."""
NEVER = 0
"""When a file that is not there was written, in nanoseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """A model ready to score, and what its scores say of it."""

    model: TrustModel
    maker: Maker


@dataclass(frozen=True, slots=True)
class Scorers:
    """The models of one micro-batch; `shadow` is None when nothing usable is in Staging."""

    production: Scorer
    shadow: Scorer | None = None


@dataclass(frozen=True, slots=True)
class LiveModel:
    """What a worker needs to find its models.

    Attributes:
        package: The model that was in Production when the query started. It goes on until the shelf names another,
            and where a worker cannot read the shelf.
        maker: What its scores say of it.
        shelf: The shelf's folder; on a cluster one that all machines share.
        engine: What to score with.
    """

    package: Package
    maker: Maker
    shelf: Path
    engine: EngineKind

    def at(self, moment: datetime) -> Scorers:
        """Choose the models of the micro-batch of `moment` (UTC).

        A version that cannot be used is passed over, and the log says so: the model that the query started with goes
        on, or no shadow falls.
        """
        written = _written(self.shelf / ACTIVATIONS)
        activation = in_force(_activations(self.shelf, written), written, moment)
        production = self._scorer(activation) if activation else None
        staged_at = _written(self.shelf / STAGED)
        staged = _staged(self.shelf, staged_at) if _is_seen_by_all(staged_at, moment) else None
        return Scorers(production or self._started_with(self.maker), self._scorer(staged) if staged else None)

    def _started_with(self, maker: Maker) -> Scorer:
        """Unpack the model of the start; a worker that begins after a promotion never needs it."""
        return Scorer(cached_model(self.package, self.engine), maker)

    def _scorer(self, version: Activation | Staged) -> Scorer | None:
        if version.sha == self.package.sha:
            return self._started_with(version.maker())
        model = _load(self.shelf, version.sha, self.engine, _written(self.shelf / version.sha / MANIFEST))
        return None if model is None else Scorer(model, version.maker())


def in_force(activations: tuple[Activation, ...], written: int, moment: datetime) -> Activation | None:
    """Return the activation that a micro-batch follows: the last, or the one before while not all see the last.

    Args:
        activations: The shelf's list, oldest first.
        written: When the list was written, nanoseconds since 1970.
        moment: The time of the micro-batch (UTC).
    """
    seen = activations if _is_seen_by_all(written, moment) or len(activations) == 1 else activations[:-1]
    return seen[-1] if seen else None


def _is_seen_by_all(written: int, moment: datetime) -> bool:
    return datetime.fromtimestamp(written / 1e9, UTC) + SEEN_BY_ALL <= moment


def _written(path: Path) -> int:
    """Return when a file was written."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return NEVER


@functools.lru_cache(maxsize=2)
def _activations(shelf: Path, _written: int) -> tuple[Activation, ...]:
    """Read the list of promotions, once for each time that it is written."""
    return Shelf(shelf).activations()


@functools.lru_cache(maxsize=2)
def _staged(shelf: Path, _written: int) -> Staged | None:
    """Read what is in Staging, once for each time that it is written."""
    return Shelf(shelf).staged()


@functools.lru_cache(maxsize=4)
def _load(shelf: Path, sha: str, engine: EngineKind, _written: int) -> TrustModel | None:
    """Load a model, once for each time that it is written; None for one that cannot be used."""
    try:
        return cached_model(Shelf(shelf).package(sha), engine)
    except (ShelfError, ModelRefusedError) as error:
        structlog.get_logger().error("model_passed_over", model_sha=sha, why=str(error), remedy="./kol model list")
        return None
