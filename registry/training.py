"""From labelled accounts to a packaged model: masked training, out-of-fold calibration, figures on the holdout."""

import hashlib
import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import lightgbm
import msgspec
import numpy as np
from numpy.typing import NDArray

from features.catalogue import NAMES, code_words, contract_hash, feature_matrix
from features.profile import Column, Profiles
from registry import calibration, evaluation, holdout, leaves, masking, shown, slices, youth
from registry import recipe as recipes
from registry import split as splits
from registry.accounts import Accounts
from registry.model import unpack
from registry.package import FORMAT, METRICS_FROM, REFITTED, Manifest, Package
from registry.recipe import Recipe
from registry.shown import shown_rows
from registry.split import TrainingError, split_accounts

MODEL_NAME = "trust-score-lightgbm-optuna"
"""Registered name of the model that serves."""
REFIT_SPLIT = "refitted on all rows"
"""What a refit's `dataset_sha256` says after the accounts: nothing is left in these to measure it on."""


Progress = Callable[[int, int], None]
"""Told how many of how many fits are done."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model and what people want to know of it.

    Attributes:
        package: The model, ready to score, to register or to put on a shelf.
        metrics: Figures on the accounts it was measured on, by name.
        learned: Accounts it learned from.
        held: Accounts it was measured on.
        slices: The same figures for parts of these.
    """

    package: Package
    metrics: dict[str, float]
    learned: Accounts
    held: Accounts
    slices: tuple[slices.Slice, ...]

    @property
    def rows(self) -> int:
        """Count the accounts it learned from."""
        return len(self.learned)

    @property
    def holdout_rows(self) -> int:
        """Count the accounts it was measured on."""
        return len(self.held)


