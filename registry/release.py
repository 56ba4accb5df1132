"""Releases: how a model gets into the registry, into Staging and into Production, and how the one before comes back.

A release writes, in this order: the package on the shelf, the record, the truth, the shelf's activation, the mirrors.
Until the truth is written nothing has changed; from then on `registry.truth.repair` writes whatever is still missing.
So a crash at any step leaves a Production that can serve.
"""

import getpass
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from features.instant import format_instant
from registry.accounts import Accounts
from registry.checks import Checks
from registry.gate import judge
from registry.model import cached_model
from registry.package import ModelRefusedError, Package
from registry.promotion import MOST_WHY, PRODUCTION_TAG, Kind, Promotion
from registry.shelf import ShelfError
from registry.stages import Stage, mirror, stage_of
from registry.tracking import SHA_TAG, STAGE_TAG, RegistryError, Version
from registry.training import MODEL_NAME
from registry.truth import Registry, mirror_all, one_at_a_time
from registry.validation import validate
from runtime.failure import GateRefusedError

COPIED_TAGS = ("dataset_sha256", "fingerprint")
"""Facts of the training by which a version is found again; also tags of the version."""

Tell = Callable[[str], None]
"""Told of each write of a release when it is done: shelved, recorded, switched, activated, mirrored."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a release did.

    Attributes:
        promotion: What is in force now.
        changed: False when that was so before.
        checks: The gate's verdict, where it was asked.
    """

    promotion: Promotion
    changed: bool
    checks: Checks | None = None


def register(registry: Registry, package: Package) -> Version:
    """Log and register a model; one that is registered already is returned as it is.

    Raises:
        ModelRefusedError: The package is broken.
        RegistryError: MLflow does not take it.
    """
    manifest = package.verified_manifest()
    with one_at_a_time(registry):
        for version in registry.tracking.versions(manifest.name):
            if version.sha == package.sha:
                return version
        tags = {
            SHA_TAG: package.sha,
            STAGE_TAG: Stage.NONE.value,
            "contract": manifest.contract,
            "synthetic": str(manifest.synthetic).lower(),
            "roc_auc": f"{manifest.metrics.get('roc_auc', float('nan')):.5f}",
            **{name: manifest.training[name] for name in COPIED_TAGS if name in manifest.training},
        }
        return registry.tracking.add_version(manifest.name, registry.tracking.log(package), tags)


def to_staging(registry: Registry, version: Version) -> Checks:
    """Validate a version; one that is fit for use and not in Production goes to Staging.

    Another version of its name that was in Staging is archived.

    Returns:
        The verdict. What fails stays in the stage it had.
    """
    checks = validate(registry.tracking.package(version), registry.engine)
    registry.tracking.log_json(version.run_id, "validation.json", checks.as_data())
    with one_at_a_time(registry):
        history = registry.history()
        if checks.passed and stage_of(version, history) is not Stage.PRODUCTION:
            for other in registry.tracking.versions(version.name):
                if other.number != version.number and stage_of(other, history) is Stage.STAGING:
                    registry.tracking.set_version_tag(other, STAGE_TAG, Stage.ARCHIVED)
            registry.tracking.set_version_tag(version, STAGE_TAG, Stage.STAGING)
            mirror(registry.tracking, version.name, history)
    return checks


