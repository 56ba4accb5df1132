"""Two engines that turn feature rows into margins, bit for bit the same: LightGBM, and oneDAL on x86-64."""

import ctypes
import functools
import importlib
import weakref
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import lightgbm
import numpy as np
import structlog
from lightgbm import basic
from numpy.typing import NDArray

from registry.leaves import exact_trees
from registry.onedal import compile_trees
from registry.trees import NEAR_ZERO, Tree, feature_names

EngineKind = Literal["auto", "onedal", "lightgbm"]

ROWS_PER_CALL = 8192
"""Rows that oneDAL gets at once: its widened copy of them stays in the CPU's cache."""

PROBE_ROWS = 2048


class EngineUnavailableError(RuntimeError):
    """The engine does not run on this machine; the message says why and what to do."""


class EngineMismatchError(RuntimeError):
    """The engine does not give LightGBM's margins; the message says in how many rows."""


class MatrixError(ValueError):
    """The matrix is not what an engine takes; the message says what was there."""


class Engine(Protocol):
    """Turns feature rows into margins. Safe to call from several threads, and in a process forked after it was made."""

    @property
    def name(self) -> str:
        """The engine's name: `lightgbm` or `onedal`."""

    def margins(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the margin of each row: log-odds before calibration, higher = less trustworthy.

        Exact: the same bits for any engine, batch size and order of rows.

        Args:
            matrix: C-contiguous, rows x the model's features in their order; NaN for unknown, never infinite.

        Raises:
            MatrixError: Other type, shape or layout.
        """


def choose_engine(kind: EngineKind, text: str) -> Engine:
    """Return an engine for a model text.

    `auto` is oneDAL where it runs and gives LightGBM's margins on ties, their neighbours and unknowns; else LightGBM.

    Raises:
        EngineUnavailableError: `onedal` was asked for and does not run here.
        EngineMismatchError: `onedal` was asked for and disagrees with LightGBM.
        LeafError: The margins of this model would not be exact.
        ModelTextError: The text is not a model that we score.
    """
    trees, width = exact_trees(text), len(feature_names(text))
    reference = _LightGBM(text)
    if kind == "lightgbm":
        return reference
    try:
        engine = _OneDal(trees, width)
        _check_agreement(engine, reference, probe_matrix(trees, (PROBE_ROWS, width)))
    except (EngineUnavailableError, EngineMismatchError) as error:
        if kind == "onedal":
            raise
        structlog.get_logger().info("scoring engine is lightgbm", because=str(error))
        return reference
    return engine


def lightgbm_engine(text: str) -> Engine:
    """Return LightGBM itself, one thread per call.

    Raises:
        LeafError: The margins of this model would not be exact.
        ModelTextError: The text is not a model that we score.
    """
    exact_trees(text)
    return _LightGBM(text)


def onedal_engine(text: str) -> Engine:
    """Return the model compiled for oneDAL, one thread per call.

    Raises:
        EngineUnavailableError: daal4py is not there; it exists for x86-64 only.
        LeafError: The margins of this model would not be exact.
        ModelTextError: The text is not a model that we score.
    """
    return _OneDal(exact_trees(text), len(feature_names(text)))


def probe_matrix(trees: Sequence[Tree], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return rows that find disagreement: each feature runs through its thresholds, their neighbours and NaN.

    The same trees and shape give the same rows. From about a thousand rows on, every threshold occurs.

    Args:
        trees: The trees of the model.
        shape: Number of rows, number of the model's features.
    """
    rows, width = shape
    chance = np.random.default_rng(rows)
    columns = [chance.permutation(np.resize(_edges(trees, feature), rows)) for feature in range(width)]
    return np.column_stack(columns)


class _LightGBM:
    """LightGBM's Booster for batches; for one row the C call with prepared settings, which takes half the time.

    That call goes through `PyDLL`, which keeps the GIL: so no two threads use the prepared buffers at once.
    """

    name = "lightgbm"

    def __init__(self, text: str) -> None:
        self._booster = lightgbm.Booster(model_str=text)
        self._width = self._booster.num_feature()
        self._library = ctypes.PyDLL(basic._LIB._name)  # noqa: SLF001 - LightGBM has no public door to its library
        self._config = ctypes.c_void_p()
        self._length = ctypes.c_int64()
        self._prepare()
        weakref.finalize(self, self._library.LGBM_FastConfigFree, self._config)

    def margins(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        _check_matrix(matrix, self._width)
        if len(matrix) == 1:
            return self._margin(matrix)
        if len(matrix) == 0:
            return np.empty(0, np.float32)
        margins: NDArray[np.float64] = self._booster.predict(matrix, raw_score=True, num_threads=1)
        return margins.astype(np.float32)

    def _prepare(self) -> None:
        """Have LightGBM prepare the settings of the one-row call."""
        handle = self._booster._handle  # noqa: SLF001 - LightGBM has no public door to it
        raw_score, all_trees, float32 = 1, (0, -1), 0
        code = self._library.LGBM_BoosterPredictForMatSingleRowFastInit(
            handle, raw_score, *all_trees, float32, self._width, b"num_threads=1", ctypes.byref(self._config)
        )
        self._check(code)

    def _margin(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the margin of a matrix of one row."""
        margin = ctypes.c_double()
        code = self._library.LGBM_BoosterPredictForMatSingleRowFast(
            self._config, ctypes.c_void_p(row.ctypes.data), ctypes.byref(self._length), ctypes.byref(margin)
        )
        self._check(code)
        return np.array([margin.value], np.float32)

    def _check(self, code: int) -> None:
        """Raise LightGBM's error if a call returned one."""
        if code != 0:
            self._library.LGBM_GetLastError.restype = ctypes.c_char_p
            raise basic.LightGBMError(self._library.LGBM_GetLastError().decode())


class _OneDal:
    """The trees compiled for oneDAL."""

    name = "onedal"

    def __init__(self, trees: Sequence[Tree], width: int) -> None:
        self._daal4py = _daal4py()
        self._width = width
        self._compiled = compile_trees(self._daal4py, trees)

    def margins(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        _check_matrix(matrix, self._width)
        margins = np.empty(len(matrix), np.float32)
        for start in range(0, len(matrix), ROWS_PER_CALL):
            rows = slice(start, start + ROWS_PER_CALL)
            margins[rows] = self._part(matrix[rows])
        return margins

    def _part(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the margins of some rows; the algorithm is new each time, as it holds on to its last result."""
        algorithm = self._daal4py.gbt_regression_prediction(fptype="float")
        prediction: NDArray[np.float32] = algorithm.compute(
            self._compiled.widened(matrix), self._compiled.model
        ).prediction
        return prediction.ravel()


@functools.cache
def _daal4py() -> Any:  # noqa: ANN401 - a module without types
    """Return daal4py, set to one thread for the whole process; processes and partitions are what runs in parallel."""
    try:
        daal4py = importlib.import_module("daal4py")
    except ImportError as error:
        raise EngineUnavailableError(f"no oneDAL here ({error}); use the engine lightgbm, it gives the same") from error
    daal4py.daalinit(1)
    return daal4py


def _check_matrix(matrix: NDArray[np.float32], width: int) -> None:
    """Raise unless the engine can read the matrix as it is."""
    if matrix.dtype != np.float32 or matrix.ndim != 2 or matrix.shape[1] != width or not matrix.flags.c_contiguous:
        layout = "C-contiguous" if matrix.flags.c_contiguous else "not C-contiguous"
        raise MatrixError(
            f"needed: C-contiguous float32 (rows, {width}); there was {layout} {matrix.dtype} {matrix.shape}"
        )


def _check_agreement(engine: Engine, reference: Engine, matrix: NDArray[np.float32]) -> None:
    """Raise unless both engines give the same bits."""
    differing = int((engine.margins(matrix).view(np.int32) != reference.margins(matrix).view(np.int32)).sum())
    if differing:
        raise EngineMismatchError(
            f"{engine.name} differs from {reference.name} in {differing} of {len(matrix)} probe rows; "
            f"use the engine {reference.name} and report this model"
        )


def _edges(trees: Sequence[Tree], feature: int) -> NDArray[np.float32]:
    """Return the values of a feature at which engines could part."""
    ties = np.unique(np.concatenate([tree.threshold32[tree.feature == feature] for tree in trees]))
    ties = ties[np.isfinite(ties)]
    largest = np.finfo(np.float32).max
    near = [np.nextafter(ties, np.float32(side) * largest) for side in (-1, 1)]
    others = np.array([np.nan, 0, -0.0, NEAR_ZERO, -NEAR_ZERO, 1, largest, -largest], np.float32)
    return np.concatenate([ties, *near, others])
