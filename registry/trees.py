"""The trees of a LightGBM text model: numeric splits on float32 features, nothing else."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# LightGBM reads every |x| <= float32(1e-35) as 0 before it descends.
NEAR_ZERO = np.float32(1e-35)

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_NONE, _MISSING_ZERO, _MISSING_NAN = 0, 1, 2


class ModelTextError(ValueError):
    """The text is not a LightGBM model of numeric splits with one margin; the message says what stands in it."""


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree as columns over its splits; split 0 is the root, a child `c < 0` is leaf `~c`.

    Attributes:
        feature: Position of the feature that the split looks at.
        threshold: `x <= threshold` goes left, in float64.
        left: Left child.
        right: Right child.
        nan_goes_left: Where an unknown value goes, also where training saw none (then the way of 0).
        knows_missing: Whether training saw unknown values of the feature.
        leaves: Leaf values, in units of log-odds.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    nan_goes_left: NDArray[np.bool_]
    knows_missing: NDArray[np.bool_]
    leaves: NDArray[np.float64]

    @property
    def threshold32(self) -> NDArray[np.float32]:
        """The thresholds for float32 inputs; see `float32_thresholds`."""
        return float32_thresholds(self.threshold)


def parse_trees(text: str) -> tuple[Tree, ...]:
    """Read all trees of a model text.

    Raises:
        ModelTextError: Not a LightGBM text, more than one margin per row, averaged trees (random forest),
            a categorical split, a linear tree, or zero treated as missing.
    """
    head = _fields(text.partition("\nTree=")[0])
    for key in ("num_class", "num_tree_per_iteration"):
        if head.get(key) != "1":
            raise ModelTextError(f"a LightGBM text model with {key}=1 is needed; there was {head.get(key)!r}")
    if "\naverage_output\n" in text:
        raise ModelTextError("averaged trees (boosting=rf) are not supported; train with boosting=gbdt")
    blocks = list(tree_blocks(text))
    if head.get("tree_sizes", sizes(blocks)) != sizes(blocks):
        raise ModelTextError("tree_sizes does not fit the trees, which would crash LightGBM; export the model again")
    trees = tuple(_tree(number, _fields(block)) for number, block in enumerate(blocks))
    if not trees:
        raise ModelTextError("the model text holds no tree; train at least one round")
    return trees


def tree_blocks(text: str) -> Iterator[str]:
    """Yield the text of each tree, from `Tree=` to just before the next one."""
    body, end, _ = text.partition("end of trees")
    if not end:
        raise ModelTextError("the model text is cut: 'end of trees' is missing; export the model again")
    starts = [match.start() for match in re.finditer(r"^Tree=", body, re.MULTILINE)]
    for start, stop in zip(starts, [*starts[1:], len(body)], strict=False):
        yield body[start:stop]


def sizes(blocks: Sequence[str]) -> str:
    """Return the value of `tree_sizes`, bytes of each tree. LightGBM finds the trees by it and checks nothing."""
    return " ".join(str(len(block.encode())) for block in blocks)


def feature_names(text: str) -> list[str]:
    """Return the names of the model's input columns, in order."""
    return _fields(text.partition("\nTree=")[0]).get("feature_names", "").split()


def float32_thresholds(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return thresholds `t` such that `x <= t` in float32 decides as LightGBM does in float64, for every float32 x.

    No float32 lies between a threshold and the largest float32 not above it, so that one decides the same, ties
    included. LightGBM reads |x| <= 1e-35 as 0: a threshold in that range moves to the border that keeps all such x
    together on the side of 0. Thereby no threshold is subnormal, and a CPU that flushes those decides the same.
    """
    with np.errstate(over="ignore"):
        nearest = thresholds.astype(np.float32)
        below = np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)
    with_zero = np.where((thresholds >= 0) & (below <= NEAR_ZERO), NEAR_ZERO, below)
    all_below_zero = np.nextafter(-NEAR_ZERO, np.float32(-np.inf))
    return np.where((thresholds < 0) & (thresholds >= -NEAR_ZERO), all_below_zero, with_zero)


def _fields(block: str) -> dict[str, str]:
    """Return the `key=value` lines of a block."""
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _tree(number: int, fields: dict[str, str]) -> Tree:
    """Build tree `number` from its lines, refusing what no engine of ours scores."""
    if fields.get("num_cat") != "0":
        raise ModelTextError(f"tree {number} has num_cat={fields.get('num_cat')!r}; only numeric splits are supported")
    if fields.get("is_linear", "0") != "0":
        raise ModelTextError(f"tree {number} is linear; train with linear_tree=false")
    columns = ("split_feature", "decision_type", "left_child", "right_child")
    feature, decision, left, right = (_numbers(fields, key).astype(np.int64) for key in columns)
    threshold, leaves = _numbers(fields, "threshold"), _numbers(fields, "leaf_value")
    if not len(feature) == len(decision) == len(left) == len(right) == len(threshold) == len(leaves) - 1:
        raise ModelTextError(f"tree {number} does not hold one leaf more than splits; export the model again")
    missing = decision >> 2 & 3
    if (decision & _CATEGORICAL).any() or (missing == _MISSING_ZERO).any():
        raise ModelTextError(f"tree {number} has categorical splits or zero_as_missing; only numeric, NaN is missing")
    nan_goes_left = np.where(missing == _MISSING_NAN, decision & _DEFAULT_LEFT != 0, threshold >= 0)
    return Tree(feature, threshold, left, right, nan_goes_left, missing == _MISSING_NAN, leaves)


def _numbers(fields: dict[str, str], key: str) -> NDArray[np.float64]:
    """Return the numbers of one line; an absent or empty line has none."""
    return np.array(fields.get(key, "").split(), dtype=np.float64)