def train(
    accounts: Accounts,
    recipe: Recipe | None = None,
    *,
    measured_on: Accounts | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train, calibrate, package and measure a model.

    The same accounts, recipe and code give the same package, to the last bit. What it is measured on is used for
    nothing but the figures at the end.

    Args:
        accounts: Labelled accounts.
        recipe: The choices; by default those that were found to be good.
        measured_on: Other accounts to measure on; then all of `accounts` are learned from. By default the locked
            holdout among `accounts` is measured on and the rest is learned from.
        progress: Told of each finished fit.

    Raises:
        TrainingError: Too few accounts, accounts that are on both sides, features that say nothing about the labels,
            margins that can become too large, or an optional feature whose unknown values the model takes for
            something.
    """
    recipe = recipe or Recipe()
    learned, held, split = split_accounts(accounts, measured_on)
    text, platt = _model(learned, recipe, progress or _tell_nobody)
    draft = draft_manifest(learned, text, platt, training_facts(learned, len(held), recipe, split))
    model = unpack(Package.of(draft, text), "lightgbm")
    metrics = evaluation.evaluate(model, held.profiles, held.labels)
    parts = slices.measure_slices(held.profiles, held.labels, evaluation.shown_p(model, held.profiles))
    package = Package.of(msgspec.structs.replace(draft, metrics={**metrics, **slices.as_metrics(parts)}), text)
    return Trained(package, metrics, learned, held, parts)


def refit_facts(honest: Package) -> dict[str, str]:
    """Return what a refit's manifest says: that it saw all rows, and whose figures it carries."""
    made = honest.verified_manifest().training
    rows, others = made["rows"], made["holdout_rows"]
    return {
        REFITTED: "true",
        "metrics_from": f"the same recipe on {rows} of these rows, measured on the other {others}",
        METRICS_FROM: honest.sha,
    }


def refit(accounts: Accounts, honest: Package, recipe: Recipe, *, progress: Progress | None = None) -> Package:
    """Train the same recipe on all accounts, those too that `honest` was measured on.

    It is for use on accounts that are not among these. Its figures are those of `honest`, and the manifest says so;
    `dataset_sha256` says too that nothing is left in these accounts to measure it on.

    Raises:
        TrainingError: See `train`.
    """
    text, platt = _model(accounts, recipe, progress or _tell_nobody)
    measured = honest.verified_manifest()
    facts = training_facts(accounts, int(measured.training["holdout_rows"]), recipe, REFIT_SPLIT)
    draft = draft_manifest(accounts, text, platt, {**facts, **refit_facts(honest)})
    package = Package.of(msgspec.structs.replace(draft, metrics=measured.metrics), text)
    unpack(package, "lightgbm")
    return package


def fingerprint(dataset_sha256: str, recipe: Recipe, split: str = "") -> str:
    """Return all that a training depends on in one hash: data, choices, feature contract, LightGBM and this code.

    Two trainings with the same fingerprint give the same model, so the second need not be done.

    Args:
        dataset_sha256: The accounts.
        recipe: The choices.
        split: Which of the accounts were learned from, where it is not all but the locked holdout.
    """
    learning = (sys.modules[__name__], shown, masking, youth, recipes, splits)
    modules = (*learning, calibration, holdout, leaves, evaluation, slices)
    facts = {
        "dataset": dataset_sha256,
        "recipe": recipe.described(),
        "split": split,
        "contract": contract_hash(),
        "lightgbm": lightgbm.__version__,
        "code": [list(code_words(module)) for module in modules],
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def fit(accounts: Accounts, recipe: Recipe, number: int) -> lightgbm.Booster:
    """Fit one booster; its chances depend on the recipe's seed and on its number only."""
    shown = shown_rows(accounts, recipe, number)
    matrix = feature_matrix(shown.profiles)
    rows = lightgbm.Dataset(matrix, shown.labels, weight=shown.weights, feature_name=list(NAMES))
    return lightgbm.train(recipe.for_lightgbm(), rows, num_boost_round=recipe.trees)


def fold_of_each(rows: int, recipe: Recipe) -> NDArray[np.intp]:
    """Return the fold of the cross-validation that each row is left out of."""
    return np.random.default_rng((recipe.seed, 0)).permutation(rows) % recipe.folds


def _model(learned: Accounts, recipe: Recipe, progress: Progress) -> tuple[str, calibration.Platt]:
    """Return the checked model text and its calibration."""
    booster, margins = _fit_all(learned, recipe, progress)
    try:
        return _checked_text(booster), calibration.fit_platt(margins, learned.labels)
    except (leaves.LeafError, calibration.CalibrationError) as error:
        raise TrainingError(f"no usable model came of {learned.origin}: {error}") from error


def _fit_all(learned: Accounts, recipe: Recipe, progress: Progress) -> tuple[lightgbm.Booster, Column]:
    """Fit the model on all rows, and one per fold without its rows; return the model and the out-of-fold margins."""
    folds = fold_of_each(len(learned), recipe)
    everything = np.ones(len(learned), dtype=np.bool_)
    jobs = [everything, *(folds != fold for fold in range(recipe.folds))]
    boosters: list[lightgbm.Booster] = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for booster in threads.map(lambda rows, seed: fit(learned.take(rows), recipe, seed), jobs, range(len(jobs))):
            boosters.append(booster)
            progress(len(boosters), len(jobs))
    matrix = feature_matrix(learned.profiles)
    margins = np.empty(len(learned))
    for rows, booster in zip(jobs[1:], boosters[1:], strict=True):
        margins[~rows] = booster.predict(matrix[~rows], raw_score=True)
    return boosters[0], margins


def _checked_text(booster: lightgbm.Booster) -> str:
    """Return the model text with rounded leaves, fit for both engines and for unknown values."""
    text = leaves.round_leaves(booster.model_to_string())
    leaves.check_margin_bound(text)
    blind = leaves.features_without_missing_direction(text, masking.features_that_can_be_unknown())
    if blind:
        raise TrainingError(f"in training {', '.join(blind)} was never unknown; hide more fields or give more accounts")
    return text


def draft_manifest(learned: Accounts, text: str, platt: calibration.Platt, facts: dict[str, str]) -> Manifest:
    """Describe the model, without figures yet."""
    return Manifest(
        format=FORMAT,
        name=MODEL_NAME,
        contract=contract_hash(),
        features=NAMES,
        model_sha256=hashlib.sha256(text.encode()).hexdigest(),
        calibration=platt,
        ranges=_ranges(learned.profiles),
        metrics={},
        training=facts,
        synthetic=learned.synthetic,
    )


def training_facts(learned: Accounts, holdout_rows: int, recipe: Recipe, split: str) -> dict[str, str]:
    """Say how the model was made; without a look at other data only models of one `dataset_sha256` are comparable."""
    return {
        "dataset_sha256": f"{learned.digest} {split}".rstrip(),
        "fingerprint": fingerprint(learned.digest, recipe, split),
        "rows": str(len(learned)),
        "holdout_rows": str(holdout_rows),
        "lightgbm": lightgbm.__version__,
        **recipe.described(),
    }


def _ranges(profiles: Profiles) -> dict[str, tuple[float, float]]:
    """Return least and largest known value of each raw column; a column that was never known has none."""
    known = {name: column[~np.isnan(column)] for name, column in profiles.columns().items()}
    return {name: (float(column.min()), float(column.max())) for name, column in known.items() if len(column)}


def _tell_nobody(_done: int, _of: int) -> None:
    """Report to nobody."""
