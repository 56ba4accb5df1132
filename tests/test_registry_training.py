"""Training: the same model from the same accounts, a locked holdout, hidden fields, honest figures."""

import dataclasses

import numpy as np
import pytest
from sklearn import metrics

from features.catalogue import NAMES, feature_matrix
from features.profile import OPTIONAL_NAMES
from registry.accounts import SHARED_DATASET, AccountsSource
from registry.calibration import CalibrationError, Platt, fit_platt
from registry.evaluation import average_precision, brier, calibration_error, evaluate, log_loss, roc_auc, shown_p
from registry.holdout import is_held_out
from registry.leaves import exact_trees, features_without_missing_direction
from registry.masking import all_hidden, features_that_can_be_unknown, some_hidden, with_random_url
from registry.model import unpack
from registry.recipe import Recipe
from registry.training import TrainingError, fingerprint, train, training_rows
from registry.validation import validate
from tests.support_registry import STRONG, TWIN, package_of, small_accounts


def test_the_same_accounts_and_recipe_give_the_same_package() -> None:
    assert train(small_accounts(), STRONG).package.sha == package_of(STRONG).sha
    assert package_of(TWIN).sha != package_of(STRONG).sha


def test_the_holdout_depends_on_the_id_alone() -> None:
    ids = np.array([f"account{number}" for number in range(10_000)])
    held = is_held_out(ids)
    assert 0.19 < held.mean() < 0.21
    order = np.random.default_rng(1).permutation(len(ids))
    assert (is_held_out(ids[order]) == held[order]).all()
    assert is_held_out(np.array(["acct00001", "acct00002"])).tolist() == [False, True]


def test_labels_of_the_holdout_have_no_say_in_the_trees() -> None:
    accounts = small_accounts()
    turned = np.where(is_held_out(accounts.ids), 1 - accounts.labels, accounts.labels)
    other = train(dataclasses.replace(accounts, labels=turned), STRONG)
    assert other.package.text == package_of(STRONG).text
    assert other.metrics["roc_auc"] == pytest.approx(1 - package_of(STRONG).verified_manifest().metrics["roc_auc"])


def test_the_manifest_says_how_the_model_was_made() -> None:
    manifest = package_of(STRONG).verified_manifest()
    accounts = small_accounts()
    assert manifest.features == NAMES
    assert manifest.synthetic
    assert manifest.training["dataset_sha256"] == accounts.digest
    assert manifest.training["fingerprint"] == fingerprint(accounts.digest, STRONG)
    assert int(manifest.training["rows"]) + int(manifest.training["holdout_rows"]) == len(accounts)
    assert set(manifest.metrics) == {
        "roc_auc", "pr_auc", "brier", "log_loss", "ece15", "masked_roc_auc", "prevalence"
    }  # fmt: skip


def test_training_ranges_are_those_of_the_training_part_and_has_url_has_none() -> None:
    accounts = small_accounts()
    learned = accounts.take(~is_held_out(accounts.ids))
    ranges = package_of(STRONG).verified_manifest().ranges
    assert "has_url" not in ranges
    ages = learned.profiles.account_age_days
    assert ranges["account_age_days"] == (ages.min(), ages.max())


def test_every_feature_that_can_be_unknown_knows_it_and_leaves_add_up() -> None:
    text = package_of(STRONG).text.decode()
    assert features_without_missing_direction(text, features_that_can_be_unknown()) == []
    assert len(exact_trees(text)) == STRONG.trees


def test_a_model_that_never_saw_unknown_values_is_refused() -> None:
    recipe = dataclasses.replace(STRONG, some_hidden=0.0, all_hidden=0.0)
    with pytest.raises(TrainingError, match=r"in training .*log_favorites.* was never unknown"):
        train(small_accounts(), recipe)


def test_accounts_too_few_for_figures_are_refused() -> None:
    with pytest.raises(TrainingError, match="too small: a part of it has"):
        train(small_accounts().take(np.arange(100)), STRONG)


def test_labels_without_any_sense_are_refused_or_do_not_pass_validation() -> None:
    accounts = small_accounts()
    shuffled = np.random.default_rng(1).permutation(accounts.labels)
    try:
        package = train(dataclasses.replace(accounts, labels=shuffled), STRONG).package
    except TrainingError:
        return
    assert not validate(package).passed


