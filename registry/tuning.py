"""The search for a better recipe: cross-validation inside the training part, trials in a study that outlives a run.

Several processes may work on one study at the same time, and a stopped one goes on where it was: all it knows is in
the study's file. The locked holdout has no part in it.
"""

import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.trial import Trial, TrialState

from features.catalogue import contract_hash, feature_matrix
from registry.accounts import Accounts
from registry.database import one_maker
from registry.engines import choose_engine
from registry.evaluation import roc_auc
from registry.holdout import is_held_out
from registry.leaves import LeafError, check_margin_bound, round_leaves
from registry.recipe import Recipe, recipe_of, write_recipe
from registry.split import check_enough
from registry.training import fit, fold_of_each
from runtime.failure import HandledError
from runtime.files import write_whole

STUDY = "study.db"
RECIPE = "recipe.json"
RECIPE_KEY = "recipe"
COST_KEY = "microseconds_a_row"
PATIENCE_SECONDS = 60
"""How long one process waits for another one's write to the study."""
TRIALS_BEFORE_PRUNING = 5

Told = Callable[[int, int], None]
"""Told of how many of how many trials are done."""


class TuningError(HandledError):
    """No trial gave a usable recipe; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a study knows after a run.

    Attributes:
        recipe: The best so far.
        roc_auc: Its mean over the folds of the training part.
        path: File of the recipe.
        frontier: The trials than which none is both better and cheaper to score, best first.
        done: Trials of the study that were measured on all folds, those of earlier runs too.
        pruned: Trials that were given up after some folds.
        failed: Trials whose margins could become too large.
    """

    recipe: Recipe
    roc_auc: float
    path: Path
    frontier: tuple["Tried", ...]
    done: int
    pruned: int
    failed: int


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial that was measured on all folds.

    Attributes:
        number: Of the trial in its study.
        roc_auc: Mean over the folds.
        microseconds: What scoring a row of the left-out accounts costs with the engine that serves here, on one core.
        recipe: What was tried.
    """

    number: int
    roc_auc: float
    microseconds: float
    recipe: Recipe


def tune(  # noqa: PLR0913 - the keyword-only ones have defaults
    accounts: Accounts,
    folder: Path,
    *,
    base: Recipe,
    trials: int,
    seconds: float | None = None,
    progress: Told | None = None,
) -> Tuned:
    """Try `trials` more recipes, and keep the best of the study in `folder/recipe.json`.

    The choices of a trial depend on the recipe's seed, its number and the trials before it. A study belongs to its
    accounts and feature contract; other accounts begin another one in the same file.

    Args:
        accounts: Labelled accounts; those of the locked holdout are put aside first.
        folder: Of the study and the recipe.
        base: Seed, folds and whatever is not searched for.
        trials: How many more.
        seconds: No trial is begun later than this.
        progress: Told of each finished trial.

    Raises:
        TrainingError: Too few accounts.
        TuningError: No trial was measured on all folds.
    """
    learned = accounts.take(~is_held_out(accounts.ids))
    check_enough(learned)
    study = open_study(folder, accounts.digest)
    ends = None if seconds is None else time.monotonic() + seconds
    for number in range(trials):
        if ends is not None and time.monotonic() >= ends:
            break
        _try_one(study, learned, base)
        if progress:
            progress(number + 1, trials)
    return _result(study, folder)


def open_study(folder: Path, dataset_sha256: str) -> optuna.Study:
    """Open the study of some accounts, or begin it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name = f"{dataset_sha256[:12]} {contract_hash()[:12]}"
    pruner = MedianPruner(n_startup_trials=TRIALS_BEFORE_PRUNING)
    # Two processes that make the database at once break each other's tables.
    with one_maker(folder):
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{folder / STUDY}", engine_kwargs={"connect_args": {"timeout": PATIENCE_SECONDS}}
        )
        return optuna.create_study(
            storage=storage, study_name=name, direction="maximize", pruner=pruner, load_if_exists=True
        )


