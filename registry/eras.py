"""Does a model last? It is trained on the accounts of one era and measured on those of the next."""

import dataclasses
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from features.catalogue import feature_matrix
from features.profile import Column
from registry.accounts import Accounts
from registry.evaluation import roc_auc
from registry.recipe import Recipe
from registry.split import check_enough
from registry.training import Progress, fit

NEXT_ERA = "2017-01-01"
"""Accounts created from this day on, UTC, are the next era; it is where published figures are cut."""
SEEDS = 5
Margins = Callable[[Accounts, Accounts, int], Column]
"""Learns from the first accounts with the chances of that number, and gives a margin for each of the second ones."""


@dataclass(frozen=True, slots=True)
class OutOfTime:
    """How a recipe does on accounts of the era after.

    Attributes:
        since: First day of the next era.
        earlier: Accounts it learned from.
        later: Accounts it was measured on.
        roc_aucs: One for each seed; they differ by 0.01 and more, so a single one says little.
    """

    since: str
    earlier: int
    later: int
    roc_aucs: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.roc_aucs))


def out_of_time(
    accounts: Accounts, recipe: Recipe, *, seeds: int = SEEDS, progress: Progress | None = None
) -> OutOfTime:
    """Train on the accounts of before `NEXT_ERA` and measure on the later ones, once for each seed.

    Raises:
        TrainingError: One of the eras has too few accounts of a label.
    """

    def margins(old: Accounts, new: Accounts, number: int) -> Column:
        booster = fit(old, dataclasses.replace(recipe, seed=recipe.seed + number), 0)
        return np.asarray(booster.predict(feature_matrix(new.profiles), raw_score=True))

    return measure_eras(accounts, margins, seeds=seeds, progress=progress)


def measure_eras(
    accounts: Accounts, margins: Margins, *, seeds: int, progress: Progress | None = None, at_once: int | None = None
) -> OutOfTime:
    """Let something learn from the earlier era and measure what it says of the later one, once for each seed.

    Args:
        accounts: Labelled accounts of both eras.
        margins: Learns and scores.
        seeds: How many times.
        progress: Told of each.
        at_once: How many of them run side by side; as many as there are cores by default.

    Raises:
        TrainingError: One of the eras has too few accounts of a label.
    """
    later = accounts.created_at >= np.datetime64(NEXT_ERA)
    old, new = accounts.take(~later), accounts.take(later)
    check_enough(old, new)
    found: list[float] = []
    with ThreadPoolExecutor(at_once or os.cpu_count()) as threads:
        for figure in threads.map(lambda number: roc_auc(new.labels, margins(old, new, number)), range(seeds)):
            found.append(figure)
            if progress:
                progress(len(found), seeds)
    return OutOfTime(NEXT_ERA, len(old), len(new), tuple(found))
