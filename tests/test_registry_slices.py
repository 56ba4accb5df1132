"""Slices: the right accounts in each, the figures of each, and intervals that hold them."""

import numpy as np
import pytest
from sklearn import metrics

from features.profile import RAW_NAMES, Column, Profiles
from registry.evaluation import ECE_BINS, brier, calibration_error, roc_auc
from registry.slices import as_metrics, measure_slices, membership, reliability
from tests.support_registry import small_accounts

UNKNOWN = float("nan")


def told(rows: int, seed: int = 1) -> tuple[Column, Column]:
    """Return labels and a P that is right about them, with ties."""
    chance = np.random.default_rng(seed)
    p = np.round(chance.random(rows), 2)
    return (chance.random(rows) < p).astype(np.float64), p


def test_each_account_is_in_one_tier_and_one_age_band() -> None:
    members = membership(small_accounts().profiles)
    tiers = np.sum([members[name] for name in ("nano", "micro", "mid", "macro", "mega")], axis=0)
    bands = np.sum([rows for name, rows in members.items() if name.startswith("age_")], axis=0)
    assert (tiers == 1).all()
    assert (bands == 1).all()


def test_an_account_of_unknown_verification_is_neither_verified_nor_not() -> None:
    verified = RAW_NAMES.index("verified")
    rows = [[1_000.0] * verified + [value] + [1.0] * (len(RAW_NAMES) - verified - 1) for value in (0, 1, UNKNOWN)]
    members = membership(Profiles.of_rows(rows))
    assert members["unverified"].tolist() == [True, False, False]
    assert members["verified"].tolist() == [False, True, False]
    assert members["young"].tolist() == [True, True, True]


def test_the_figures_of_a_slice_are_those_of_its_accounts_alone() -> None:
    profiles = small_accounts().profiles
    labels, p = told(len(profiles))
    slices = {one.name: one for one in measure_slices(profiles, labels, p)}
    rows = membership(profiles)["unverified"]
    one = slices["unverified"]
    assert (one.rows, one.untrustworthy) == (rows.sum(), labels[rows].sum())
    assert one.figures["roc_auc"].value == pytest.approx(metrics.roc_auc_score(labels[rows], p[rows]))
    assert one.figures["ece15"].value == calibration_error(labels[rows], p[rows])
    assert one.figures["brier"].value == brier(labels[rows], p[rows])


def test_intervals_hold_the_figure_and_are_as_wide_as_theory_says() -> None:
    profiles = small_accounts().profiles
    labels, p = told(len(profiles))
    figure = measure_slices(profiles, labels, p)[0].figures["roc_auc"]
    assert figure.low < figure.value < figure.high
    error = hanley_mcneil(roc_auc(labels, p), labels)
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_the_same_seed_gives_the_same_intervals() -> None:
    profiles = small_accounts().profiles
    labels, p = told(len(profiles))
    assert measure_slices(profiles, labels, p) == measure_slices(profiles, labels, p)
    assert measure_slices(profiles, labels, p, seed=2) != measure_slices(profiles, labels, p)


def test_a_slice_with_too_few_of_a_label_has_no_figures() -> None:
    accounts = small_accounts().take(np.arange(60))
    slices = measure_slices(accounts.profiles, np.zeros(60), np.full(60, 0.1))
    assert all(one.figures == {} for one in slices)
    assert as_metrics(slices) == {}


def test_a_reliability_table_counts_every_account_once() -> None:
    labels, p = told(1_000)
    table = reliability(labels, p)
    assert len(table) == ECE_BINS
    assert sum(one.rows for one in table) == 1_000
    gaps = sum(one.rows * abs(one.share - one.mean_p) for one in table if one.share is not None and one.mean_p)
    assert gaps / 1_000 == pytest.approx(calibration_error(labels, p))


def test_an_empty_bin_has_no_mean() -> None:
    table = reliability(np.array([1.0, 0.0]), np.array([0.99, 1.0]))
    assert table[0].mean_p is None
    assert table[-1].rows == 2


def hanley_mcneil(auc: float, labels: Column) -> float:
    """Return the standard error of a ROC-AUC by the formula of Hanley and McNeil (1982)."""
    bad, good = labels.sum(), (1 - labels).sum()
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (bad - 1) * (first - auc**2) + (good - 1) * (second - auc**2)
    return float(np.sqrt(spread / (bad * good)))