def suggested(trial: Trial, base: Recipe) -> Recipe:
    """Return the recipe of a trial. Depth is bounded: deeper trees gain little and cost speed (see the recipe)."""
    parameters: dict[str, int | float] = {
        **base.parameters,
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.06, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 12, 80),
        "max_depth": trial.suggest_int("max_depth", 5, 8),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 10, 120, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 5.0, 60.0, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.2, 0.8),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 1.0),
    }
    return dataclasses.replace(base, trees=trial.suggest_int("trees", 200, 600, step=50), parameters=parameters)


def _try_one(study: optuna.Study, learned: Accounts, base: Recipe) -> None:
    """Ask for a recipe, measure it, and tell the study; a trial that dies stays unfinished and counts for nothing."""
    trial = study.ask()
    # The number is unique in the study, so two processes never draw the same chances.
    study.sampler = TPESampler(seed=base.seed * 100_003 + trial.number)
    recipe = suggested(trial, base)
    trial.set_user_attr(RECIPE_KEY, write_recipe(recipe).decode())
    try:
        figures: list[float] = []
        costs: list[float] = []
        for fold, (figure, cost) in enumerate(_folds(learned, recipe)):
            figures.append(figure)
            costs.append(cost)
            trial.report(float(np.mean(figures)), fold)
            if trial.should_prune() and fold + 1 < recipe.folds:
                study.tell(trial, state=TrialState.PRUNED)
                return
        trial.set_user_attr(COST_KEY, round(min(costs), 2))
        study.tell(trial, float(np.mean(figures)))
    except LeafError as error:
        trial.set_user_attr("failed_because", str(error))
        study.tell(trial, state=TrialState.FAIL)


def _folds(learned: Accounts, recipe: Recipe) -> Iterator[tuple[float, float]]:
    """Yield ROC-AUC and cost of each fold, measured by a model of the other folds; what nobody asks for is not begun.

    Raises:
        LeafError: The margins of one can become too large.
    """
    fold_of = fold_of_each(len(learned), recipe)
    matrix = feature_matrix(learned.profiles)
    at_once = min(os.cpu_count() or 1, recipe.folds)

    def measure(fold: int) -> tuple[float, float]:
        left_out = fold_of == fold
        text = round_leaves(fit(learned.take(~left_out), recipe, fold + 1).model_to_string())
        check_margin_bound(text)
        engine = choose_engine("auto", text)
        started = time.perf_counter()
        margins = engine.margins(matrix[left_out])
        cost = (time.perf_counter() - started) * 1e6 / len(margins)
        return roc_auc(learned.labels[left_out], margins.astype(np.float64)), cost

    with ThreadPoolExecutor(at_once) as threads:
        for start in range(0, recipe.folds, at_once):
            yield from threads.map(measure, range(start, min(start + at_once, recipe.folds)))


def _result(study: optuna.Study, folder: Path) -> Tuned:
    """Write the best recipe of the study and tell where the study stands."""
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    done, pruned, failed = (states.count(state) for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))
    if not done:
        raise TuningError(
            f"none of {len(states)} trials in {folder / STUDY} was measured on all folds ({failed} had margins that "
            "can become too large); give more: ./kol tune --trials 20"
        )
    best: Any = study.best_trial
    recipe = best.user_attrs[RECIPE_KEY].encode()
    path = folder / RECIPE
    write_whole(path, recipe)
    return Tuned(recipe_of(recipe), float(best.value), path, frontier(study), done, pruned, failed)


def frontier(study: optuna.Study) -> tuple[Tried, ...]:
    """Return the trials than which none is both better and cheaper, best first."""
    found: list[Tried] = []
    measured = [one for one in study.get_trials(states=[TrialState.COMPLETE]) if COST_KEY in one.user_attrs]
    for one in sorted(measured, key=lambda one: one.value or 0.0, reverse=True):
        cost = one.user_attrs[COST_KEY]
        if not found or cost < found[-1].microseconds:
            recipe = recipe_of(one.user_attrs[RECIPE_KEY].encode())
            found.append(Tried(one.number, float(one.value or 0.0), cost, recipe))
    return tuple(found)
