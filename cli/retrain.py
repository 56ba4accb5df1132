"""`./kol retrain`: from labelled accounts to Production in one go, if the gate lets it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import AsJson, settings_of
from cli.output import Record, Steps, emit_json, emit_table
from cli.train import Dataset, RecipeFile, announce, choices_of, note_look
from cli.versions import open_models, row_of
from runtime.failure import GateRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.accounts import Accounts
    from registry.recipe import Recipe
    from registry.register_trust_models import Released, StagedEnsemble
    from registry.tracking import Version
    from registry.truth import Registry


def retrain(  # noqa: PLR0913 - the flags of a verb
    context: typer.Context,
    *,
    dataset: Dataset = None,
    recipe: RecipeFile = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of every chance in the training; 1 by default.")] = None,
    refit: Annotated[
        bool,
        typer.Option("--refit/--no-refit", help="Promote the recipe fitted again on all rows, locked ones too."),
    ] = True,
    ensemble: Annotated[
        bool, typer.Option("--ensemble/--no-ensemble", help="Also train trust-score-ensemble and put it in Staging.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Train, register, validate, stage and promote; exit 3 when the gate keeps the model out of Production.

    The gate measures a model that never saw the locked holdout. When it passes, the same recipe is fitted again on
    all rows, and that refit goes to Production with the verdict of its twin. The ensemble is trained as well and waits
    in Staging. A model of the same data, code, seed and parameters is not trained again.

    Example: ./kol retrain --dataset accounts.csv
    """
    from registry.accounts import find_accounts

    settings = settings_of(context, dataset=dataset)
    registry, steps = open_models(settings), Steps()
    accounts = find_accounts(settings).load()
    announce(accounts)
    choices = choices_of(recipe, seed)
    version = _version(registry, accounts, choices, steps, home=settings.home)
    released = _release(registry, version, accounts, steps, again=choices if refit else None)
    staged = _stage_ensemble(registry, accounts, choices, steps) if ensemble else None
    made = [released.version, *([staged.version] if staged else [])]
    with steps.step("report", "draw the reports, kept with the runs in MLflow"):
        _log_reports(registry, made, accounts, prevalence=settings.prevalence)
    _emit(registry, accounts, released, staged, steps=steps, as_json=as_json)
    if released.refusal:
        raise GateRefusedError(released.refusal)
    if not released.changed:
        steps.note(f"version {released.version.number} is in Production already; nothing was changed")


def _version(registry: "Registry", accounts: "Accounts", recipe: "Recipe", steps: Steps, *, home: Path) -> "Version":
    """Return the version that this training makes or made before."""
    from registry.register_trust_models import find_registered
    from registry.staging import register
    from registry.training import train

    found = find_registered(registry, accounts, recipe)
    if found is not None:
        steps.note(f"version {found.number} is of the same data, code and parameters; it is not trained again")
        return found
    with steps.step("train", f"train on {len(accounts):,} accounts"):
        trained = train(accounts, recipe)
        note_look(home, trained.package.sha, accounts.digest, trained.metrics)
    with steps.step("register", "log and register"):
        return register(registry, trained.package)


def _release(
    registry: "Registry", version: "Version", accounts: "Accounts", steps: Steps, *, again: "Recipe | None"
) -> "Released":
    """Stage the version, ask the gate, and promote the version, or its refit by the recipe `again`."""
    from registry.register_trust_models import refit_version, release

    def refitted(honest: "Version") -> "Version":
        steps.note(f"the gate lets version {honest.number} pass; its recipe is fitted again on all rows")
        return refit_version(registry, honest, accounts, again) if again else honest

    what = "validate, stage, ask the gate" + (", fit again on all rows" if again else "")
    with steps.step("gate", what):
        return release(registry, version, accounts, refitted=refitted if again else None)


def _stage_ensemble(registry: "Registry", accounts: "Accounts", recipe: "Recipe", steps: Steps) -> "StagedEnsemble":
    """Train, register and stage the ensemble of the same choices."""
    from registry.ensemble_recipe import EnsembleRecipe
    from registry.register_trust_models import stage_ensemble

    with steps.step("ensemble", "train, register and stage the ensemble"):
        staged = stage_ensemble(registry, accounts, EnsembleRecipe(recipe))
    if not staged.checks.passed:
        steps.note(f"the ensemble is not fit for use: {staged.checks.why_not()}")
    return staged


def _log_reports(
    registry: "Registry", versions: "Sequence[Version]", accounts: "Accounts", *, prevalence: float
) -> None:
    """Keep page, card and pictures of each version with its run."""
    from registry.report_log import log_report

    for version in versions:
        log_report(registry, version, accounts, prevalence=prevalence)


def _emit(  # noqa: PLR0913 - the keyword-only ones say how
    registry: "Registry",
    accounts: "Accounts",
    released: "Released",
    staged: "StagedEnsemble | None",
    *,
    steps: Steps,
    as_json: bool,
) -> None:
    """Print what came of both models, and how often the locked holdout was looked at."""
    import msgspec

    from registry.looks import count_looks

    rows = [_row(registry, released.version), *([_row(registry, staged.version)] if staged else [])]
    looks = count_looks(registry.home, accounts.digest)
    if as_json:
        told = {"promoted": released.changed, "refusal": released.refusal or None, "seconds": steps.seconds}
        both = {"version": rows[0], "ensemble": rows[1] if staged else None, "looks_at_holdout": looks}
        emit_json({**told, **both, "production": msgspec.to_builtins(released.production)})
        return
    emit_table("Retrained", rows)
    steps.note(f"the locked holdout of these accounts was looked at {looks} times so far")


def _row(registry: "Registry", version: "Version") -> Record:
    """Describe a version as it is now."""
    return row_of(registry.tracking.version(version.name, version.number), registry.history())
