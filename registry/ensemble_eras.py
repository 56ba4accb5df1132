"""Does an ensemble last? As for LightGBM alone: learned from the accounts of one era, measured on those of the next."""

import dataclasses

import numpy as np

from features.catalogue import NAMES, feature_matrix
from features.profile import Column
from registry.accounts import Accounts
from registry.ensemble import ensemble_engine
from registry.ensemble_recipe import EnsembleRecipe
from registry.ensemble_training import fit_ensemble
from registry.eras import SEEDS, OutOfTime, measure_eras
from registry.training import Progress


def ensemble_out_of_time(
    accounts: Accounts, recipe: EnsembleRecipe, *, seeds: int = SEEDS, progress: Progress | None = None
) -> OutOfTime:
    """Train the whole ensemble, weights included, on the earlier era and measure it on the later one, for each seed.

    Raises:
        TrainingError: One of the eras has too few accounts of a label, or no usable ensemble comes of the earlier one.
    """

    def margins(old: Accounts, new: Accounts, number: int) -> Column:
        base = dataclasses.replace(recipe.base, seed=recipe.base.seed + number)
        text, _ = fit_ensemble(old, dataclasses.replace(recipe, base=base))
        engine = ensemble_engine("auto", text, NAMES)
        return engine.margins(np.ascontiguousarray(feature_matrix(new.profiles))).astype(np.float64)

    # The fits of one ensemble run side by side already.
    return measure_eras(accounts, margins, seeds=seeds, progress=progress, at_once=1)
