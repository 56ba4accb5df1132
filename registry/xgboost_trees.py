"""XGBoost's own JSON, read as trees: no XGBoost is needed to score with it."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from registry.leaves import STEP
from registry.tree_text import check_tree
from registry.trees import ModelTextError, Tree


class _Tree(Struct):
    """A tree as columns over its nodes, node 0 is the root; a leaf has no left child and its value as condition."""

    left_children: list[int]
    right_children: list[int]
    split_indices: list[int]
    split_conditions: list[float]
    default_left: list[int]
    split_type: list[int]


class _Trees(Struct):
    trees: list[_Tree]


class _Booster(Struct):
    name: str
    model: _Trees


class _Parameters(Struct):
    base_score: str
    num_class: str
    num_target: str


class _Learner(Struct):
    feature_names: tuple[str, ...]
    gradient_booster: _Booster
    learner_model_param: _Parameters


class _Document(Struct):
    """What we need of XGBoost's document; the rest is for XGBoost."""

    learner: _Learner


def round_xgboost_leaves(document: dict[str, Any]) -> None:
    """Round every leaf of a decoded document to a multiple of 2^-20, in place, as `registry.leaves` does."""
    for tree in document["learner"]["gradient_booster"]["model"]["trees"]:
        tree["split_conditions"] = [
            round(value / STEP) * STEP + 0.0 if left < 0 else value
            for value, left in zip(tree["split_conditions"], tree["left_children"], strict=True)
        ]


def read_xgboost(document: bytes, names: Sequence[str]) -> tuple[Tree, ...]:
    """Read the trees of a binary XGBoost model with numeric splits whose margin starts at 0.

    XGBoost sends x < t to the left, `Tree` x <= t: the thresholds are the next smaller float32 numbers.

    Args:
        document: What `Booster.save_raw("json")` gives, leaves rounded.
        names: Features that it must read, in order.

    Raises:
        ModelTextError: It is something else, reads other features, or a tree does not hang together.
    """
    try:
        learner = msgspec.json.decode(document, type=_Document).learner
    except (msgspec.DecodeError, RecursionError) as error:
        raise ModelTextError(f"the XGBoost part is broken: {error}") from error
    if learner.feature_names != tuple(names):
        raise ModelTextError(f"the XGBoost part reads other features: {', '.join(learner.feature_names)}")
    _check_kind(learner)
    if not learner.gradient_booster.model.trees:
        raise ModelTextError("the XGBoost part holds no tree; train at least one round")
    return tuple(_tree(tree, len(names)) for tree in learner.gradient_booster.model.trees)


def _check_kind(learner: _Learner) -> None:
    """Refuse what has other margins than the sum of its trees."""
    given = learner.learner_model_param
    kind = (learner.gradient_booster.name, given.base_score.strip("[]"), given.num_class, given.num_target)
    if kind != ("gbtree", "5E-1", "0", "1"):
        raise ModelTextError(f"the XGBoost part must be gbtree, base_score 0.5, one margin; there was {kind}")


def _tree(nodes: _Tree, width: int) -> Tree:
    """Number splits and leaves apart, as `Tree` has them."""
    columns = (nodes.left_children, nodes.right_children, nodes.split_indices, nodes.default_left)
    if len({*map(len, columns), len(nodes.split_conditions), len(nodes.split_type)}) != 1 or any(nodes.split_type):
        raise ModelTextError("the XGBoost part has columns of different lengths or splits that are not numeric")
    left, right, feature, default_left = (np.array(column, dtype=np.int64) for column in columns)
    if not ((left >= -1) & (left < len(left)) & (right >= -1) & (right < len(left))).all():
        raise ModelTextError("the XGBoost part has children that are not there")
    is_leaf = left < 0
    values = np.array(nodes.split_conditions)
    numbers = np.where(is_leaf, 0 - np.cumsum(is_leaf), np.cumsum(~is_leaf) - 1)
    split = ~is_leaf
    tree = Tree(
        feature=feature[split],
        threshold=_just_below(values[split]),
        left=numbers[left[split]],
        right=numbers[right[split]],
        nan_goes_left=default_left[split] != 0,
        knows_missing=np.ones(int(split.sum()), dtype=np.bool_),
        leaves=values[is_leaf],
    )
    check_tree(tree, width)
    return tree


def _just_below(thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest float32 numbers below some float32 numbers."""
    return np.nextafter(thresholds.astype(np.float32), np.float32(-np.inf)).astype(np.float64)
