"""`./kol tune`: a search for a better recipe, in a study that goes on where it stopped."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import AsJson, settings_of
from cli.output import emit_json, emit_table
from cli.train import Dataset, announce, progress_on

if TYPE_CHECKING:
    from registry.tuning import Tuned

TUNING = Path("tuning")
"""Folder below HOME of the study and of the best recipe."""


def tune(  # noqa: PLR0913 - the keyword-only ones have defaults
    context: typer.Context,
    *,
    trials: Annotated[int, typer.Option(min=0, help="How many more recipes to try.")] = 20,
    timeout: Annotated[float | None, typer.Option(min=0, help="Begin no trial after so many seconds.")] = None,
    dataset: Dataset = None,
    seed: Annotated[int, typer.Option(min=0, help="Of every chance in the trials.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Search for a better recipe by cross-validation inside the training part; print the best and its file.

    The study is HOME/tuning/study.db: run it again to go on, or in several terminals at once to go faster. A trial
    that falls behind is given up early. The locked holdout has no part in it.

    Example: ./kol tune --trials 50 --timeout 3600
    """
    from dataclasses import asdict

    from registry.accounts import find_accounts
    from registry.recipe import Recipe
    from registry.tuning import tune as search

    settings = settings_of(context, dataset=dataset)
    accounts = find_accounts(settings).load()
    announce(accounts)
    folder = settings.home.resolve() / TUNING
    with progress_on("tuning") as told:
        found = search(accounts, folder, base=Recipe(seed=seed), trials=trials, seconds=timeout, progress=told)
    facts = {
        "roc_auc_cross_validated": round(found.roc_auc, 5),
        "trials_done": found.done,
        "trials_pruned": found.pruned,
        "trials_failed": found.failed,
    }
    if as_json:
        emit_json({**facts, "recipe": asdict(found.recipe), "path": str(found.path), "frontier": frontier_rows(found)})
        return
    emit_table(
        "Quality against the cost of scoring: no trial is both better and cheaper than one of these",
        frontier_rows(found),
    )
    rows = {**facts, **found.recipe.described()}
    emit_table("Best recipe of the study", [{"fact": name, "value": value} for name, value in rows.items()])
    typer.echo(found.path)


def frontier_rows(found: "Tuned") -> list[dict[str, object]]:
    """Describe the trials than which none is both better and cheaper to score."""
    return [
        {
            "trial": one.number,
            "roc_auc": round(one.roc_auc, 5),
            "microseconds_a_row": one.microseconds,
            "trees": one.recipe.trees,
            **{name: one.recipe.parameters[name] for name in ("num_leaves", "max_depth")},
        }
        for one in found.frontier
    ]
