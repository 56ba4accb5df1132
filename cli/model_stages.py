"""`./kol model validate`, `stage` and `archive`: a version's way up to the gate, and out of the way."""

from typing import TYPE_CHECKING

import typer

from cli.context import AsJson, settings_of
from cli.output import emit, emit_json, emit_table, to_people
from cli.versions import Reason, VersionWord, find_version, open_models, row_of, rows_of
from runtime.failure import GateRefusedError

if TYPE_CHECKING:
    from registry.checks import Checks
    from registry.tracking import Version
    from registry.truth import Registry


def validate(
    context: typer.Context,
    *,
    version: VersionWord,
    as_json: AsJson = False,
) -> None:
    """Check whether a version is fit for use; its stage stays. Exit 3 when it is not.

    The report is kept with its run in MLflow, as validation.json and as a page, validation.html.

    Example: ./kol model validate 3
    """
    from registry.staging import check

    registry = open_models(settings_of(context))
    found = find_version(registry, version)
    checks = check(registry, found)
    _emit_verdict(registry, found, checks, as_json=as_json)


def stage(
    context: typer.Context,
    *,
    version: VersionWord,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Validate a version and put it in Staging; the one that was there is archived. Exit 3 when it is not fit for use.

    Example: ./kol model stage 3
    """
    from registry.staging import to_staging

    registry = open_models(settings_of(context))
    found = find_version(registry, version)
    checks = to_staging(registry, found, why=reason)
    _emit_verdict(registry, found, checks, as_json=as_json)


def archive(
    context: typer.Context,
    *,
    version: VersionWord,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Archive a version that is not in Production; it stays registered and can be promoted again.

    Example: ./kol model archive 3 --reason "too many levels flip"
    """
    from registry.staging import archive as archive_version

    registry = open_models(settings_of(context))
    found = find_version(registry, version)
    if not archive_version(registry, found, why=reason):
        to_people().print(f"{found.name} version {found.number} is archived already; nothing was changed")
    emit([_row(registry, found)], title="Archived", as_json=as_json)


def _emit_verdict(registry: "Registry", found: "Version", checks: "Checks", *, as_json: bool) -> None:
    """Print the verdict and the version's stage.

    Raises:
        GateRefusedError: The version is not fit for use.
    """
    row = _row(registry, found)
    if as_json:
        emit_json({"version": row, "validation": checks.as_data()})
    else:
        emit_table("Validation", rows_of(checks))
        emit_table("Version", [row])
    if not checks.passed:
        raise GateRefusedError(f"{found.name} version {found.number} is not fit for use: {checks.why_not()}")


def _row(registry: "Registry", found: "Version") -> dict[str, object]:
    """Describe the version as it is now."""
    return row_of(registry.tracking.version(found.name, found.number), registry.history())
