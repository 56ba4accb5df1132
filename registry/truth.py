"""MLflow and the shelf together: which model is in Production, and the repair of all that follows from that.

The truth is one tag in MLflow (`registry.promotion`). The shelf and the mirrors follow from it; what a crash left
undone there is written when the registry is opened the next time.
"""

import fcntl
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from registry.checks import Rules
from registry.engines import EngineKind
from registry.package import ModelRefusedError, Package
from registry.promotion import History, Promotion
from registry.shadow import ShadowTraffic, shadow_traffic
from registry.shelf import Shelf, ShelfError, Staged
from registry.stages import Stage, mirror, stage_of
from registry.tracking import RegistryError, Tracking, Version, open_tracking
from registry.training import MODEL_NAME
from runtime.clock import Clock, utc_now
from runtime.settings import Settings

ENSEMBLE_NAME = "trust-score-ensemble"
NAMES = (MODEL_NAME, ENSEMBLE_NAME)
"""The registered models; across both at most one version is in Production."""

LOCK = ".release.lock"


@dataclass(frozen=True, slots=True)
class Registry:
    """An open registry.

    Attributes:
        tracking: MLflow: the truth, and all versions.
        shelf: Where the layers read from.
        rules: What a new model must be to replace Production.
        engine: What models are measured with.
        clock: Says when a release happens.
        home: Where looks at the locked holdout are kept.
        traffic: Tells what a model, named by its sha, scored in the shadow.
    """

    tracking: Tracking
    shelf: Shelf
    rules: Rules
    engine: EngineKind
    clock: Clock
    home: Path
    traffic: Callable[[str], ShadowTraffic]

    def history(self) -> History:
        """Return all promotions, the one in force last."""
        return History.of_tags(self.tracking.model_tags(MODEL_NAME))

    def package(self, version: Version) -> Package:
        """Return the package of a version, from the shelf if it is there.

        Raises:
            RegistryError: The version was not registered by us, or MLflow does not hand out its files.
            ModelRefusedError: They are not what was registered.
        """
        if version.sha and version.sha in self.shelf:
            return self.shelf.package(version.sha)
        return self.tracking.package(version)

    def production(self) -> Version | None:
        """Return the version in Production, or None before the first promotion."""
        now = self.history().now
        return None if now is None else self.tracking.version(now.name, now.version)

    def is_on_shelf(self, promotion: Promotion) -> bool:
        """Tell whether the shelf has that promotion in force."""
        activations = self.shelf.activations()
        if not activations or promotion.sha not in self.shelf:
            return False
        return (activations[-1].promotion_seq, activations[-1].sha) == (promotion.seq, promotion.sha)

    def last_seq(self) -> int:
        """Return the highest promotion that truth or shelf know; 0 before the first."""
        now, activations = self.history().now, self.shelf.activations()
        return max(now.seq if now else 0, activations[-1].promotion_seq if activations else 0)


def open_registry(settings: Settings, clock: Clock = utc_now) -> Registry:
    """Open MLflow and the shelf, and finish what a crash may have left undone.

    Raises:
        RegistryError: MLflow cannot be reached.
        PromotionError: The truth in it cannot be read.
    """
    registry = Registry(
        tracking=open_tracking(settings, NAMES),
        shelf=Shelf.at(settings.shelf),
        rules=Rules(settings.promotion_margin, settings.promotion_most_flips, settings.promotion_least_shadow),
        engine=settings.engine,
        clock=clock,
        home=settings.home,
        traffic=functools.partial(shadow_traffic, settings),
    )
    with one_at_a_time(registry):
        repair(registry)
    return registry


@contextmanager
def one_at_a_time(registry: Registry) -> Iterator[None]:
    """Let one change at a time happen on this host; the others wait. MLflow has no compare-and-set."""
    path = registry.shelf.folder / LOCK
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            structlog.get_logger().info("waiting_for_another_release", lock=str(path))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def repair(registry: Registry) -> None:
    """Bring the shelf and the mirrors in line with the truth; what is right already is not written again."""
    history = registry.history()
    sync_shelf(registry, history)
    mirror_all(registry, history)


def sync_shelf(registry: Registry, history: History) -> None:
    """Bring the shelf in line with the truth: the Production model is on it, and activated."""
    now, activations = history.now, registry.shelf.activations()
    if now is None or registry.is_on_shelf(now):
        return
    if activations and activations[-1].promotion_seq > now.seq:
        # MLflow was restored from an older copy. The shelf goes on serving; the next release counts on from there.
        structlog.get_logger().warning("shelf_is_ahead_of_mlflow", mlflow_seq=now.seq, remedy="./kol model promote")
        return
    registry.shelf.put(registry.tracking.package(registry.tracking.version(now.name, now.version)))
    if not activations or activations[-1].promotion_seq < now.seq:
        registry.shelf.activate(now.activation())


def mirror_all(registry: Registry, history: History) -> None:
    """Mirror the truth in MLflow's stages, tags and aliases; the name of the Production model first."""
    in_force = history.now.name if history.now else MODEL_NAME
    for name in sorted(NAMES, key=lambda name: name != in_force):
        mirror(registry.tracking, name, history)
    shelve_staging(registry, history)


def shelve_staging(registry: Registry, history: History) -> None:
    """Put the version in Staging on the shelf, to be scored in the shadow; the one of the serving model's name first.

    One whose files are lost or broken is not shadowed; that harms nobody and is said.
    """
    for name in NAMES:
        for version in reversed(registry.tracking.versions(name)):
            if stage_of(version, history) is Stage.STAGING:
                _shelve_staged(registry, version)
                return
    registry.shelf.stage(None)


def _shelve_staged(registry: Registry, version: Version) -> None:
    staged = Staged(version.sha, version.name, version.number)
    try:
        if registry.shelf.staged() != staged:
            registry.shelf.put(registry.tracking.package(version))
            registry.shelf.stage(staged)
    except (RegistryError, ModelRefusedError, ShelfError) as error:
        structlog.get_logger().warning("staging_is_not_shadowed", version=version.number, why=str(error))
        registry.shelf.stage(None)
