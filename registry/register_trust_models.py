"""From labelled accounts to Production in one go: train, log, register, validate, promote if the gate lets it.

`python -m registry.register_trust_models` does all of it; the functions are its steps. Training is skipped when a
version of the same data, code and parameters is registered already.
"""

import sys
from dataclasses import dataclass

import structlog

from registry.accounts import Accounts, find_accounts
from registry.looks import record_look
from registry.promotion import Promotion
from registry.recipe import Recipe
from registry.release import promote
from registry.staging import Tell, register, to_staging
from registry.tracking import Version
from registry.training import MODEL_NAME, fingerprint, train
from registry.truth import Registry, open_registry
from runtime.failure import GateRefusedError, HandledError
from runtime.logs import configure_logs
from runtime.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class Released:
    """What came of a version at the gate.

    Attributes:
        version: The version that wanted to be Production.
        production: The promotion in force afterwards.
        changed: Whether that is a new one.
        refusal: Why the gate said no; empty when it did not.
    """

    version: Version
    production: Promotion
    changed: bool
    refusal: str


def find_registered(registry: Registry, accounts: Accounts, recipe: Recipe | None = None) -> Version | None:
    """Return the newest version that training on these accounts would make again, or None."""
    wanted = fingerprint(accounts.digest, recipe or Recipe())
    versions = reversed(registry.tracking.versions(MODEL_NAME))
    return next((version for version in versions if version.tags.get("fingerprint") == wanted), None)


def release(registry: Registry, version: Version, accounts: Accounts, tell: Tell | None = None) -> Released:
    """Validate a version, put it in Staging and promote it if the gate lets it.

    A refusal is no failure as long as something is in Production.

    Raises:
        GateRefusedError: It is refused, and nothing is in Production.
    """
    to_staging(registry, version)
    try:
        outcome = promote(registry, version, accounts, why="trained and registered", tell=tell)
    except GateRefusedError as refusal:
        now = registry.history().now
        if now is None:
            raise
        return Released(version, now, changed=False, refusal=str(refusal))
    return Released(version, outcome.promotion, outcome.changed, refusal="")


def register_trust_models(settings: Settings, recipe: Recipe | None = None) -> Released:
    """Do all steps on the accounts that the settings name.

    Raises:
        HandledError: A step cannot be done; the message says which and why.
    """
    log = structlog.get_logger()
    accounts = find_accounts(settings).load()
    log.info(
        "accounts_read",
        origin=accounts.origin,
        rows=len(accounts),
        refused=len(accounts.refused),
        synthetic=accounts.synthetic,
    )
    registry = open_registry(settings)
    version = find_registered(registry, accounts, recipe)
    if version is None:
        trained = train(accounts, recipe)
        looks = record_look(settings.home, trained.package.sha, accounts.digest, trained.metrics)
        log.info("trained", sha=trained.package.sha, looks_at_holdout=looks, **trained.metrics)
        version = register(registry, trained.package)
    else:
        log.info("training_skipped", because="data, code and parameters are unchanged", version=version.number)
    released = release(registry, version, accounts)
    log.info(
        "promoted" if released.changed else "production_kept",
        version=version.number,
        production=released.production.version,
        promotion_seq=released.production.seq,
        refusal=released.refusal or None,
    )
    return released


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
