"""`./kol model`: versions and stages. None -> Staging -> Production -> Archived."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import AsJson, settings_of
from cli.model_bundle import bundle
from cli.model_diff import diff
from cli.model_history import history
from cli.model_shadow import shadow_report
from cli.model_stages import archive, stage, validate
from cli.output import Record, Steps, emit, emit_json, emit_table, to_people
from cli.train import Dataset
from cli.versions import Reason, VersionWord, find_version, open_models, row_of, rows_of
from runtime.settings import TRAINED, Settings

if TYPE_CHECKING:
    from registry.release import Outcome

WRITES = {
    "shelved": "exported to the shelf",
    "recorded": "recorded",
    "switched": "switched Production in MLflow",
    "activated": "activated on the shelf",
    "mirrored": "updated stages and aliases in MLflow",
}
"""The writes of a release, in words."""


def build_verbs() -> typer.Typer:
    """Put the verbs of models together, in the order of a version's life."""
    app = typer.Typer(
        no_args_is_help=True, help="Model versions and their stages: None, Staging, Production, Archived."
    )
    app.command("list")(list_versions)
    app.command("show")(show)
    app.command("register")(register)
    app.command("validate")(validate)
    app.command("stage")(stage)
    app.command("promote")(promote)
    app.command("rollback")(rollback)
    app.command("archive")(archive)
    app.command("diff")(diff)
    app.command("shadow-report")(shadow_report)
    app.command("history")(history)
    app.command("bundle")(bundle)
    return app


def list_versions(
    context: typer.Context,
    *,
    as_json: AsJson = False,
) -> None:
    """List all versions of the registered models with their stages, newest first.

    Example: ./kol model list
    """
    from registry.truth import NAMES

    registry = open_models(settings_of(context))
    promotions = registry.history()
    versions = [version for name in NAMES for version in reversed(registry.tracking.versions(name))]
    rows = [row_of(version, promotions) for version in versions]
    if rows or as_json:
        emit(rows, title="Models", as_json=as_json)
    else:
        to_people().print("no model is registered yet; run ./kol train, then ./kol model register")


def show(
    context: typer.Context,
    *,
    version: Annotated[
        str | None, typer.Argument(help="3, or trust-score-ensemble/3, or an alias; Production by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show one version: stage, figures, training, calibration, ranges.

    Example: ./kol model show 3
    """
    import msgspec

    registry = open_models(settings_of(context))
    found = find_version(registry, version)
    facts: dict[str, Any] = {**row_of(found, registry.history()), "run_id": found.run_id}
    manifest: dict[str, Any] = msgspec.to_builtins(registry.package(found).verified_manifest())
    if as_json:
        emit_json({**facts, "manifest": manifest})
        return
    emit_table("Model", [{"fact": name, "value": value} for name, value in facts.items()])
    for part in ("metrics", "training", "ranges"):
        emit_table(part.title(), [{"name": name, "value": value} for name, value in manifest[part].items()])


def register(
    context: typer.Context,
    *,
    path: Annotated[
        str | None,
        typer.Argument(help="Folder that './kol train' printed, the newest by default; or bundled: what comes along."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Log a trained model to MLflow and register it as the next version; registering it again changes nothing.

    Example: ./kol model register
    """
    from cli.score_models import package_of
    from registry.staging import register as register_package

    settings = settings_of(context)
    package = package_of(path or str(_newest_trained(settings)))
    registry = open_models(settings)
    with Steps().step("register", "registering"):
        version = register_package(registry, package)
    emit([row_of(version, registry.history())], title="Registered", as_json=as_json)


def promote(  # noqa: PLR0913 - the flags of a verb
    context: typer.Context,
    *,
    version: VersionWord,
    dataset: Dataset = None,
    force: Annotated[bool, typer.Option("--force", help="Also when the gate says no; needs --reason.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Bring a version into Production if the gate lets it, and archive the one before; exit 3 when it does not.

    The gate wants a model that is fit for use and whose ROC-AUC on the locked holdout is more than Production's plus
    KOL_PROMOTION_MARGIN, calibrated, and no worse for any follower tier; it counts the risk levels that flip.

    Example: ./kol model promote 3
    """
    from registry.accounts import find_accounts
    from registry.release import promote as promote_version

    if force and not reason:
        raise typer.BadParameter("say why: --force --reason TEXT", param_hint="--force")
    settings = settings_of(context, dataset=dataset)
    registry = open_models(settings)
    found = find_version(registry, version)
    accounts = find_accounts(settings).load()
    outcome = promote_version(registry, found, accounts, why=reason, force=force, tell=_tell)
    _emit_outcome(outcome, as_json=as_json)


def rollback(
    context: typer.Context,
    *,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Bring the previous Production back; rolling back twice returns to the present one.

    Example: ./kol model rollback --reason "too many complaints"
    """
    from registry.release import rollback as roll_back

    _emit_outcome(roll_back(open_models(settings_of(context)), why=reason, tell=_tell), as_json=as_json)


def _newest_trained(settings: Settings) -> Path:
    """Return the folder of the model that was trained last."""
    from registry.shelf import ShelfError

    folders = [path.parent for path in (settings.home.resolve() / TRAINED).glob("*/manifest.json")]
    if not folders:
        raise ShelfError(f"no model was trained in {settings.home}; run ./kol train")
    return max(folders, key=lambda folder: folder.stat().st_mtime)


def _emit_outcome(outcome: "Outcome", *, as_json: bool) -> None:
    """Print what is in Production now and, where the gate was asked, what it said."""
    import msgspec

    now: Record = msgspec.to_builtins(outcome.promotion)
    if as_json:
        emit_json({"changed": outcome.changed, "production": now, "gate": outcome.checks and outcome.checks.as_data()})
        return
    if not outcome.changed:
        to_people().print(f"version {outcome.promotion.version} is in Production already; nothing was changed")
    if outcome.checks:
        emit_table("Gate", rows_of(outcome.checks))
    emit_table("Production", [{"fact": name, "value": value} for name, value in now.items()])


def _tell(written: str) -> None:
    """Print one write of a release."""
    to_people().print(f"[green]✓[/green] {WRITES[written]}")
