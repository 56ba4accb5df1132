"""What the gate measures beside the gain: how sure it is, and what changes for people."""

import time

import numpy as np
import pytest

from features.profile import Column
from features.score import RISK_BOUNDS, risk_level
from registry.bootstrap import auc_gain_interval
from registry.drift import drift, levels
from registry.evaluation import roc_auc

Data = tuple[Column, Column, Column]


def two_models(rows: int, seed: int = 1) -> Data:
    """Return labels, a model that knows something and one that knows a little less, in steps of a hundredth."""
    chance = np.random.default_rng(seed)
    labels = (chance.random(rows) < 0.33).astype(np.float64)
    signal = 3 * labels - 1.5 + chance.normal(size=rows)
    better = np.round(1 / (1 + np.exp(-signal)), 2)
    worse = np.round(1 / (1 + np.exp(-(signal + chance.normal(size=rows) * 0.7))), 2)
    return labels, better, worse


def test_the_interval_holds_the_gain_and_is_the_same_again() -> None:
    labels, better, worse = two_models(2_000)
    low, high = auc_gain_interval(labels, better, worse)
    assert 0 < low < roc_auc(labels, better) - roc_auc(labels, worse) < high
    assert auc_gain_interval(labels, better, worse) == (low, high)
    assert auc_gain_interval(labels, better, worse, seed=2) != (low, high)


def test_the_interval_is_as_wide_as_that_of_a_plain_bootstrap() -> None:
    labels, better, worse = two_models(400)
    chance = np.random.default_rng(5)
    gains: list[float] = []
    for _ in range(1_000):
        parts = [chance.choice(np.flatnonzero(labels == label), int((labels == label).sum())) for label in (0, 1)]
        rows = np.concatenate(parts)
        gains.append(roc_auc(labels[rows], better[rows]) - roc_auc(labels[rows], worse[rows]))
    assert auc_gain_interval(labels, better, worse) == pytest.approx(np.quantile(gains, [0.025, 0.975]), abs=0.006)


def test_a_model_gains_nothing_over_itself() -> None:
    labels, better, _ = two_models(300)
    assert auc_gain_interval(labels, better, better) == (0, 0)


def test_six_thousand_accounts_take_less_than_five_seconds() -> None:
    labels, better, worse = two_models(6_000)
    started = time.process_time()
    auc_gain_interval(labels, better, worse)
    assert time.process_time() - started < 5


def test_risk_levels_flip_at_the_bounds_that_people_are_shown() -> None:
    old = np.array([7_999, 8_000, 5_999, 3_999, 100, 9_000], dtype=np.int32)
    new = np.array([8_000, 7_999, 6_000, 4_000, 101, 9_900], dtype=np.int32)
    found = drift(new, old)
    assert (found.accounts, found.flips) == (6, 4)
    assert found.flipped_share == round(4 / 6, 5)
    assert found.mean_change == pytest.approx((new - old).mean() / 100, abs=1e-3)


def test_levels_are_those_of_the_score() -> None:
    every = np.arange(10_001, dtype=np.int32)
    words = [level for _, level in reversed(RISK_BOUNDS)]
    assert [words[number] for number in levels(every)] == [risk_level(int(score)) for score in every]


def test_stability_tells_a_shifted_population_from_the_same_one() -> None:
    scores = np.random.default_rng(1).integers(2_000, 8_000, 5_000, dtype=np.int32)
    assert drift(scores, scores).stability_index == 0
    assert drift(scores + np.int32(1_500), scores).stability_index > 0.2
