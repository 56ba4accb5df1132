"""How much more accounts would help: the quality of a recipe over the number of accounts it learns from."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from features.catalogue import feature_matrix
from registry.accounts import Accounts
from registry.evaluation import roc_auc
from registry.recipe import Recipe
from registry.training import fit, fold_of_each

SHARES = (0.1, 0.2, 0.4, 0.7, 1.0)


@dataclass(frozen=True, slots=True)
class Step:
    """One point of the curve.

    Attributes:
        rows: Accounts learned from.
        roc_auc: On accounts that were left out, the same for all points.
        seen: The same on the accounts learned from; the gap between the two is what was learned by heart.
    """

    rows: int
    roc_auc: float
    seen: float


def learning_curve(accounts: Accounts, recipe: Recipe) -> tuple[Step, ...]:
    """Fit LightGBM on growing parts of one fold's accounts; the locked holdout must not be among them.

    Args:
        accounts: What may be learned from; one fold of it is left out to measure on.
        recipe: The choices.
    """
    folds = fold_of_each(len(accounts), recipe)
    left_out, rest = accounts.take(folds == 0), accounts.take(folds != 0)
    order = np.random.default_rng((recipe.seed, 2)).permutation(len(rest))

    def step(share: float) -> Step:
        chosen = np.zeros(len(rest), dtype=np.bool_)
        chosen[order[: round(share * len(rest))]] = True
        learned = rest.take(chosen)
        booster = fit(learned, recipe, 1)
        unseen, seen = (
            roc_auc(part.labels, booster.predict(feature_matrix(part.profiles), raw_score=True))
            for part in (left_out, learned)
        )
        return Step(len(learned), unseen, seen)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return tuple(threads.map(step, SHARES))
