"""Fits of the ensemble's models, and what is stored of them: numbers, never objects."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xgboost
from msgspec import Raw
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest as SklearnForest
from sklearn.linear_model import LogisticRegression

from features.catalogue import NAMES, Matrix, feature_matrix
from features.profile import Column
from registry.accounts import Accounts
from registry.ensemble import Parts
from registry.ensemble_recipe import EnsembleRecipe
from registry.isolation import IsolationForest, IsolationTree
from registry.leaves import round_leaves
from registry.shown import Shown, shown_rows
from registry.stacking import Margins, Stacking
from registry.training import fit
from registry.xgboost_trees import round_xgboost_leaves

EULER = 0.5772156649015329
UNSTACKED = Stacking(intercept=0.0, lightgbm=0.5, xgboost=0.5, anomaly=0.0)
"""Weights of parts that are not stacked yet."""


def fit_parts(accounts: Accounts, recipe: EnsembleRecipe, number: int) -> Parts:
    """Fit the three models on the same rows, not stacked yet; their chances depend on seed and number only.

    The rows are drawn as `registry.training.fit` draws them.
    """
    shown = shown_rows(accounts, recipe.base, number)
    matrix = feature_matrix(shown.profiles)
    return Parts(
        lightgbm=round_leaves(fit(accounts, recipe.base, number).model_to_string()),
        xgboost=_fit_xgboost(matrix, shown, recipe, number=number),
        isolation=_fit_forest(matrix, recipe, number),
        stacking=UNSTACKED,
    )


def fit_stacking(outputs: Sequence[Margins], labels: Column) -> Stacking:
    """Fit the weights of the three models by maximum likelihood.

    Args:
        outputs: What models say of accounts that they did not see.
        labels: 1.0 untrustworthy, 0.0 trustworthy.
    """
    fitted = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1_000)
    fitted.fit(np.column_stack(outputs).astype(np.float64), labels)
    boosted, other, anomaly = fitted.coef_[0].tolist()
    return Stacking(intercept=float(fitted.intercept_[0]), lightgbm=boosted, xgboost=other, anomaly=anomaly)


def export_forest(forest: SklearnForest) -> IsolationForest:
    """Return a fitted scikit-learn forest as numbers; it must have seen all features in each tree."""
    trees = tuple(_export_tree(estimator.tree_) for estimator in forest.estimators_)
    usual = float(_usual_path(np.array([forest.max_samples_]))[0])
    return IsolationForest(features=NAMES, usual_path=usual, trees=trees)


def _fit_xgboost(matrix: Matrix, shown: Shown, recipe: EnsembleRecipe, *, number: int) -> Raw:
    """Fit XGBoost; return its JSON with rounded leaves."""
    rows = xgboost.DMatrix(matrix, shown.labels, weight=shown.weights, feature_names=list(NAMES), nthread=1)
    booster = xgboost.train(recipe.for_xgboost(number), rows, num_boost_round=recipe.xgboost_trees)
    document = json.loads(bytes(booster.save_raw("json")))
    round_xgboost_leaves(document)
    return Raw(json.dumps(document, separators=(",", ":")).encode())


def _fit_forest(matrix: Matrix, recipe: EnsembleRecipe, number: int) -> IsolationForest:
    """Fit the isolation forest."""
    rows = min(recipe.isolation_rows, len(matrix))
    forest = SklearnForest(
        n_estimators=recipe.isolation_trees, max_samples=rows, random_state=recipe.base.seed + number
    )
    return export_forest(forest.fit(matrix))


def _export_tree(tree: Any) -> IsolationTree:  # noqa: ANN401 - a class without types
    """Number splits and leaves apart; a leaf keeps its depth and what its own accounts would still need."""
    left, right = tree.children_left, tree.children_right
    is_leaf = left < 0
    split = ~is_leaf
    numbers = np.where(is_leaf, 0 - np.cumsum(is_leaf), np.cumsum(split) - 1)
    path = _depths(left, right) + _usual_path(tree.n_node_samples)
    return IsolationTree(
        feature=tuple(tree.feature[split].tolist()),
        threshold=tuple(tree.threshold[split].tolist()),
        left=tuple(numbers[left[split]].tolist()),
        right=tuple(numbers[right[split]].tolist()),
        unknown_left=tuple((tree.missing_go_to_left[split] != 0).tolist()),
        path=tuple(path[is_leaf].tolist()),
    )


def _depths(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the depth of each node; parents stand before their children."""
    depth = np.zeros(len(left))
    for node in np.flatnonzero(left >= 0):
        depth[[left[node], right[node]]] = depth[node] + 1
    return depth


def _usual_path(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean path in a random search tree of so many rows, `c(n)` in the paper; 0 and 1 for one and two."""
    many = np.maximum(rows, 3).astype(np.float64)
    return np.where(rows > 2, 2 * (np.log(many - 1) + EULER) - 2 * (many - 1) / many, np.maximum(rows - 1, 0))
