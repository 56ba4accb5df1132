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

from features.catalogue import NAMES, code_words, contract_hash, feature_matrix
from features.profile import Column, Profiles
from registry import calibration, evaluation, holdout, leaves, masking
from registry.accounts import Accounts
from registry.model import unpack
from registry.package import FORMAT, Manifest, Package
from registry.recipe import Recipe
from runtime.failure import HandledError

MODEL_NAME = "trust-score-lightgbm-optuna"
"""Registered name of the model that serves."""

LEAST_OF_EACH_LABEL = 25
"""Accounts of each label that the training part and the holdout need; with fewer no figure means anything."""

Progress = Callable[[int, int], None]
"""Told how many of how many fits are done."""


class TrainingError(HandledError):
    """No usable model came of the accounts; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model and what people want to know of it.

    Attributes:
        package: The model, ready to score, to register or to put on a shelf.
        metrics: Figures on the locked holdout, by name.
        rows: Accounts it learned from.
        holdout_rows: Accounts it was measured on.
    """

    package: Package
    metrics: dict[str, float]
    rows: int
    holdout_rows: int


def train(accounts: Accounts, recipe: Recipe | None = None, *, progress: Progress | None = None) -> Trained:
    """Train, calibrate, package and measure a model.

    The same accounts, recipe and code give the same package, to the last bit. The holdout is used for nothing but
    the figures at the end.

    Args:
        accounts: Labelled accounts.
        recipe: The choices; by default those that were found to be good.
        progress: Told of each finished fit.

    Raises:
        TrainingError: Too few accounts, features that say nothing about the labels, margins that can become too
            large, or an optional feature whose unknown values the model takes for something.
    """
    recipe = recipe or Recipe()
    held_out = holdout.is_held_out(accounts.ids)
    learned, held = accounts.take(~held_out), accounts.take(held_out)
    _check_enough(learned, held)
    booster, margins = _fit_all(learned, recipe, progress or _tell_nobody)
    try:
        text = _checked_text(booster)
        platt = calibration.fit_platt(margins, learned.labels)
    except (leaves.LeafError, calibration.CalibrationError) as error:
        raise TrainingError(f"no usable model came of {accounts.origin}: {error}") from error
    draft = _manifest(learned, text, platt, _facts(learned, held, recipe))
    metrics = evaluation.evaluate(unpack(Package.of(draft, text), "lightgbm"), held.profiles, held.labels)
    package = Package.of(msgspec.structs.replace(draft, metrics=metrics), text)
    return Trained(package, metrics, len(learned), len(held))


def fingerprint(dataset_sha256: str, recipe: Recipe) -> str:
    """Return all that a training depends on in one hash: data, choices, feature contract, LightGBM and this code.

    Two trainings with the same fingerprint give the same model, so the second need not be done.
    """
    modules = (sys.modules[__name__], masking, calibration, holdout, leaves, evaluation)
    facts = {
        "dataset": dataset_sha256,
        "recipe": recipe.described(),
        "contract": contract_hash(),
        "lightgbm": lightgbm.__version__,
        "code": [list(code_words(module)) for module in modules],
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def training_rows(accounts: Accounts, recipe: Recipe, chance: np.random.Generator) -> tuple[Profiles, Column]:
    """Return what a model is shown: every account as it is, and some again with fields hidden; and the labels."""
    some = chance.permutation(len(accounts))[: round(recipe.some_hidden * len(accounts))]
    none = chance.permutation(len(accounts))[: round(recipe.all_hidden * len(accounts))]
    profiles = masking.with_random_url(accounts.profiles, chance)
    again = masking.with_random_url(masking.taken(accounts.profiles, some), chance)
    hidden = masking.some_hidden(again, chance)
    empty = masking.all_hidden(masking.taken(accounts.profiles, none))
    labels = accounts.labels
    return masking.joined((profiles, hidden, empty)), np.concatenate((labels, labels[some], labels[none]))


def _fit_all(learned: Accounts, recipe: Recipe, progress: Progress) -> tuple[lightgbm.Booster, Column]:
    """Fit the model on all rows, and one per fold without its rows; return the model and the out-of-fold margins."""
    folds = np.random.default_rng((recipe.seed, 0)).permutation(len(learned)) % recipe.folds
    everything = np.ones(len(learned), dtype=np.bool_)
    jobs = [everything, *(folds != fold for fold in range(recipe.folds))]
    boosters: list[lightgbm.Booster] = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for booster in threads.map(lambda rows, seed: _fit(learned.take(rows), recipe, seed), jobs, range(len(jobs))):
            boosters.append(booster)
            progress(len(boosters), len(jobs))
    matrix = feature_matrix(learned.profiles)
    margins = np.empty(len(learned))
    for rows, booster in zip(jobs[1:], boosters[1:], strict=True):
        margins[~rows] = booster.predict(matrix[~rows], raw_score=True)
    return boosters[0], margins


def _fit(accounts: Accounts, recipe: Recipe, number: int) -> lightgbm.Booster:
    """Fit one booster; its chances depend on the recipe's seed and on its number only."""
    profiles, labels = training_rows(accounts, recipe, np.random.default_rng((recipe.seed, 1, number)))
    rows = lightgbm.Dataset(feature_matrix(profiles), labels, feature_name=list(NAMES))
    return lightgbm.train(recipe.for_lightgbm(), rows, num_boost_round=recipe.trees)


def _checked_text(booster: lightgbm.Booster) -> str:
    """Return the model text with rounded leaves, fit for both engines and for unknown values."""
    text = leaves.round_leaves(booster.model_to_string())
    leaves.check_margin_bound(text)
    blind = leaves.features_without_missing_direction(text, masking.features_that_can_be_unknown())
    if blind:
        raise TrainingError(f"in training {', '.join(blind)} was never unknown; hide more fields or give more accounts")
    return text


def _manifest(learned: Accounts, text: str, platt: calibration.Platt, facts: dict[str, str]) -> Manifest:
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


def _facts(learned: Accounts, held: Accounts, recipe: Recipe) -> dict[str, str]:
    """Say how the model was made."""
    return {
        "dataset_sha256": learned.digest,
        "fingerprint": fingerprint(learned.digest, recipe),
        "rows": str(len(learned)),
        "holdout_rows": str(len(held)),
        "lightgbm": lightgbm.__version__,
        **recipe.described(),
    }


def _ranges(profiles: Profiles) -> dict[str, tuple[float, float]]:
    """Return least and largest known value of each raw column; a column that was never known has none."""
    known = {name: column[~np.isnan(column)] for name, column in profiles.columns().items()}
    return {name: (float(column.min()), float(column.max())) for name, column in known.items() if len(column)}


def _check_enough(*parts: Accounts) -> None:
    """Refuse accounts of which no figure would mean anything."""
    for part in parts:
        poor = int(part.labels.sum())
        if min(poor, len(part) - poor) < LEAST_OF_EACH_LABEL:
            raise TrainingError(
                f"{part.origin} is too small: a part of it has {poor} untrustworthy and {len(part) - poor} trustworthy "
                f"accounts, at least {LEAST_OF_EACH_LABEL} of each are needed in the training part and in the holdout"
            )


def _tell_nobody(_done: int, _of: int) -> None:
    """Report to nobody."""
