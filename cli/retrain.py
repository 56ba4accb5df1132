"""`./kol retrain`: from labelled accounts to Production in one go, if the gate lets it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import AsJson, settings_of
from cli.output import Steps, emit_json, emit_table
from cli.train import Dataset, announce
from cli.versions import open_models, row_of
from runtime.failure import GateRefusedError

if TYPE_CHECKING:
    from registry.accounts import Accounts
    from registry.recipe import Recipe
    from registry.tracking import Version
    from registry.truth import Registry


def retrain(
    context: typer.Context,
    *,
    dataset: Dataset = None,
    seed: Annotated[int, typer.Option(min=0, help="Of every chance in the training.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Train, register, validate, stage and promote; exit 3 when the gate keeps the model out of Production.

    A model of the same data, code, seed and parameters is not trained again.

    Example: ./kol retrain --dataset accounts.csv
    """
    import msgspec

    from registry.accounts import find_accounts
    from registry.recipe import Recipe
    from registry.register_trust_models import release

    settings = settings_of(context, dataset=dataset)
    registry, steps = open_models(settings), Steps()
    accounts = find_accounts(settings).load()
    announce(accounts)
    version = _version(registry, accounts, Recipe(seed=seed), steps, home=settings.home)
    with steps.step("gate", "validate, stage and ask the gate"):
        released = release(registry, version, accounts)
    row = row_of(registry.tracking.version(version.name, version.number), registry.history())
    told = {"promoted": released.changed, "refusal": released.refusal or None, "seconds": steps.seconds}
    if as_json:
        emit_json({**told, "version": row, "production": msgspec.to_builtins(released.production)})
    else:
        emit_table("Retrained", [row])
    if released.refusal:
        raise GateRefusedError(released.refusal)
    if not released.changed:
        steps.note(f"version {version.number} is in Production already; nothing was changed")


def _version(registry: "Registry", accounts: "Accounts", recipe: "Recipe", steps: Steps, *, home: Path) -> "Version":
    """Return the version that this training makes or made before."""
    from registry.looks import record_look
    from registry.register_trust_models import find_registered
    from registry.staging import register
    from registry.training import train

    found = find_registered(registry, accounts, recipe)
    if found is not None:
        steps.note(f"version {found.number} is of the same data, code and parameters; it is not trained again")
        return found
    with steps.step("train", f"train on {len(accounts):,} accounts"):
        trained = train(accounts, recipe)
        record_look(home, trained.package.sha, accounts.digest, trained.metrics)
    with steps.step("register", "log and register"):
        return register(registry, trained.package)
