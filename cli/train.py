"""`./kol train`: a model from labelled accounts, as two files that score, register and travel."""

import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from cli.context import AsJson, settings_of
from cli.output import Record, emit_json, emit_table, to_people

if TYPE_CHECKING:
    from registry.accounts import Accounts
    from registry.training import Trained

TRAINED = "trained"
"""Folder below HOME of the models that were trained here, each in a folder named by its sha."""

Dataset = Annotated[
    Path | None, typer.Option(help="CSV of labelled accounts, with the upstream's columns; KOL_DATASET by default.")
]


def train(
    context: typer.Context,
    *,
    dataset: Dataset = None,
    seed: Annotated[int, typer.Option(min=0, help="Of every chance in the training.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Train a model; print its figures on the locked holdout, time, memory and the path of its files.

    The holdout is the fifth of the accounts that a hash of their ids chooses; training never sees it. The same
    accounts, seed and code give the same model, to the last bit.

    Example: ./kol train --dataset accounts.csv
    """
    from registry.accounts import find_accounts
    from registry.shelf import Shelf

    settings = settings_of(context, dataset=dataset)
    started = time.monotonic()
    source = find_accounts(settings)
    accounts = source.load()
    announce(accounts)
    trained = _train(accounts, seed)
    folder = settings.home.resolve() / TRAINED
    path = folder / Shelf.at(folder).put(trained.package)
    path.touch()  # the newest is what './kol model register' takes
    facts = _facts(accounts, trained, seconds=time.monotonic() - started)
    if as_json:
        emit_json({**facts, "metrics": trained.metrics, "path": str(path)})
        return
    emit_table("Trained", [*_rows(facts), *_rows({k: f"{v:.5f}" for k, v in trained.metrics.items()})])
    typer.echo(path)


def announce(accounts: "Accounts") -> None:
    """Say on stderr what the accounts are and which rows were refused, the first few by name."""
    console = to_people()
    console.print(f"{len(accounts)} accounts from {accounts.origin}", soft_wrap=True)
    for row in accounts.refused[:SHOWN]:
        console.print(f"  refused {row}", soft_wrap=True, markup=False)
    if len(accounts.refused) > SHOWN:
        console.print(f"  refused {len(accounts.refused) - SHOWN} rows more; ./kol data describe --json names all")


SHOWN = 5
"""Refused rows that are printed for people."""


def _train(accounts: "Accounts", seed: int) -> "Trained":
    """Train under a progress bar."""
    from registry.recipe import Recipe
    from registry.training import train as train_model

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=to_people()) as bar:
        task = bar.add_task("training")
        return train_model(
            accounts, Recipe(seed=seed), progress=lambda done, of: bar.update(task, completed=done, total=of)
        )


def _facts(accounts: "Accounts", trained: "Trained", *, seconds: float) -> dict[str, object]:
    """Return what people want to know beside the figures."""
    return {
        "data": accounts.origin,
        "synthetic": accounts.synthetic,
        "dataset_sha256": accounts.digest,
        "refused_rows": len(accounts.refused),
        "rows": trained.rows,
        "holdout_rows": trained.holdout_rows,
        "sha": trained.package.sha,
        "bytes": len(trained.package.text),
        "seconds": round(seconds, 1),
        "peak_memory_mb": peak_memory_mb(),
    }


def peak_memory_mb() -> int:
    """Return the most memory that this process held, MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)


def _rows(facts: Record) -> list[Record]:
    """Turn facts into rows of a table."""
    return [{"fact": name, "value": value} for name, value in facts.items()]
