"""`./kol model`: versions and stages. None -> Staging -> Production -> Archived."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import AsJson, settings_of
from cli.output import Record, Steps, emit, emit_json, emit_table, to_people
from cli.train import TRAINED, Dataset
from runtime.settings import Settings

if TYPE_CHECKING:
    from registry.promotion import History
    from registry.release import Outcome
    from registry.tracking import Version
    from registry.truth import Registry

app = typer.Typer(no_args_is_help=True, help="Model versions and their stages: None, Staging, Production, Archived.")

WRITES = {
    "shelved": "exported to the shelf",
    "recorded": "recorded",
    "switched": "switched Production in MLflow",
    "activated": "activated on the shelf",
    "mirrored": "updated stages and aliases in MLflow",
}
"""The writes of a release, in words."""

Reason = Annotated[str, typer.Option(help="Why, kept in the record.")]


@app.command("list")
def list_versions(
    context: typer.Context,
    *,
    as_json: AsJson = False,
) -> None:
    """List all versions of the registered models with their stages, newest first.

    Example: ./kol model list
    """
    from registry.truth import NAMES

    registry = _open(settings_of(context))
    history = registry.history()
    versions = [version for name in NAMES for version in reversed(registry.tracking.versions(name))]
    rows = [_row(version, history) for version in versions]
    if rows or as_json:
        emit(rows, title="Models", as_json=as_json)
    else:
        to_people().print("no model is registered yet; run ./kol train, then ./kol model register")


@app.command()
def show(
    context: typer.Context,
    *,
    version: Annotated[int | None, typer.Argument(help="Version; Production by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show one version: stage, figures, training, calibration, ranges.

    Example: ./kol model show 3
    """
    import msgspec

    registry = _open(settings_of(context))
    found = _find(registry, version)
    facts: dict[str, Any] = {**_row(found, registry.history()), "run_id": found.run_id}
    manifest: dict[str, Any] = msgspec.to_builtins(registry.package(found).verified_manifest())
    if as_json:
        emit_json({**facts, "manifest": manifest})
        return
    emit_table("Model", [{"fact": name, "value": value} for name, value in facts.items()])
    for part in ("metrics", "training", "ranges"):
        emit_table(part.title(), [{"name": name, "value": value} for name, value in manifest[part].items()])


@app.command()
def register(
    context: typer.Context,
    *,
    path: Annotated[
        Path | None, typer.Argument(help="Folder that './kol train' printed; the newest by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Log a trained model to MLflow and register it as the next version; registering it again changes nothing.

    Example: ./kol model register
    """
    from registry.release import register as register_package
    from registry.shelf import read_package

    settings = settings_of(context)
    package = read_package(path or _newest_trained(settings))
    registry = _open(settings)
    with Steps().step("register", "registering"):
        version = register_package(registry, package)
    emit([_row(version, registry.history())], title="Registered", as_json=as_json)


@app.command()
def promote(  # noqa: PLR0913 - the flags of a verb
    context: typer.Context,
    *,
    version: Annotated[int, typer.Argument(help="Version to bring into Production.")],
    dataset: Dataset = None,
    force: Annotated[bool, typer.Option("--force", help="Also when the gate says no; needs --reason.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Bring a version into Production if the gate lets it, and archive the one before; exit 3 when it does not.

    The gate wants a model that is fit for use and whose ROC-AUC on the locked holdout is more than Production's plus
    KOL_PROMOTION_MARGIN.

    Example: ./kol model promote 3
    """
    from registry.accounts import find_accounts
    from registry.release import promote as promote_version

    if force and not reason:
        raise typer.BadParameter("say why: --force --reason TEXT", param_hint="--force")
    settings = settings_of(context, dataset=dataset)
    registry = _open(settings)
    found = _find(registry, version)
    accounts = find_accounts(settings).load()
    outcome = promote_version(registry, found, accounts, why=reason, force=force, tell=_tell)
    _emit_outcome(outcome, as_json=as_json)


@app.command()
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

    _emit_outcome(roll_back(_open(settings_of(context)), why=reason, tell=_tell), as_json=as_json)


def _open(settings: Settings) -> "Registry":
    """Open the registry; the first time takes a few seconds."""
    from registry.truth import open_registry

    with to_people().status("opening the registry"):
        return open_registry(settings)


def _find(registry: "Registry", number: int | None) -> "Version":
    """Return a version of the model that serves, Production by default."""
    from registry.shelf import ShelfError
    from registry.training import MODEL_NAME

    found = registry.production() if number is None else registry.tracking.version(MODEL_NAME, number)
    if found is None:
        raise ShelfError("no model is in Production; see ./kol model list, then ./kol model promote VERSION")
    return found


def _newest_trained(settings: Settings) -> Path:
    """Return the folder of the model that was trained last."""
    from registry.shelf import ShelfError

    folders = [path.parent for path in (settings.home.resolve() / TRAINED).glob("*/manifest.json")]
    if not folders:
        raise ShelfError(f"no model was trained in {settings.home}; run ./kol train")
    return max(folders, key=lambda folder: folder.stat().st_mtime)


def _row(version: "Version", history: "History") -> dict[str, Any]:
    """Describe a version in one row."""
    from registry.stages import stage_of

    return {
        "name": version.name,
        "version": version.number,
        "stage": stage_of(version, history).value,
        "roc_auc": version.tags.get("roc_auc"),
        "registered": version.created_at.isoformat(timespec="seconds"),
        "data": version.tags.get("dataset_sha256", "")[:12] + (" SYNTHETIC" if _is_synthetic(version) else ""),
        "sha": version.sha[:12],
    }


def _is_synthetic(version: "Version") -> bool:
    """Tell whether a version was trained on generated accounts."""
    return version.tags.get("synthetic") == "true"


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
        emit_table("Gate", [msgspec.to_builtins(line) for line in outcome.checks.lines])
    emit_table("Production", [{"fact": name, "value": value} for name, value in now.items()])


def _tell(written: str) -> None:
    """Print one write of a release."""
    to_people().print(f"[green]✓[/green] {WRITES[written]}")