def promote(  # noqa: PLR0913 - the keyword-only ones have defaults
    registry: Registry,
    version: Version,
    accounts: Accounts | None = None,
    *,
    why: str = "",
    force: bool = False,
    tell: Tell | None = None,
) -> Outcome:
    """Bring a version into Production if the gate lets it; the one before is archived.

    Promoting the version that is in Production changes nothing.

    Args:
        registry: Where.
        version: Which.
        accounts: The accounts it was trained on, when at hand; see `registry.gate.judge`.
        why: The reason, kept in the record.
        force: Promote also when the gate says no; a model that cannot be loaded is refused all the same.
        tell: Told of each write.

    Raises:
        GateRefusedError: The gate says no; the message names the lines that failed.
        ModelRefusedError: The version's files are broken or not what was registered.
        RegistryError: MLflow does not take it.
    """
    with one_at_a_time(registry):
        now = registry.history().now
        if now and now.is_of(version.name, version.number) and registry.is_on_shelf(now):
            return Outcome(now, changed=False)
        package = registry.tracking.package(version)
        checks = _ask_gate(registry, version, package, accounts, force=force)
        promotion = _next(registry, version, "promote", why=why, forced=not checks.passed)
        _commit(registry, promotion, package, tell)
    return Outcome(promotion, changed=True, checks=checks)


def rollback(registry: Registry, *, why: str = "", tell: Tell | None = None) -> Outcome:
    """Bring back the model that was in Production before; rolling back twice returns to the present one.

    Raises:
        RegistryError: There is none to go back to.
        ModelRefusedError: Its files are broken.
    """
    with one_at_a_time(registry):
        before = registry.history().before
        if before is None:
            raise RegistryError("there is no earlier Production to go back to; ./kol model list shows all versions")
        version = registry.tracking.version(before.name, before.version)
        promotion = _next(registry, version, "rollback", why=why, forced=False)
        _commit(registry, promotion, registry.package(version), tell)
    return Outcome(promotion, changed=True)


def _commit(registry: Registry, promotion: Promotion, package: Package, tell: Tell | None) -> None:
    """Write a release, in the order that the module's docstring gives the reasons for."""
    told = tell or _tell_nobody
    cached_model(package, registry.engine)
    registry.shelf.put(package)
    told("shelved")
    registry.tracking.set_model_tag(MODEL_NAME, promotion.record_tag, promotion.encode())
    told("recorded")
    registry.tracking.set_model_tag(MODEL_NAME, PRODUCTION_TAG, promotion.truth)
    told("switched")
    registry.shelf.activate(promotion.activation())
    told("activated")
    mirror_all(registry, registry.history())
    told("mirrored")


def _next(registry: Registry, version: Version, kind: Kind, *, why: str, forced: bool) -> Promotion:
    """Make the record of the next release; its number is above all that truth and shelf know."""
    now = registry.history().now
    return Promotion(
        seq=registry.last_seq() + 1,
        after=now.seq if now else None,
        name=version.name,
        version=version.number,
        sha=version.sha,
        kind=kind,
        at=format_instant(registry.clock()),
        by=_who(),
        why=why[:MOST_WHY],
        forced=forced,
    )


def _ask_gate(
    registry: Registry, version: Version, package: Package, accounts: Accounts | None, *, force: bool
) -> Checks:
    """Let the gate judge a version, and keep the verdict with its run.

    Raises:
        GateRefusedError: It says no, and nobody forces it.
    """
    in_use = _package_in_use(registry, version, force=force)
    checks = judge(package, in_use, accounts, margin=registry.margin, engine=registry.engine)
    registry.tracking.log_json(version.run_id, "gate.json", checks.as_data())
    if not (checks.passed or force):
        raise GateRefusedError(
            f"{version.name} version {version.number} stays out of Production: {checks.why_not()}. To promote it all "
            f"the same: ./kol model promote {version.number} --force --reason TEXT"
        )
    return checks


def _package_in_use(registry: Registry, candidate: Version, *, force: bool) -> Package | None:
    """Return the package in Production to compare with, or None when there is none or it is the candidate itself.

    One whose files are lost stops a promotion, unless it is forced: nobody can say whether the new one is better.
    """
    try:
        version = registry.production()
        if version is None or (version.name, version.number) == (candidate.name, candidate.number):
            return None
        return registry.package(version)
    except (RegistryError, ModelRefusedError, ShelfError):
        if force:
            return None
        raise


def _who() -> str:
    """Name who does this, `user@host`; in a container the user may have no name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def _tell_nobody(_written: str) -> None:
    """Tell nobody."""
