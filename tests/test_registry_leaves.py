"""Rounded, bounded leaves and known directions of unknown values, on the text of real boosters."""

import re
from typing import Any

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

from registry.engines import lightgbm_engine, onedal_engine
from registry.leaves import LeafError, check_margin_bound, features_without_missing_direction, round_leaves
from registry.trees import ModelTextError, parse_trees, sizes, tree_blocks

WIDTH = 29
NAMES = [f"f{number}" for number in range(WIDTH)]


def accounts(rows: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return features of accounts that exist nowhere, all but f0 at times unknown; labels depend on f0, f4 and f12."""
    chance = np.random.default_rng(seed)
    matrix = chance.lognormal(0, 2, (rows, WIDTH)).astype(np.float32)
    matrix[:, 12] = np.floor(matrix[:, 12])
    signal = np.log1p(matrix[:, 0]) - np.log1p(matrix[:, 4]) + np.log1p(matrix[:, 12]) + chance.normal(0, 1, rows)
    matrix[:, 1:][chance.random((rows, WIDTH - 1)) < 1 / 6] = np.nan
    return matrix, (signal > np.median(signal)).astype(np.int64)


def trained(rounds: int = 40, categorical: tuple[str, ...] = (), **params: Any) -> str:  # noqa: ANN401 - LightGBM's
    """Return the text of a booster, leaves as LightGBM made them."""
    data = lightgbm.Dataset(*accounts(4000, seed=1), feature_name=NAMES, categorical_feature=list(categorical))
    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 1, **params}
    return str(lightgbm.train(settings, data, rounds).model_to_string())


@pytest.fixture(scope="session")
def raw_text() -> str:
    """A model with its leaves unrounded."""
    return trained()


@pytest.fixture(scope="session")
def texts(raw_text: str) -> dict[str, str]:
    """Models with rounded leaves: an ordinary one, one that knows no unknown values, one without a split."""
    return {
        "plain": round_leaves(raw_text),
        "blind": round_leaves(trained(use_missing=False)),
        "stump": round_leaves(trained(min_data_in_leaf=3900)),
    }


@pytest.fixture(params=["plain", "blind", "stump"])
def text(request: pytest.FixtureRequest, texts: dict[str, str]) -> str:
    """Each of the models in turn."""
    return texts[request.param]


def text_with_a_large_leaf(text: str) -> str:
    """Return the model with one leaf of 16."""
    changed = re.sub(r"^leaf_value=\S+", "leaf_value=16.0", text, count=1, flags=re.MULTILINE)
    return re.sub(r"^tree_sizes=.*$", f"tree_sizes={sizes(list(tree_blocks(changed)))}", changed, flags=re.MULTILINE)


def test_rounding_leaves_keeps_the_model_loadable_and_its_predictions(raw_text: str) -> None:
    matrix, _ = accounts(5000, seed=2)
    rounded = lightgbm.Booster(model_str=round_leaves(raw_text))
    before = lightgbm.Booster(model_str=raw_text).predict(matrix, raw_score=True)
    after = rounded.predict(matrix, raw_score=True)
    assert 0 < np.abs(before - after).max() <= rounded.num_trees() * 2.0**-21


def test_rounding_leaves_twice_changes_nothing_more(raw_text: str) -> None:
    once = round_leaves(raw_text)
    assert once != raw_text
    assert round_leaves(once) == once
    assert round_leaves(lightgbm.Booster(model_str=once).model_to_string()).count("Tree=") == once.count("Tree=")


def test_rounded_leaves_are_multiples_of_the_step(text: str) -> None:
    steps = np.concatenate([tree.leaves for tree in parse_trees(text)]) * 2**20
    assert (steps == np.round(steps)).all()


def test_the_sizes_of_the_trees_are_right_after_rounding(text: str) -> None:
    sizes = [int(size) for size in re.findall(r"^tree_sizes=(.*)$", text, re.MULTILINE)[0].split()]
    assert text.encode()[text.index("Tree=0") :][sum(sizes) :].startswith(b"end of trees")


def test_a_margin_that_can_reach_16_is_refused(texts: dict[str, str]) -> None:
    check_margin_bound(texts["plain"])
    large = text_with_a_large_leaf(texts["plain"])
    for check in (check_margin_bound, lightgbm_engine, onedal_engine):
        with pytest.raises(LeafError, match=r"the margin can reach \d\d\."):
            check(large)


def test_features_that_were_never_unknown_in_training_are_named(texts: dict[str, str]) -> None:
    optional = ["f12", "f0", "f4"]
    assert features_without_missing_direction(texts["plain"], optional) == ["f0"]
    assert features_without_missing_direction(texts["blind"], optional) == optional
    assert features_without_missing_direction(texts["stump"], optional) == []


def test_an_optional_feature_that_the_model_does_not_have_is_refused(texts: dict[str, str]) -> None:
    with pytest.raises(ModelTextError, match="no features \\['has_wings'\\]"):
        features_without_missing_direction(texts["plain"], ["has_wings"])


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"categorical": ["f12"]}, "num_cat"),
        ({"linear_tree": True}, "linear"),
        ({"zero_as_missing": True}, "zero_as_missing"),
        ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "averaged"),
        ({"objective": "multiclass", "num_class": 2}, "num_class"),
    ],
)
def test_models_beyond_numeric_splits_are_refused(params: dict[str, Any], words: str) -> None:
    text = trained(rounds=3, **params)
    for use in (round_leaves, lightgbm_engine, onedal_engine):
        with pytest.raises(ModelTextError, match=words):
            use(text)


@pytest.mark.parametrize("text", ["", "not a model", "tree\nnum_class=1\nnum_tree_per_iteration=1\nend of trees\n"])
def test_a_text_without_trees_is_refused(text: str) -> None:
    with pytest.raises(ModelTextError):
        parse_trees(text)


def test_a_cut_text_is_refused(texts: dict[str, str]) -> None:
    with pytest.raises(ModelTextError, match="is cut"):
        lightgbm_engine(texts["plain"][:5000])


def test_sizes_that_do_not_fit_the_trees_are_refused_before_they_crash_lightgbm(texts: dict[str, str]) -> None:
    wrong = re.sub(r"^tree_sizes=\d+", "tree_sizes=7", texts["plain"], flags=re.MULTILINE)
    with pytest.raises(ModelTextError, match="tree_sizes does not fit"):
        lightgbm_engine(wrong)
