"""Trees of other makers as LightGBM text, so that the same two engines score them, to the same bits."""

from collections.abc import Iterable, Sequence

import numpy as np

from registry.trees import ModelTextError, Tree, sizes

_NUMERIC_WITH_NAN = 8
"""LightGBM's decision type of a numeric split that knows unknown values; plus 2 where they go left."""


def write_trees(trees: Sequence[Tree], names: Sequence[str]) -> str:
    """Return the LightGBM text of trees; `registry.trees.parse_trees` reads the same trees again.

    Args:
        trees: At least one; each is whole (`check_tree`).
        names: Names of the features, in order.
    """
    blocks = [_block(number, tree) for number, tree in enumerate(trees)]
    head = (
        "tree",
        "version=v4",
        "num_class=1",
        "num_tree_per_iteration=1",
        "label_index=0",
        f"max_feature_idx={len(names) - 1}",
        f"feature_names={' '.join(names)}",
        f"feature_infos={' '.join(['none'] * len(names))}",
        f"tree_sizes={sizes(blocks)}",
    )
    return "\n".join((*head, "", "".join(blocks))) + "end of trees\n"


def check_tree(tree: Tree, width: int) -> None:
    """Check that a tree can be walked: from the root to every split and leaf on one way, without a circle.

    Args:
        tree: The tree.
        width: Number of the features.

    Raises:
        ModelTextError: It cannot, or a split looks at no feature or at no number.
    """
    splits = len(tree.feature)
    if not len(tree.threshold) == len(tree.left) == len(tree.right) == len(tree.nan_goes_left) == splits:
        raise ModelTextError("a tree's columns differ in length; export the model again")
    children = np.concatenate((tree.left, tree.right))
    alone = splits == 0 and len(tree.leaves) == 1
    if not alone and sorted(children.tolist()) != [*range(-len(tree.leaves), 0), *range(1, splits)]:
        raise ModelTextError(f"a tree of {splits} splits and {len(tree.leaves)} leaves does not hang together")
    parents = np.tile(np.arange(splits), 2)
    if (children[children >= 0] <= parents[children >= 0]).any():
        raise ModelTextError("a tree has a child before its parent; it could go round in circles")
    # A threshold may be infinite: LightGBM parts known from unknown values by it.
    if ((tree.feature < 0) | (tree.feature >= width)).any() or np.isnan(tree.threshold).any():
        raise ModelTextError(f"a tree splits at a feature outside 0 .. {width - 1} or at a threshold that is no number")


def _block(number: int, tree: Tree) -> str:
    """Return the text of one tree, with the blank lines after it that LightGBM writes."""
    decisions = _NUMERIC_WITH_NAN + 2 * tree.nan_goes_left.astype(np.int64)
    lines = {
        "num_leaves": str(len(tree.leaves)),
        "num_cat": "0",
        "split_feature": _line(tree.feature.tolist()),
        "threshold": _line(tree.threshold.tolist()),
        "decision_type": _line(decisions.tolist()),
        "left_child": _line(tree.left.tolist()),
        "right_child": _line(tree.right.tolist()),
        "leaf_value": _line(tree.leaves.tolist()),
        "is_linear": "0",
        "shrinkage": "1",
    }
    return f"Tree={number}\n" + "".join(f"{key}={value}\n" for key, value in lines.items()) + "\n\n"


def _line(values: Iterable[float]) -> str:
    """Return numbers as text that is read as the same numbers again."""
    return " ".join(map(repr, values))
