"""From labelled accounts to Production in one go: train, log, register, validate, promote if the gate lets it.

`python -m registry.register_trust_models` does all of it; the functions are its steps. What goes to Production is the
recipe fitted again on all rows; what is measured is its twin that never saw the locked holdout. The ensemble is
trained too and waits in Staging. Training is skipped when a version of the same data, code and parameters is
registered already.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from registry.accounts import Accounts, find_accounts
from registry.checks import Checks
from registry.ensemble_recipe import EnsembleRecipe
from registry.ensemble_training import ensemble_fingerprint, train_ensemble
from registry.looks import record_look
from registry.package import METRICS_FROM
from registry.promotion import Promotion
from registry.recipe import Recipe
from registry.release import ask_gate, promote, shadow_of
from registry.staging import Tell, register, to_staging
from registry.tracking import Version
from registry.training import MODEL_NAME, Progress, fingerprint, refit, train
from registry.truth import ENSEMBLE_NAME, Registry, open_registry
from registry.twins import refit_of
from runtime.failure import GateRefusedError, HandledError
from runtime.logs import configure_logs
from runtime.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class Released:
    """What came of a version at the gate.

    Attributes:
        version: The version that wanted to be Production: the refit, once the gate had let its twin pass.
        production: The promotion in force afterwards.
        changed: Whether that is a new one.
        refusal: Why the gate said no; empty when it did not.
    """

    version: Version
    production: Promotion
    changed: bool
    refusal: str


@dataclass(frozen=True, slots=True)
class StagedEnsemble:
    """What came of the ensemble.

    Attributes:
        version: Its version.
        checks: What validation said; if it passed, the version is in Staging or further.
        look: Which look at the locked holdout its training took; None when it was trained before.
    """

    version: Version
    checks: Checks
    look: int | None


Refitted = Callable[[Version], Version]
"""Makes and registers the refit of a version."""


def find_registered(registry: Registry, accounts: Accounts, recipe: Recipe | None = None) -> Version | None:
    """Return the newest version that training on these accounts would make again, or None; never a refit."""
    return _made_before(registry, MODEL_NAME, fingerprint(accounts.digest, recipe or Recipe()))


def _made_before(registry: Registry, name: str, wanted: str) -> Version | None:
    """Return the newest version whose training depended on the same."""
    versions = reversed(registry.tracking.versions(name))
    return next((version for version in versions if version.tags.get("fingerprint") == wanted), None)


def release(
    registry: Registry,
    version: Version,
    accounts: Accounts,
    *,
    refitted: Refitted | None = None,
    tell: Tell | None = None,
) -> Released:
    """Validate a version, put it in Staging, ask the gate, and promote it, or its refit, if that lets it.

    With `refitted`, the version is what the gate measures and the refit what goes to Production: it is made when the
    gate has said yes, staged in the version's place and judged by it once more when it is promoted, as Production may
    be another one by then. Nothing changes while the version or its refit is in Production. What the version scored
    in the shadow counts as far as it did before: a model that is released as soon as it is trained scored nothing.

    A refusal is no failure as long as something is in Production.

    Args:
        registry: Where.
        version: Which; not a refit, if there is to be one of it.
        accounts: The accounts that it was trained on.
        refitted: Makes and registers the refit of the version; without it the version itself is promoted.
        tell: Told of each write.

    Raises:
        GateRefusedError: It is refused, and nothing is in Production.
    """
    in_force = _in_force(registry, version)
    if in_force is not None:
        outcome = promote(registry, in_force, accounts)
        return Released(in_force, outcome.promotion, outcome.changed, refusal="")
    traffic, wanted = shadow_of(registry, version), version
    to_staging(registry, version)
    try:
        if refitted is not None:
            ask_gate(registry, version, accounts, traffic=traffic)
            wanted = refitted(version)
            to_staging(registry, wanted, why=f"version {version.number}, refitted on all rows")
        outcome = promote(registry, wanted, accounts, why="trained and registered", traffic=traffic, tell=tell)
    except GateRefusedError as refusal:
        now = registry.history().now
        if now is None:
            raise
        return Released(wanted, now, changed=False, refusal=str(refusal))
    return Released(wanted, outcome.promotion, outcome.changed, refusal="")


def _in_force(registry: Registry, version: Version) -> Version | None:
    """Return the version in Production if it is this one or its refit."""
    production = registry.production()
    if production is None or not production.sha:
        return None
    return production if version.sha in {production.sha, production.tags.get(METRICS_FROM)} else None


def refit_version(registry: Registry, version: Version, accounts: Accounts, recipe: Recipe) -> Version:
    """Fit the recipe of a version once more, on all accounts, and register that; one that is registered is returned.

    Raises:
        TrainingError: See `registry.training.train`.
        RegistryError: MLflow does not take it.
    """
    there = refit_of(registry, version)
    return there or register(registry, refit(accounts, registry.package(version), recipe))


def stage_ensemble(
    registry: Registry, accounts: Accounts, recipe: EnsembleRecipe, *, progress: Progress | None = None
) -> StagedEnsemble:
    """Train and register the ensemble, unless that was done before, and put it in Staging if it is fit for use.

    It is measured on the locked holdout, which counts as a look; nothing is promoted.

    Raises:
        TrainingError: See `registry.training.train`.
        RegistryError: MLflow does not take it.
    """
    version = _made_before(registry, ENSEMBLE_NAME, ensemble_fingerprint(accounts.digest, recipe))
    look = None
    if version is None:
        trained = train_ensemble(accounts, recipe, progress=progress)
        look = record_look(registry.home, trained.package.sha, accounts.digest, trained.metrics)
        version = register(registry, trained.package)
    return StagedEnsemble(version, to_staging(registry, version), look)


def register_trust_models(
    settings: Settings, recipe: Recipe | None = None, ensemble: EnsembleRecipe | None = None
) -> Released:
    """Do all steps on the accounts that the settings name, for both models.

    Args:
        settings: Where everything is.
        recipe: Of the model that serves; by default the one that was found to be good.
        ensemble: Of the ensemble, likewise.

    Raises:
        HandledError: A step cannot be done; the message says which and why.
    """
    log, recipe = structlog.get_logger(), recipe or Recipe()
    accounts = _read(settings)
    registry = open_registry(settings)
    version = find_registered(registry, accounts, recipe)
    if version is None:
        trained = train(accounts, recipe)
        look = record_look(settings.home, trained.package.sha, accounts.digest, trained.metrics)
        log.info("trained", sha=trained.package.sha, look_at_holdout=look, **trained.metrics)
        version = register(registry, trained.package)
    else:
        log.info("training_skipped", because="data, code and parameters are unchanged", version=version.number)
    released = release(
        registry, version, accounts, refitted=lambda honest: refit_version(registry, honest, accounts, recipe)
    )
    log.info(
        "promoted" if released.changed else "production_kept",
        version=released.version.number,
        production=released.production.version,
        promotion_seq=released.production.seq,
        refusal=released.refusal or None,
    )
    staged = stage_ensemble(registry, accounts, ensemble or EnsembleRecipe(recipe))
    log.info(
        "ensemble_staged" if staged.checks.passed else "ensemble_not_fit_for_use",
        version=staged.version.number,
        look_at_holdout=staged.look,
        refusal=staged.checks.why_not() or None,
    )
    return released


def _read(settings: Settings) -> Accounts:
    """Read the accounts and log what they are."""
    accounts = find_accounts(settings).load()
    structlog.get_logger().info(
        "accounts_read",
        origin=accounts.origin,
        rows=len(accounts),
        refused=len(accounts.refused),
        synthetic=accounts.synthetic,
    )
    return accounts


def main() -> int:
    """Run all steps with the settings of the environment; return the exit code."""
    try:
        settings = load_settings()
        configure_logs(settings)
        register_trust_models(settings)
    except HandledError as error:
        structlog.get_logger().error("not_registered", reason=str(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
