"""Leaves that add up exactly: rounding and checks on the LightGBM text of a model.

A leaf is a multiple of 2^-20 and the largest possible margin stays below 16, so every partial sum needs at most 24
bits: float32 and float64, in any order, give the same margin to the last bit.
"""

import re
from collections.abc import Sequence

import numpy as np

from registry.trees import ModelTextError, Tree, feature_names, parse_trees, sizes, tree_blocks

STEP = 2.0**-20
MARGIN_BOUND = 16.0


class LeafError(ValueError):
    """The leaves of a model do not add up exactly; the message says by how much and what to do."""


def round_leaves(text: str) -> str:
    """Round every leaf value of a model text to a multiple of 2^-20; nothing else changes but the sizes of the trees.

    Raises:
        ModelTextError: The text is not a model that we score.
    """
    parse_trees(text)
    blocks = [re.sub(r"^leaf_value=(.*)$", _rounded_line, block, flags=re.MULTILINE) for block in tree_blocks(text)]
    head, _, _ = text.partition("\nTree=")
    _, end, tail = text.partition("end of trees")
    head = re.sub(r"^tree_sizes=.*$", f"tree_sizes={sizes(blocks)}", head, flags=re.MULTILINE)
    return f"{head}\n{''.join(blocks)}{end}{tail}"


def check_margin_bound(text: str) -> None:
    """Check that no margin can reach 16: the sum over the trees of the largest |leaf|.

    Raises:
        LeafError: The sum is 16 or more.
    """
    _check_bound(parse_trees(text))


def exact_trees(text: str) -> tuple[Tree, ...]:
    """Return the trees of a model whose margins are exact in float32.

    Raises:
        LeafError: A leaf is not a multiple of 2^-20, or a margin can reach 16.
        ModelTextError: The text is not a model that we score.
    """
    trees = parse_trees(text)
    for number, tree in enumerate(trees):
        loose = tree.leaves[np.rint(tree.leaves / STEP) != tree.leaves / STEP]
        if loose.size:
            raise LeafError(f"tree {number} has the leaf {loose[0]!r}, no multiple of 2^-20; use round_leaves first")
    _check_bound(trees)
    return trees


def features_without_missing_direction(text: str, optional_names: Sequence[str]) -> list[str]:
    """Return those optional features for which the model has a split that does not know unknown values.

    A booster that saw no unknown value of a feature sends it down the path of 0. A feature without any split is fine.

    Raises:
        ModelTextError: A name is not among the model's features.
    """
    names = feature_names(text)
    strange = [name for name in optional_names if name not in names]
    if strange:
        raise ModelTextError(f"the model has no features {strange}; it has {names}")
    trees = parse_trees(text)
    blind = {names[position] for tree in trees for position in tree.feature[~tree.knows_missing]}
    return [name for name in optional_names if name in blind]


def _rounded_line(match: re.Match[str]) -> str:
    """Return a `leaf_value` line with rounded values; + 0.0 turns -0.0 into 0.0."""
    values = (round(float(value) / STEP) * STEP + 0.0 for value in match[1].split())
    return "leaf_value=" + " ".join(map(repr, values))


def _check_bound(trees: Sequence[Tree]) -> None:
    """Raise unless the largest |leaf| of all trees together stay below the bound."""
    largest = float(sum(np.abs(tree.leaves).max() for tree in trees))
    if not largest < MARGIN_BOUND:
        raise LeafError(
            f"the margin can reach {largest:.3f}, must stay below {MARGIN_BOUND:g} over {len(trees)} trees; "
            "train with a smaller learning rate, fewer trees or more regularisation"
        )