def test_progress_tells_each_fit() -> None:
    told: list[tuple[int, int]] = []
    train(small_accounts(), STRONG, progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_fingerprint_changes_with_data_and_choices() -> None:
    prints = [fingerprint("a", STRONG), fingerprint("b", STRONG), fingerprint("a", TWIN), fingerprint("a", Recipe())]
    assert len(set(prints)) == 4


def test_training_shows_each_account_as_it_is_and_some_again_with_fields_hidden() -> None:
    accounts = small_accounts()
    profiles, labels = training_rows(accounts, STRONG, np.random.default_rng(1))
    rows = len(accounts)
    assert len(profiles) == len(labels) == rows + round(rows * 0.5) + round(rows * 0.1)
    assert (profiles.favorites_count[:rows] == accounts.profiles.favorites_count).all()
    assert (labels[:rows] == accounts.labels).all()
    last = slice(rows + round(rows * 0.5), None)
    assert all(np.isnan(getattr(profiles, name)[last]).all() for name in OPTIONAL_NAMES)


def test_has_url_is_unknown_in_half_of_the_rows_and_tells_nothing_in_the_rest() -> None:
    accounts = small_accounts()
    url = with_random_url(accounts.profiles, np.random.default_rng(1)).has_url
    known = ~np.isnan(url)
    assert 0.45 < known.mean() < 0.55
    assert abs(np.corrcoef(url[known], accounts.labels[known])[0, 1]) < 0.1


def test_hiding_some_fields_hides_half_of_each_and_no_required_one() -> None:
    profiles = small_accounts().profiles
    hidden = some_hidden(profiles, np.random.default_rng(1))
    assert 0.4 < np.isnan(hidden.verified).mean() < 0.6
    assert (hidden.followers_count == profiles.followers_count).all()


def test_what_can_be_unknown_is_what_depends_on_an_optional_field() -> None:
    can = features_that_can_be_unknown()
    assert {"has_url", "fake_follower_indicator", "low_engagement_high_posts", "profile_completeness"} <= set(can)
    assert not {"log_followers", "posts_per_day_capped", "account_age_tier", "suspicious_growth"} & set(can)
    unknown = np.isnan(feature_matrix(all_hidden(small_accounts().profiles)))
    assert {name for name, column in zip(NAMES, unknown.T, strict=True) if column.any()} <= set(can)


def test_figures_are_those_of_scikit_learn() -> None:
    chance = np.random.default_rng(1)
    p = np.round(chance.random(3_000), 2)
    labels = (chance.random(3_000) < p**2).astype(np.float64)
    assert roc_auc(labels, p) == pytest.approx(metrics.roc_auc_score(labels, p))
    assert average_precision(labels, p) == pytest.approx(metrics.average_precision_score(labels, p))
    assert brier(labels, p) == pytest.approx(metrics.brier_score_loss(labels, p))
    assert log_loss(labels, np.clip(p, 0.01, 0.99)) == pytest.approx(metrics.log_loss(labels, np.clip(p, 0.01, 0.99)))


def test_calibration_error_is_the_gap_that_was_put_in() -> None:
    labels = np.tile([1.0, 0.0, 0.0, 0.0], 250)
    assert calibration_error(labels, np.full(1_000, 0.25)) == pytest.approx(0.0)
    assert calibration_error(labels, np.full(1_000, 0.35)) == pytest.approx(0.1)
    assert calibration_error(np.ones(10), np.ones(10)) == 0.0


def test_figures_are_measured_on_the_scores_that_people_see() -> None:
    accounts = small_accounts()
    held = accounts.take(is_held_out(accounts.ids))
    model = unpack(package_of(STRONG))
    shown = 1 - model.score(held.profiles).hundredths / 10_000
    assert (shown_p(model, held.profiles) == shown).all()
    stored = package_of(STRONG).verified_manifest().metrics
    assert stored == evaluate(model, held.profiles, held.labels)
    assert stored["roc_auc"] == pytest.approx(metrics.roc_auc_score(held.labels, shown))


def test_platt_finds_the_line_that_made_the_labels() -> None:
    chance = np.random.default_rng(1)
    margins = chance.normal(0, 2, 50_000)
    labels = (chance.random(50_000) < 1 / (1 + np.exp(-(1.5 * margins - 0.5)))).astype(np.float64)
    fitted = fit_platt(margins, labels)
    assert fitted.slope == pytest.approx(1.5, abs=0.05)
    assert fitted.intercept == pytest.approx(-0.5, abs=0.05)


@pytest.mark.parametrize("scale", [0.01, 1.0, 15.0])
def test_platt_is_finite_where_margins_separate_the_labels_without_error(scale: float) -> None:
    margins = np.random.default_rng(1).normal(0, scale, 1_000)
    fit_platt(margins, (margins > 0).astype(np.float64)).check()


def test_platt_refuses_margins_that_point_the_wrong_way() -> None:
    margins = np.random.default_rng(1).normal(0, 1, 1_000)
    with pytest.raises(CalibrationError, match="the slope must be > 0"):
        fit_platt(margins, (margins < 0).astype(np.float64))


def test_calibration_changes_no_order() -> None:
    margins = np.linspace(-15.9, 15.9, 1_001, dtype=np.float32)
    assert (np.diff(Platt(1.2, -0.3).probability(margins)) > 0).all()


@pytest.mark.long
@pytest.mark.skipif(not SHARED_DATASET.is_file(), reason="the real accounts are not on this machine")
def test_the_default_recipe_on_the_real_accounts_is_as_good_as_promised() -> None:
    trained = train(AccountsSource(SHARED_DATASET).load())
    assert trained.metrics["roc_auc"] >= 0.94
    assert trained.metrics["ece15"] <= 0.015
    assert trained.metrics["brier"] <= 0.083
    assert validate(trained.package).why_not() == ""
