"""Two engines that agree with each other, and with plain Python, to the last bit."""

import os
import re
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

from registry import engines
from registry.engines import (
    Engine,
    EngineMismatchError,
    EngineUnavailableError,
    MatrixError,
    choose_engine,
    lightgbm_engine,
    onedal_engine,
    probe_matrix,
)
from registry.leaves import LeafError, round_leaves
from registry.trees import parse_trees, sizes, tree_blocks

WIDTH = 29
FULL = range(3)  # features that are never unknown in training
LARGEST = float(np.finfo(np.float32).max)
NASTY = (0.1, 1 / 3, 1e-40, -1e-40, 1e-35, -1e-35, 0.0, -0.0, 1e300, -1e300, float("inf"), -0.7, 1.0, 16777217.0)
SPECIAL = (np.nan, 0.0, -0.0, 1e-45, -1e-45, 1e-40, 1.1e-35, -1.1e-35, 1.0, 1e30, LARGEST, -LARGEST)

Matrix = NDArray[np.float32]


def accounts(rows: int, seed: int) -> tuple[Matrix, NDArray[np.int64]]:
    """Return features of accounts that exist nowhere, a sixth of them unknown, and labels that depend on them."""
    chance = np.random.default_rng(seed)
    matrix = chance.lognormal(0, 2, (rows, WIDTH)).astype(np.float32)
    matrix[:, 10:20] = np.floor(matrix[:, 10:20])
    matrix[:, 20:] -= 1
    unknown = chance.random(matrix.shape) < 1 / 6
    unknown[:, FULL] = False
    known = np.log1p(np.abs(matrix))
    signal = known[:, 0] - known[:, 4] + known[:, 12] * (matrix[:, 21] > 0) + unknown[:, 7] + chance.normal(0, 1, rows)
    matrix[unknown] = np.nan
    return matrix, (signal > np.median(signal)).astype(np.int64)


def trained(rounds: int = 40, **params: Any) -> str:  # noqa: ANN401 - LightGBM's
    """Return the text of a booster, leaves as LightGBM made them."""
    names = [f"f{number}" for number in range(WIDTH)]
    data = lightgbm.Dataset(*accounts(4000, seed=1), feature_name=names)
    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 1, **params}
    return str(lightgbm.train(settings, data, rounds).model_to_string())


def edited(pattern: str, replacement: str | Callable[[re.Match[str]], str], text: str, count: int = 0) -> str:
    """Return the model with lines replaced and the sizes of the trees put right."""
    changed = re.sub(pattern, replacement, text, count=count, flags=re.MULTILINE)
    return re.sub(r"^tree_sizes=.*$", f"tree_sizes={sizes(list(tree_blocks(changed)))}", changed, flags=re.MULTILINE)


def with_nasty_thresholds(text: str) -> str:
    """Return the model with thresholds that lie between, at and beyond the float32 numbers."""

    def replaced(match: re.Match[str]) -> str:
        return "threshold=" + " ".join(repr(NASTY[n % len(NASTY)]) for n in range(len(match[1].split())))

    return round_leaves(edited(r"^threshold=(.*)$", replaced, text))


@pytest.fixture(scope="session")
def raw_text() -> str:
    """A model with its leaves unrounded."""
    return trained()


@pytest.fixture(scope="session")
def texts(raw_text: str) -> dict[str, str]:
    """Models of different shapes, all with rounded leaves."""
    return {
        "plain": round_leaves(raw_text),
        "shallow": round_leaves(trained(max_depth=3)),
        "deep": round_leaves(trained(num_leaves=200, min_data_in_leaf=2, rounds=10)),
        "regression": round_leaves(trained(objective="regression")),
        "blind": round_leaves(trained(use_missing=False)),
        "stump": round_leaves(trained(min_data_in_leaf=3900)),
        "nasty": with_nasty_thresholds(raw_text),
    }


