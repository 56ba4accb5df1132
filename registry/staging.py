"""Versions before the gate: registered, validated, in Staging, archived. Each step is a line of the audit."""

from collections.abc import Callable, Mapping

from features.instant import format_instant
from registry.audit import Deed, Entry, main_metrics, next_line, who
from registry.checks import Checks
from registry.package import METRICS_FROM, Package
from registry.promotion import MOST_VERDICT, MOST_WHY
from registry.stages import Stage, stage_of
from registry.tracking import SHA_TAG, STAGE_TAG, RegistryError, Version
from registry.training import MODEL_NAME
from registry.truth import Registry, mirror_all, one_at_a_time
from registry.validation import validate
from registry.validation_page import as_page

COPIED_TAGS = ("dataset_sha256", "fingerprint", METRICS_FROM)
"""Facts of the training by which a version is found again; also tags of the version."""

Tell = Callable[[str], None]
"""Told of each write when it is done. A promotion: shelved, recorded, switched, activated, mirrored. Staging and
archiving: `noted N` and `moved N` of each version that they concern."""


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
        version = registry.tracking.add_version(manifest.name, registry.tracking.log(package), tags)
        note(registry, "register", version, Stage.NONE, metrics=manifest.metrics)
        return version


def check(registry: Registry, version: Version) -> Checks:
    """Validate a version, keep the report with its run and the verdict in the audit; no stage changes.

    Raises:
        RegistryError: The version was not registered by us, or its files cannot be fetched.
        ModelRefusedError: They are not what was registered.
    """
    checks = _validated(registry, version)
    with one_at_a_time(registry):
        stage = stage_of(version, registry.history())
        note(registry, "validate", version, stage, came_from=stage, checks=checks)
    return checks


def to_staging(registry: Registry, version: Version, *, why: str = "", tell: Tell | None = None) -> Checks:
    """Validate a version; one that is fit for use and not in Production goes to Staging.

    Another version of its name that was in Staging is archived.

    Returns:
        The verdict. What fails stays in the stage it had.
    """
    checks = _validated(registry, version)
    with one_at_a_time(registry):
        history = registry.history()
        present = registry.tracking.version(version.name, version.number)
        came_from = stage_of(present, history)
        if not checks.passed:
            note(registry, "refuse", present, came_from, came_from=came_from, why=why, checks=checks)
        elif came_from not in {Stage.PRODUCTION, Stage.STAGING}:
            for other in registry.tracking.versions(version.name):
                if stage_of(other, history) is Stage.STAGING:
                    _move(registry, other, Stage.ARCHIVED, "archive", why=f"staged version {version.number}", tell=tell)
            _move(registry, present, Stage.STAGING, "stage", why=why, checks=checks, tell=tell)
        mirror_all(registry, history)
    return checks


def archive(registry: Registry, version: Version, *, why: str = "", tell: Tell | None = None) -> bool:
    """Archive a version.

    Returns:
        False when it was archived before.

    Raises:
        RegistryError: It is in Production: something must serve.
    """
    with one_at_a_time(registry):
        history = registry.history()
        present = registry.tracking.version(version.name, version.number)
        stage = stage_of(present, history)
        if stage is Stage.PRODUCTION:
            raise RegistryError(
                f"{version.name} version {version.number} is in Production; promote another one or roll back, and it "
                "is archived by that"
            )
        if stage is not Stage.ARCHIVED:
            _move(registry, present, Stage.ARCHIVED, "archive", why=why, tell=tell)
        mirror_all(registry, history)
    return stage is not Stage.ARCHIVED


def _validated(registry: Registry, version: Version) -> Checks:
    """Validate a version and keep the report with its run, as JSON and as a page."""
    checks = validate(registry.tracking.package(version), registry.engine)
    registry.tracking.log_json(version.run_id, "validation.json", checks.as_data())
    registry.tracking.log_text(version.run_id, "validation.html", as_page(f"{version.name} v{version.number}", checks))
    return checks


def _move(  # noqa: PLR0913 - the keyword-only ones have defaults
    registry: Registry,
    version: Version,
    stage: Stage,
    deed: Deed,
    *,
    why: str = "",
    checks: Checks | None = None,
    tell: Tell | None = None,
) -> None:
    """Put a version that is not in Production in another stage: first the audit's line, then the stage's tag."""
    came_from = stage_of(version, registry.history())
    note(registry, deed, version, stage, came_from=came_from, why=why, checks=checks)
    (tell or tell_nobody)(f"noted {version.number}")
    registry.tracking.set_version_tag(version, STAGE_TAG, stage)
    (tell or tell_nobody)(f"moved {version.number}")


def note(  # noqa: PLR0913 - the keyword-only ones have defaults
    registry: Registry,
    deed: Deed,
    version: Version,
    went_to: Stage,
    *,
    came_from: Stage | None = None,
    why: str = "",
    checks: Checks | None = None,
    metrics: Mapping[str, float] | None = None,
) -> None:
    """Add a line to the audit."""
    known = {name: float(version.tags[name]) for name in ("roc_auc",) if name in version.tags}
    entry = Entry(
        at=format_instant(registry.clock()),
        by=who(),
        deed=deed,
        name=version.name,
        version=version.number,
        sha=version.sha,
        came_from=came_from or "",
        went_to=went_to,
        why=why[:MOST_WHY],
        metrics=main_metrics(known if metrics is None else metrics),
        verdict=str(checks)[:MOST_VERDICT] if checks else "",
    )
    registry.tracking.set_model_tag(MODEL_NAME, *next_line(registry.tracking.model_tags(MODEL_NAME), entry))


def tell_nobody(_written: str) -> None:
    """Tell nobody."""
