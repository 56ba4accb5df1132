"""From labelled accounts to a packaged ensemble: stacked and calibrated on what models say of accounts unseen."""

import hashlib
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import sklearn
import xgboost

from features.catalogue import NAMES, code_words, feature_matrix
from registry import (
    calibration,
    ensemble,
    ensemble_fits,
    evaluation,
    isolation,
    leaves,
    masking,
    stacking,
    training,
    xgboost_trees,
)
from registry import slices as parts_of
from registry.accounts import Accounts
from registry.ensemble import Parts, stacked
from registry.ensemble_fits import fit_parts, fit_stacking
from registry.ensemble_recipe import EnsembleRecipe
from registry.model import unpack
from registry.package import Manifest, Package
from registry.split import TrainingError, split_accounts
from registry.stacking import Margins
from registry.training import REFIT_SPLIT, Progress, Trained, draft_manifest, fold_of_each, refit_facts, training_facts
from registry.trees import ModelTextError
from registry.truth import ENSEMBLE_NAME


def train_ensemble(
    accounts: Accounts,
    recipe: EnsembleRecipe | None = None,
    *,
    measured_on: Accounts | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train, stack, calibrate, package and measure an ensemble of XGBoost, LightGBM and an isolation forest.

    Weights and calibration are fitted on what the models of the folds say of the accounts that they did not see. What
    it is measured on is used for nothing but the figures at the end.

    Args:
        accounts: Labelled accounts.
        recipe: The choices; by default those that were found to be good.
        measured_on: Other accounts to measure on; by default the locked holdout among `accounts`, as for LightGBM.
        progress: Told of each finished fit of all three models.

    Raises:
        TrainingError: See `registry.training.train`.
    """
    recipe = recipe or EnsembleRecipe()
    learned, held, split = split_accounts(accounts, measured_on)
    text, platt = fit_ensemble(learned, recipe, progress)
    draft = _described(learned, text, platt, _told(learned, len(held), recipe, split))
    model = unpack(Package.of(draft, text))
    metrics = evaluation.evaluate(model, held.profiles, held.labels)
    parts = parts_of.measure_slices(held.profiles, held.labels, evaluation.shown_p(model, held.profiles))
    package = Package.of(msgspec.structs.replace(draft, metrics={**metrics, **parts_of.as_metrics(parts)}), text)
    return Trained(package, metrics, learned, held, parts)


def refit_ensemble(
    accounts: Accounts, honest: Package, recipe: EnsembleRecipe, *, progress: Progress | None = None
) -> Package:
    """Train the same recipe on all accounts, those too that `honest` was measured on; see `registry.training.refit`.

    Raises:
        TrainingError: See `registry.training.train`.
    """
    text, platt = fit_ensemble(accounts, recipe, progress)
    measured = honest.verified_manifest()
    facts = _told(accounts, int(measured.training["holdout_rows"]), recipe, REFIT_SPLIT)
    draft = _described(accounts, text, platt, {**facts, **refit_facts(honest)})
    package = Package.of(msgspec.structs.replace(draft, metrics=measured.metrics), text)
    unpack(package)
    return package


def ensemble_fingerprint(dataset_sha256: str, recipe: EnsembleRecipe, split: str = "") -> str:
    """Return all that a training depends on in one hash; see `registry.training.fingerprint`."""
    modules = (sys.modules[__name__], ensemble, ensemble_fits, isolation, stacking, xgboost_trees)
    facts = {
        "lightgbm": training.fingerprint(dataset_sha256, recipe.base, split),
        "recipe": recipe.described(),
        "versions": _versions(),
        "code": [list(code_words(module)) for module in modules],
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def fit_ensemble(
    learned: Accounts, recipe: EnsembleRecipe, progress: Progress | None = None
) -> tuple[str, calibration.Platt]:
    """Return the checked text of the parts and the calibration, learned from all the accounts given.

    Raises:
        TrainingError: No usable ensemble comes of them.
    """
    try:
        parts, outputs = _fit_all(learned, recipe, progress or _tell_nobody)
        parts = msgspec.structs.replace(parts, stacking=fit_stacking(outputs, learned.labels))
        parts.stacking.check()
        _check_unknowns(parts)
        platt = calibration.fit_platt(parts.stacking.margins(*outputs).astype(np.float64), learned.labels)
    except (leaves.LeafError, ModelTextError, calibration.CalibrationError) as error:
        raise TrainingError(f"no usable ensemble came of {learned.origin}: {error}") from error
    return msgspec.json.encode(parts).decode(), platt


def _fit_all(learned: Accounts, recipe: EnsembleRecipe, progress: Progress) -> tuple[Parts, tuple[Margins, ...]]:
    """Fit all models on all rows, and per fold without its rows; return the first and the out-of-fold outputs."""
    folds = fold_of_each(len(learned), recipe.base)
    everything = np.ones(len(learned), dtype=np.bool_)
    jobs = [everything, *(folds != fold for fold in range(recipe.base.folds))]
    fitted: list[Parts] = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for parts in threads.map(lambda rows, job: fit_parts(learned.take(rows), recipe, job), jobs, range(len(jobs))):
            fitted.append(parts)
            progress(len(fitted), len(jobs))
    matrix = feature_matrix(learned.profiles)
    outputs = np.empty((3, len(learned)), np.float32)
    for rows, parts in zip(jobs[1:], fitted[1:], strict=True):
        outputs[:, ~rows] = stacked(parts, "auto", NAMES).outputs(np.ascontiguousarray(matrix[~rows]))
    return fitted[0], tuple(outputs)


def _check_unknowns(parts: Parts) -> None:
    """Refuse models that take unknown values for something; XGBoost saw the same rows as LightGBM."""
    blind = leaves.features_without_missing_direction(parts.lightgbm, masking.features_that_can_be_unknown())
    if blind:
        raise TrainingError(f"in training {', '.join(blind)} was never unknown; hide more fields or give more accounts")


def _described(learned: Accounts, text: str, platt: calibration.Platt, facts: dict[str, str]) -> Manifest:
    """Describe the ensemble, without figures yet."""
    return msgspec.structs.replace(draft_manifest(learned, text, platt, facts), name=ENSEMBLE_NAME, kind="ensemble")


def _told(learned: Accounts, holdout_rows: int, recipe: EnsembleRecipe, split: str) -> dict[str, str]:
    """Say how the ensemble was made."""
    return {
        **training_facts(learned, holdout_rows, recipe.base, split),
        **recipe.described(),
        **_versions(),
        "fingerprint": ensemble_fingerprint(learned.digest, recipe, split),
    }


def _versions() -> dict[str, str]:
    """Name the libraries that trained it, beside LightGBM."""
    return {"xgboost": xgboost.__version__, "scikit_learn": sklearn.__version__}


def _tell_nobody(_done: int, _of: int) -> None:
    """Report to nobody."""
