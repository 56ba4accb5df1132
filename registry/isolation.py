"""An isolation forest (Liu, Ting and Zhou 2008) as plain numbers: how few random cuts set an account apart."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from registry.leaves import STEP
from registry.tree_text import check_tree
from registry.trees import ModelTextError, Tree


class IsolationTree(Struct, frozen=True, forbid_unknown_fields=True):
    """One tree as columns over its splits; split 0 is the root, a child `c < 0` is leaf `~c`.

    Attributes:
        feature: Position of the feature that the split looks at.
        threshold: `x <= threshold` goes left.
        left: Left child.
        right: Right child.
        unknown_left: Whether an unknown value goes left.
        path: Expected number of cuts that set an account in this leaf apart, for each leaf.
    """

    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    unknown_left: tuple[bool, ...]
    path: tuple[float, ...]


class IsolationForest(Struct, frozen=True, forbid_unknown_fields=True):
    """The forest.

    Attributes:
        features: Names of its inputs, in order.
        usual_path: Cuts that an account of no structure needs, by the number of accounts that a tree saw.
        trees: The trees.
    """

    features: tuple[str, ...]
    usual_path: float
    trees: tuple[IsolationTree, ...]


def anomaly_trees(forest: IsolationForest, names: Sequence[str]) -> tuple[Tree, ...]:
    """Return trees whose sum is the anomaly of an account: 1 - its mean path / the usual path.

    0 is usual, more is stranger, always below 1. It follows from the account alone, with fixed offset and scale,
    whatever else is in the batch. The well-known anomaly score is 2^(anomaly - 1): the same order. Leaves are
    multiples of 2^-20, so that the sum is exact.

    Raises:
        ModelTextError: The forest reads other features, or a tree is broken.
    """
    if forest.features != tuple(names):
        raise ModelTextError(f"the isolation forest reads other features: {', '.join(forest.features)}")
    if not (forest.trees and forest.usual_path > 0 and np.isfinite(forest.usual_path)):
        raise ModelTextError(f"the isolation forest has {len(forest.trees)} trees and usual path {forest.usual_path}")
    return tuple(_tree(tree, forest, len(names)) for tree in forest.trees)


def _tree(tree: IsolationTree, forest: IsolationForest, width: int) -> Tree:
    """Turn paths into shares of the anomaly."""
    path = np.array(tree.path, dtype=np.float64)
    if not (np.isfinite(path) & (path >= 0)).all():
        raise ModelTextError("the isolation forest has a path length that is none")
    shares = (1.0 - path / forest.usual_path) / len(forest.trees)
    whole = Tree(
        feature=np.array(tree.feature, dtype=np.int64),
        threshold=np.array(tree.threshold, dtype=np.float64),
        left=np.array(tree.left, dtype=np.int64),
        right=np.array(tree.right, dtype=np.int64),
        nan_goes_left=np.array(tree.unknown_left, dtype=np.bool_),
        knows_missing=np.ones(len(tree.feature), dtype=np.bool_),
        leaves=np.rint(shares / STEP) * STEP + 0.0,
    )
    check_tree(whole, width)
    return whole