MODELS = ("plain", "shallow", "deep", "regression", "blind", "stump", "nasty")


@pytest.fixture(params=MODELS)
def text(request: pytest.FixtureRequest, texts: dict[str, str]) -> str:
    """Each of the models in turn."""
    return texts[request.param]


@pytest.fixture(params=["lightgbm", "onedal"])
def engine(request: pytest.FixtureRequest, texts: dict[str, str]) -> Engine:
    """Each of the engines in turn, with the plain model."""
    return _engine(request.param, texts["plain"])


def _engine(name: str, text: str) -> Engine:
    if name == "lightgbm":
        return lightgbm_engine(text)
    pytest.importorskip("daal4py")
    return onedal_engine(text)


def edge_rows(text: str, rows: int) -> Matrix:
    """Return rows whose values are thresholds, their float32 neighbours, unknown, zeros, tiny, huge or ordinary."""
    chance = np.random.default_rng(7)
    found = [float(word) for line in re.findall(r"^threshold=(.*)$", text, re.MULTILINE) for word in line.split()]
    ties = np.clip(np.unique([*found, 0.0]), -LARGEST, LARGEST).astype(np.float32)
    near = [np.nextafter(ties, np.float32(side)) for side in (-LARGEST, LARGEST)]
    edges = np.concatenate([ties, *near, np.array(SPECIAL, np.float32)])
    matrix = chance.choice(edges, (rows, WIDTH))
    ordinary = chance.random(matrix.shape) < 0.3
    matrix[ordinary] = accounts(rows, seed=3)[0][ordinary]
    return np.ascontiguousarray(matrix)


def bits(margins: NDArray[np.float32]) -> list[int]:
    """Return the margins as integers, so that equal means equal to the last bit."""
    assert margins.dtype == np.float32
    return [int(bit) for bit in margins.view(np.int32)]


def own_margins(text: str, matrix: Matrix) -> NDArray[np.float64]:
    """Walk the trees in plain Python and float64, by LightGBM's documented rule."""
    margins = np.zeros(len(matrix))
    for tree in parse_trees(text):
        for row, values in enumerate(matrix.astype(np.float64)):
            node = 0 if len(tree.feature) else ~0
            while node >= 0:
                value = values[tree.feature[node]]
                value = 0.0 if abs(value) <= np.float32(1e-35) else value
                goes_left = tree.nan_goes_left[node] if np.isnan(value) else value <= tree.threshold[node]
                node = int(tree.left[node] if goes_left else tree.right[node])
            margins[row] += tree.leaves[~node]
    return margins


def test_both_engines_give_the_same_bits_on_ties_neighbours_and_unknowns(text: str) -> None:
    matrix = edge_rows(text, 120_000)
    expected = lightgbm_engine(text).margins(matrix)
    assert bits(_engine("onedal", text).margins(matrix)) == bits(expected)


def test_margins_are_the_exact_sums_of_the_leaves(text: str) -> None:
    matrix = edge_rows(text, 200)
    assert bits(lightgbm_engine(text).margins(matrix)) == bits(own_margins(text, matrix).astype(np.float32))


@pytest.mark.parametrize("model", ["plain", "nasty"])
@pytest.mark.parametrize("name", ["lightgbm", "onedal"])
def test_a_row_alone_gets_the_bits_it_gets_in_a_batch(name: str, model: str, texts: dict[str, str]) -> None:
    engine, matrix = _engine(name, texts[model]), edge_rows(texts[model], 3000)
    alone = np.concatenate([engine.margins(matrix[row : row + 1]) for row in range(len(matrix))])
    assert bits(alone) == bits(engine.margins(matrix))


def test_order_and_size_of_batches_do_not_matter(engine: Engine) -> None:
    matrix, _ = accounts(20_000, seed=5)
    order = np.random.default_rng(5).permutation(len(matrix))
    parts = np.split(matrix[order], [1, 3, 100, 8500])
    shuffled = np.empty(len(matrix), np.float32)
    shuffled[order] = np.concatenate([engine.margins(part) for part in parts])
    assert bits(shuffled) == bits(engine.margins(matrix))


