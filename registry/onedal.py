"""LightGBM trees compiled for oneDAL, the tree engine of daal4py."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.trees import Tree

_LARGEST = np.finfo(np.float32).max

Inputs = dict[tuple[int, bool], int]
"""Position of each input of the compiled model, by feature and by whether unknown values go left."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled model and what its inputs are.

    oneDAL takes twice as long per row as soon as a NaN is in sight, and a `has_url` is hardly ever known. So the
    compiled model never sees one: a feature whose unknown values go left in some splits and right in others is given
    twice, once with -inf for unknown and once with inf.

    Attributes:
        model: daal4py's regression model: the sum of the leaves and nothing else.
        features: For each input of the model, the feature that it holds.
        unknown: For each input of the model, what stands for unknown: -inf goes left, inf goes right.
    """

    model: Any
    features: NDArray[np.intp]
    unknown: NDArray[np.float32]

    def widened(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the model's inputs for the rows of a feature matrix."""
        inputs = np.take(matrix, self.features, axis=1)
        np.copyto(inputs, self.unknown, where=np.isnan(inputs))
        return inputs


def compile_trees(daal4py: Any, trees: Sequence[Tree]) -> Compiled:  # noqa: ANN401 - a module without types
    """Compile trees as a regression, so that the margin comes out and no probability.

    Args:
        daal4py: The module; handed in because it exists on x86-64 only.
        trees: At least one tree.
    """
    inputs = _inputs(trees)
    builder = daal4py.gbt_reg_model_builder(n_features=len(inputs), n_iterations=len(trees))
    for tree in trees:
        _add_tree(builder, tree, inputs)
    features = np.array([feature for feature, _ in inputs], dtype=np.intp)
    unknown = np.where([goes_left for _, goes_left in inputs], -np.inf, np.inf).astype(np.float32)
    return Compiled(builder.model(base_score=None), features, unknown)


def _inputs(trees: Sequence[Tree]) -> Inputs:
    """Return the inputs that the splits need; a model without any split still needs one."""
    needed = {pair for tree in trees for pair in _pairs(tree)}
    return {pair: position for position, pair in enumerate(sorted(needed or {(0, False)}))}


def _pairs(tree: Tree) -> Iterator[tuple[int, bool]]:
    """Yield feature and direction of unknown values of each split."""
    return zip(tree.feature.tolist(), tree.nan_goes_left.tolist(), strict=True)


def _add_tree(builder: Any, tree: Tree, inputs: Inputs) -> None:  # noqa: ANN401 - a class without types
    """Add one tree, parents before children. The builder's splits test x <= value, as LightGBM's do."""
    number = builder.create_tree(n_nodes=2 * len(tree.leaves) - 1)
    # An input may be inf only for unknown, so that inf must fail every test, even one that all numbers pass.
    values = np.minimum(tree.threshold32, _LARGEST).tolist()
    columns = [inputs[pair] for pair in _pairs(tree)]
    left, right, leaves = tree.left.tolist(), tree.right.tolist(), tree.leaves.tolist()
    waiting: list[tuple[int, dict[str, int]]] = [(0 if values else ~0, {})]
    for node, place in waiting:
        if node < 0:
            builder.add_leaf(tree_id=number, response=leaves[~node], cover=0.0, **place)
            continue
        split = builder.add_split(
            tree_id=number,
            feature_index=columns[node],
            feature_value=values[node],
            cover=0.0,
            default_left=0,
            **place,
        )
        waiting += [
            (left[node], {"parent_id": split, "position": 0}),
            (right[node], {"parent_id": split, "position": 1}),
        ]
