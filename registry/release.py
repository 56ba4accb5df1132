"""Releases: how a version gets into Production, and how the one before comes back.

A release writes, in this order: the package on the shelf, the record, the truth, the shelf's activation, the mirrors.
Until the truth is written nothing has changed; from then on `registry.truth.repair` writes whatever is still missing.
So a crash at any step leaves a Production that can serve.
"""

import functools
from dataclasses import dataclass

from msgspec.structs import replace

from features.instant import format_instant
from registry.accounts import Accounts
from registry.audit import main_metrics, who
from registry.checks import Check, Checks
from registry.gate import is_measured, judge, shadow_lines
from registry.looks import record_look
from registry.model import cached_model
from registry.package import METRICS_FROM, ModelRefusedError, Package
from registry.promotion import MOST_VERDICT, MOST_WHY, PRODUCTION_TAG, Kind, Promotion
from registry.shadow import ShadowTraffic
from registry.shelf import ShelfError
from registry.stages import stage_of
from registry.staging import Tell, note, tell_nobody
from registry.tracking import RegistryError, Version
from registry.training import MODEL_NAME
from registry.truth import Registry, mirror_all, one_at_a_time
from registry.twins import find_twin
from runtime.failure import GateRefusedError


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


def promote(  # noqa: PLR0913 - the keyword-only ones have defaults
    registry: Registry,
    version: Version,
    accounts: Accounts | None = None,
    *,
    why: str = "",
    force: bool = False,
    traffic: ShadowTraffic | None = None,
    tell: Tell | None = None,
) -> Outcome:
    """Bring a version into Production if the gate lets it; the one before is archived.

    Promoting the version that is in Production changes nothing. A refit is judged by its twin (`registry.twins`).

    Args:
        registry: Where.
        version: Which.
        accounts: The accounts it was trained on, when at hand; see `registry.gate.judge`.
        why: The reason, kept in the record.
        force: Promote also when the gate says no; a model that cannot be loaded is refused all the same.
        traffic: What it scored in the shadow; by default all that it did so far.
        tell: Told of each write.

    Raises:
        GateRefusedError: The gate says no; the message names the lines that failed.
        ModelRefusedError: The version's files are broken or not what was registered.
        RegistryError: MLflow does not take it.
    """
    with one_at_a_time(registry):
        version = registry.tracking.version(version.name, version.number)
        now = registry.history().now
        if now and now.is_of(version.name, version.number) and registry.is_on_shelf(now):
            return Outcome(now, changed=False)
        package = registry.tracking.package(version)
        checks = _ask_gate(registry, version, package, accounts, traffic=traffic, force=force)
        promotion = _next(registry, version, "promote", package, why=why)
        promotion = replace(promotion, forced=not checks.passed, verdict=str(checks)[:MOST_VERDICT])
        _commit(registry, promotion, package, tell)
    return Outcome(promotion, changed=True, checks=checks)


def ask_gate(
    registry: Registry, version: Version, accounts: Accounts | None = None, *, traffic: ShadowTraffic | None = None
) -> Checks:
    """Let the gate judge a version and promote nothing; the verdict is kept with its run, a refusal in the audit.

    Args:
        registry: Where.
        version: Which.
        accounts: See `promote`.
        traffic: See `promote`.

    Raises:
        GateRefusedError: It says no.
        ModelRefusedError: The version's files are not what was registered.
        RegistryError: MLflow does not hand them out.
    """
    with one_at_a_time(registry):
        version = registry.tracking.version(version.name, version.number)
        package = registry.tracking.package(version)
        return _ask_gate(registry, version, package, accounts, traffic=traffic)


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
        package = registry.package(version)
        promotion = _next(registry, version, "rollback", package, why=why)
        _commit(registry, promotion, package, tell)
    return Outcome(promotion, changed=True)


def _commit(registry: Registry, promotion: Promotion, package: Package, tell: Tell | None) -> None:
    """Write a release, in the order that the module's docstring gives the reasons for."""
    told = tell or tell_nobody
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


def _next(registry: Registry, version: Version, kind: Kind, package: Package, *, why: str) -> Promotion:
    """Make the record of the next release; its number is above all that truth and shelf know."""
    history = registry.history()
    return Promotion(
        seq=registry.last_seq() + 1,
        after=history.now.seq if history.now else None,
        name=version.name,
        version=version.number,
        sha=version.sha,
        kind=kind,
        at=format_instant(registry.clock()),
        by=who(),
        why=why[:MOST_WHY],
        forced=False,
        came_from=stage_of(version, history),
        metrics=_metrics(package),
    )


def _metrics(package: Package) -> dict[str, float]:
    """Return the main figures of a package; none of one that is broken."""
    try:
        return main_metrics(package.verified_manifest().metrics)
    except ModelRefusedError:
        return {}


def _ask_gate(  # noqa: PLR0913 - the keyword-only ones have defaults
    registry: Registry,
    version: Version,
    package: Package,
    accounts: Accounts | None,
    *,
    traffic: ShadowTraffic | None = None,
    force: bool = False,
) -> Checks:
    """Let the gate judge a version, and keep the verdict with its run.

    Raises:
        GateRefusedError: It says no, and nobody forces it.
    """
    in_use = _package_in_use(registry, version, force=force)
    twin_of = functools.partial(find_twin, registry)
    checks = judge(package, in_use, accounts, rules=registry.rules, engine=registry.engine, twin_of=twin_of)
    shadow = shadow_lines(traffic or shadow_of(registry, version), registry.rules)
    # The look comes first: what is kept of a verdict with the promotion is cut where it gets long.
    checks = Checks((*_count_look(registry, version, accounts, checks), *checks.lines, *shadow))
    registry.tracking.log_json(version.run_id, "gate.json", checks.as_data())
    if not (checks.passed or force):
        stage = stage_of(version, registry.history())
        note(registry, "refuse", version, stage, came_from=stage, checks=checks)
        raise GateRefusedError(
            f"{version.name} version {version.number} stays out of Production: {checks.why_not()}. To promote it all "
            f"the same: ./kol model promote {version.number} --force --reason TEXT"
        )
    return checks


def shadow_of(registry: Registry, version: Version) -> ShadowTraffic:
    """Return what a version scored in the shadow; for a refit that scored nothing, what its twin did."""
    traffic = registry.traffic(version.sha)
    twin = version.tags.get(METRICS_FROM, "")
    return registry.traffic(twin) if twin and not traffic.events else traffic


def _count_look(registry: Registry, version: Version, accounts: Accounts | None, checks: Checks) -> tuple[Check, ...]:
    """Record that the gate looked at the locked holdout, if it did; return the line that says which look it was."""
    if accounts is None or not is_measured(checks):
        return ()
    measured = version.tags.get(METRICS_FROM, version.sha)
    number = record_look(registry.home, measured, accounts.digest, {}, clock=registry.clock)
    return (Check("look at the locked holdout of these accounts", number, "any; each is counted", passed=True),)


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
