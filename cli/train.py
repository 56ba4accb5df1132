"""`./kol train`: a model from labelled accounts, as two files that score, register and travel."""

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from cli.context import AsJson, settings_of
from cli.output import Record, emit_json, emit_table, to_people
from cli.train_report import era_record, print_out_of_time, print_reliability, print_slices
from runtime.settings import TRAINED

if TYPE_CHECKING:
    from registry.accounts import Accounts
    from registry.eras import OutOfTime
    from registry.package import Package
    from registry.recipe import Recipe
    from registry.training import Trained

Told = Callable[[int, int], None]
"""Told how much of how much is done."""

Dataset = Annotated[
    Path | None, typer.Option(help="CSV of labelled accounts, with the upstream's columns; KOL_DATASET by default.")
]

RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="JSON of choices, such as './kol tune' writes.")]

Refit = Annotated[bool, typer.Option("--refit/--no-refit", help="Train once more on all rows, the locked ones too.")]
Report = Annotated[bool, typer.Option("--report", help="Also measure out of time: five more fits, before 2017.")]

Ensemble = Annotated[
    bool,
    typer.Option("--ensemble", help="Train trust-score-ensemble: XGBoost, LightGBM and isolation forest, stacked."),
]


def train(  # noqa: PLR0913 - the keyword-only ones have defaults
    context: typer.Context,
    *,
    dataset: Dataset = None,
    holdout: Annotated[
        Path | None,
        typer.Option(help="CSV of other labelled accounts to measure on; then all of the first are learned."),
    ] = None,
    recipe: RecipeFile = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of every chance in the training; 1 by default.")] = None,
    refit: Refit = True,
    report: Report = False,
    ensemble: Ensemble = False,
    as_json: AsJson = False,
) -> None:
    """Train a model; print its figures, time, memory and the path of its files.

    Without --holdout the figures are those of a model that never saw the locked holdout, the fifth of the accounts
    that a hash of their ids chooses; every look at it is counted in HOME/trained/looks.jsonl. The same recipe is then
    fitted again on all rows: that is the path printed, for use on other accounts. './kol model register' takes the
    measured one. The same accounts, recipe and code give the same model, to the last bit.

    Example: ./kol train --dataset accounts.csv --report
    """
    from registry.accounts import find_accounts

    settings = settings_of(context, dataset=dataset)
    started = time.monotonic()
    accounts = find_accounts(settings).load()
    announce(accounts)
    choices = choices_of(recipe, seed)
    trained = _fit(accounts, _load(holdout) if holdout else None, choices, ensemble=ensemble)
    made = _fit_all(accounts, trained, choices, ensemble=ensemble) if refit and not holdout else trained.package
    eras = _measure_eras(trained, choices, ensemble=ensemble) if report else None
    looks = None if holdout else _count_look(settings.home, trained)
    facts = {
        **_facts(accounts, trained, made, seconds=time.monotonic() - started),
        "looks_at_holdout": looks,
        **_keep(settings.home.resolve() / TRAINED, made, trained.package),
    }
    _emit(facts, trained, eras, as_json=as_json)


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


@contextmanager
def progress_on(what: str) -> Iterator[Told]:
    """Show a bar on stderr; what it gives is told how much of how much is done."""
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=to_people()) as bar:
        task = bar.add_task(what)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def _load(path: Path) -> "Accounts":
    """Read the accounts to measure on."""
    from registry.accounts import AccountsError, AccountsSource

    if not path.is_file():
        raise AccountsError(f"there is no file {path}; --holdout takes a CSV of labelled accounts")
    accounts = AccountsSource(path).load()
    announce(accounts)
    return accounts


def choices_of(path: Path | None, seed: int | None) -> "Recipe":
    """Return the recipe of a file or the default one, with another seed if one is given."""
    from registry.recipe import Recipe, read_recipe

    recipe = read_recipe(path) if path else Recipe()
    return recipe if seed is None else replace(recipe, seed=seed)