def test_no_rows_give_no_margins(engine: Engine) -> None:
    assert bits(engine.margins(np.empty((0, WIDTH), np.float32))) == []


@pytest.mark.parametrize("rows", [1, 500])
def test_many_threads_get_the_bits_of_one(engine: Engine, rows: int) -> None:
    matrix, _ = accounts(4000, seed=6)
    parts = [matrix[start : start + rows] for start in range(0, len(matrix), rows)]
    with ThreadPoolExecutor(8) as pool:
        found = np.concatenate(list(pool.map(engine.margins, parts)))
    assert bits(found) == bits(engine.margins(matrix))


# The warning of newer Pythons about threads at a fork is the very case that is tried here.
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_an_engine_works_in_a_forked_process(engine: Engine) -> None:
    matrix, _ = accounts(2000, seed=8)
    expected = bits(engine.margins(matrix))
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        same = bits(engine.margins(matrix)) == expected and bits(engine.margins(matrix[:1])) == expected[:1]
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (np.zeros((3, WIDTH), np.float64), "float64"),
        (np.zeros((3, WIDTH - 1), np.float32), r"\(3, 28\)"),
        (np.zeros((3, WIDTH), np.float32, order="F"), "not C-contiguous"),
        (np.zeros(WIDTH, np.float32), r"\(29,\)"),
    ],
)
def test_another_matrix_is_refused(engine: Engine, matrix: Any, words: str) -> None:  # noqa: ANN401 - wrong on purpose
    with pytest.raises(MatrixError, match=words):
        engine.margins(matrix)


def test_auto_is_onedal_where_it_is_installed(texts: dict[str, str]) -> None:
    pytest.importorskip("daal4py")
    assert choose_engine("auto", texts["plain"]).name == "onedal"
    assert choose_engine("onedal", texts["plain"]).name == "onedal"
    assert choose_engine("lightgbm", texts["plain"]).name == "lightgbm"


def test_without_onedal_auto_is_lightgbm_and_onedal_is_refused(
    texts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engines._daal4py.cache_clear()
    monkeypatch.setitem(sys.modules, "daal4py", None)
    assert choose_engine("auto", texts["plain"]).name == "lightgbm"
    with pytest.raises(EngineUnavailableError, match="use the engine lightgbm"):
        choose_engine("onedal", texts["plain"])


def test_an_engine_that_disagrees_is_found_and_not_used(texts: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    other = lightgbm_engine(texts["shallow"])
    monkeypatch.setattr(engines, "_OneDal", lambda *_: other)
    assert choose_engine("auto", texts["plain"]) is not other
    with pytest.raises(EngineMismatchError, match="of 2048 probe rows"):
        choose_engine("onedal", texts["plain"])


def test_the_probe_is_the_same_each_time_and_finds_one_moved_threshold(texts: dict[str, str]) -> None:
    text = texts["plain"]
    shape = (engines.PROBE_ROWS, WIDTH)
    probe = probe_matrix(parse_trees(text), shape)
    assert probe.tobytes() == probe_matrix(parse_trees(text), shape).tobytes()
    moved = edited(r"^threshold=(\S+)", lambda m: f"threshold={np.nextafter(np.float32(m[1]), 9)!s}", text, count=1)
    assert bits(lightgbm_engine(moved).margins(probe)) != bits(lightgbm_engine(text).margins(probe))


@pytest.mark.parametrize("make", [lightgbm_engine, onedal_engine])
def test_unrounded_leaves_are_refused(make: Any, raw_text: str) -> None:  # noqa: ANN401 - two functions
    with pytest.raises(LeafError, match=r"no multiple of 2\^-20"):
        make(raw_text)