def _fit(accounts: "Accounts", measured_on: "Accounts | None", recipe: "Recipe", *, ensemble: bool) -> "Trained":
    """Train under a progress bar."""
    with progress_on("training") as told:
        if ensemble:
            from registry.ensemble_recipe import EnsembleRecipe
            from registry.ensemble_training import train_ensemble

            return train_ensemble(accounts, EnsembleRecipe(recipe), measured_on=measured_on, progress=told)
        from registry.training import train

        return train(accounts, recipe, measured_on=measured_on, progress=told)


def _fit_all(accounts: "Accounts", trained: "Trained", recipe: "Recipe", *, ensemble: bool) -> "Package":
    """Fit the same recipe on all rows under a progress bar."""
    with progress_on("training on all rows") as told:
        if ensemble:
            from registry.ensemble_recipe import EnsembleRecipe
            from registry.ensemble_training import refit_ensemble

            return refit_ensemble(accounts, trained.package, EnsembleRecipe(recipe), progress=told)
        from registry.training import refit

        return refit(accounts, trained.package, recipe, progress=told)


def _measure_eras(trained: "Trained", recipe: "Recipe", *, ensemble: bool) -> "OutOfTime":
    """Measure out of time under a progress bar; the locked holdout has no part in it."""
    with progress_on("out of time") as told:
        if ensemble:
            from registry.ensemble_eras import ensemble_out_of_time
            from registry.ensemble_recipe import EnsembleRecipe

            return ensemble_out_of_time(trained.learned, EnsembleRecipe(recipe), progress=told)
        from registry.eras import out_of_time

        return out_of_time(trained.learned, recipe, progress=told)


def _count_look(home: Path, trained: "Trained") -> int:
    """Record the look at the locked holdout; return how many there were."""
    return note_look(home, trained.package.sha, trained.learned.digest, trained.metrics)


def note_look(home: Path, sha: str, dataset_sha256: str, metrics: dict[str, float]) -> int:
    """Record a look at the locked holdout, and say which one it is; return that."""
    from registry.looks import record_look

    number = record_look(home, sha, dataset_sha256, metrics)
    to_people().print(f"look {number} at the locked holdout of these accounts (HOME/trained/looks.jsonl)")
    return number


def _keep(folder: Path, made: "Package", measured: "Package") -> dict[str, str]:
    """Put the models into a folder; the measured one is made to look newest: './kol model register' takes that."""
    from registry.shelf import Shelf

    shelf, now = Shelf.at(folder), time.time()
    for package, age in ((made, 60), (measured, 0)):
        os.utime(folder / shelf.put(package), (now - age, now - age))
    return {"measured_path": str(folder / measured.sha), "path": str(folder / made.sha)}


def _emit(facts: Record, trained: "Trained", eras: "OutOfTime | None", *, as_json: bool) -> None:
    """Print the result, the path last."""
    if as_json:
        slices = [asdict(one) for one in trained.slices]
        out_of_time = None if eras is None else era_record(eras)
        emit_json({**facts, "metrics": trained.metrics, "slices": slices, "out_of_time": out_of_time})
        return
    emit_table("Trained", [*_rows(facts), *_rows({k: f"{v:.5f}" for k, v in trained.metrics.items()})])
    print_slices(trained.slices)
    print_reliability(trained.slices)
    if eras is not None:
        print_out_of_time(eras)
    if facts["path"] != facts["measured_path"]:
        to_people().print("The figures are those of measured_path, which './kol model register' takes; fitted again on")
        to_people().print("all rows, for use on other accounts:")
    typer.echo(facts["path"])


def _facts(accounts: "Accounts", trained: "Trained", made: "Package", *, seconds: float) -> dict[str, object]:
    """Return what people want to know beside the figures."""
    return {
        "data": accounts.origin,
        "synthetic": accounts.synthetic,
        "dataset_sha256": accounts.digest,
        "refused_rows": len(accounts.refused),
        "rows": trained.rows,
        "holdout_rows": trained.holdout_rows,
        "measured_sha": trained.package.sha,
        "sha": made.sha,
        "bytes": len(made.text),
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
