"""Training: the same model from the same accounts, a locked holdout, hidden fields, honest figures."""

import dataclasses

import numpy as np
import pytest
from sklearn import metrics

from features.catalogue import NAMES, feature_matrix
from features.profile import OPTIONAL_NAMES
from registry.accounts import SHARED_DATASET, Accounts, AccountsSource, read_accounts
from registry.calibration import CalibrationError, Platt, fit_platt
from registry.evaluation import (
    average_precision,
    brier,
    calibration_error,
    evaluate,
    hiding,
    log_loss,
    roc_auc,
    shown_p,
)
from registry.gate import measure
from registry.holdout import is_held_out
from registry.leaves import exact_trees, features_without_missing_direction
from registry.masking import all_hidden, features_that_can_be_unknown, some_hidden, with_random_url
from registry.model import unpack
from registry.recipe import Recipe
from registry.shown import shown_rows
from registry.split import TrainingError
from registry.synthetic import synthetic_csv
from registry.training import fingerprint, refit, train
from registry.validation import validate
from registry.youth import earlier
from tests.support_registry import STRONG, TWIN, WEAK, package_of, small_accounts


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
    main = {name for name in manifest.metrics if not name.startswith("slice.")}
    assert main == {
        "roc_auc", "pr_auc", "brier", "log_loss", "ece15", "prevalence", "masked_roc_auc", "masked_mean_change",
        "masked_p95_change", "masked_level_flips", "masked_falls",
    }  # fmt: skip
    assert {"slice.unverified.roc_auc", "slice.unverified.ece15", "slice.nano.brier"} <= set(manifest.metrics)


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
    shown = shown_rows(accounts, STRONG, 0)
    profiles, labels = shown.profiles, shown.labels
    rows = len(accounts)
    some = rows + round(rows * STRONG.some_hidden)
    none = some + round(rows * STRONG.all_hidden)
    assert len(profiles) == len(labels) == none + round(rows * STRONG.earlier)
    assert (profiles.favorites_count[:rows] == accounts.profiles.favorites_count).all()
    assert (labels[:rows] == accounts.labels).all()
    assert all(np.isnan(getattr(profiles, name)[some:none]).all() for name in OPTIONAL_NAMES)
    assert set(shown.weights[:rows]) == {1.0}
    assert set(shown.weights[rows:none]) == {STRONG.hidden_weight}
    assert set(shown.weights[none:]) == {STRONG.earlier_weight}
    assert profiles.account_age_days[none:].mean() < 0.8 * accounts.profiles.account_age_days.mean()


def test_an_account_taken_back_has_the_same_habits_and_less_of_what_grows() -> None:
    profiles = small_accounts().profiles
    young = earlier(profiles, 0.2, np.random.default_rng(1))
    share = young.account_age_days / profiles.account_age_days
    assert 0.19 < share.min() < 0.25
    assert 0.95 < share.max() <= 1
    many = profiles.post_count > 1_000
    assert young.post_count[many] / profiles.post_count[many] == pytest.approx(share[many], abs=0.01)
    assert (np.isnan(young.favorites_count) == np.isnan(profiles.favorites_count)).all()
    assert (young.post_count == np.floor(young.post_count))[many].all()
    assert (young.bio_length == profiles.bio_length).all()


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
    assert evaluate(model, held.profiles, held.labels).items() <= stored.items()
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


def test_accounts_of_another_file_are_measured_on_and_all_of_the_first_are_learned() -> None:
    accounts = small_accounts()
    ours, theirs = accounts.take(np.arange(1_000)), other_accounts(500)
    trained = train(ours, WEAK, measured_on=theirs)
    manifest = trained.package.verified_manifest()
    assert (trained.rows, trained.holdout_rows) == (1_000, 500)
    assert evaluate(unpack(trained.package), theirs.profiles, theirs.labels).items() <= manifest.metrics.items()
    assert manifest.training["dataset_sha256"] == f"{ours.digest} measured on {theirs.digest}"
    assert manifest.training["fingerprint"] != fingerprint(ours.digest, WEAK)


def test_accounts_are_not_measured_on_that_were_learned_from() -> None:
    accounts = small_accounts()
    with pytest.raises(TrainingError, match=r"100 accounts of .* are in .* too"):
        train(accounts.take(np.arange(1_100)), WEAK, measured_on=accounts.take(np.arange(1_000, len(accounts))))
    renamed = other_accounts(500)
    same_ids = dataclasses.replace(renamed, ids=accounts.ids[:500])
    assert train(accounts, WEAK, measured_on=same_ids).holdout_rows == 500


def test_a_refit_learns_from_all_rows_and_keeps_the_honest_figures() -> None:
    accounts = small_accounts()
    honest = train(accounts, WEAK)
    manifest = refit(accounts, honest.package, WEAK).verified_manifest()
    assert manifest.metrics == honest.package.verified_manifest().metrics
    assert manifest.model_sha256 != honest.package.verified_manifest().model_sha256
    assert manifest.training["rows"] == str(len(accounts))
    assert manifest.training["refit_on_all_rows"] == "true"
    assert manifest.training["metrics_from_sha"] == honest.package.sha
    assert f"on {honest.rows} of these rows" in manifest.training["metrics_from"]


def test_nobody_measures_a_refit_on_rows_that_it_saw() -> None:
    accounts = small_accounts()
    honest = train(accounts, WEAK)
    package = refit(accounts, honest.package, WEAK)
    assert measure(unpack(package), unpack(honest.package), accounts) is None
    assert measure(unpack(honest.package), unpack(honest.package), accounts) is not None


def test_hiding_counts_changes_of_score_and_of_level() -> None:
    shown = np.array([9_000, 8_500, 7_000, 1_000])
    told = hiding(shown, np.array([8_900, 5_900, 7_900, 1_000]))
    assert told["masked_mean_change"] == pytest.approx((1 + 26 + 9 + 0) / 4)
    assert told["masked_p95_change"] == pytest.approx(np.quantile([1, 26, 9, 0], 0.95))
    assert (told["masked_level_flips"], told["masked_falls"]) == (0.25, 0.5)
    assert hiding(shown[3:], shown[3:])["masked_falls"] == 0.0


def other_accounts(rows: int) -> Accounts:
    """Return generated accounts that are not among the small ones."""
    return read_accounts(synthetic_csv(rows, seed=4), origin="other accounts", synthetic=True)


@pytest.mark.long
@pytest.mark.skipif(not SHARED_DATASET.is_file(), reason="the real accounts are not on this machine")
def test_the_default_recipe_on_the_real_accounts_is_as_good_as_promised() -> None:
    trained = train(AccountsSource(SHARED_DATASET).load())
    assert trained.metrics["roc_auc"] >= 0.94
    assert trained.metrics["ece15"] <= 0.015
    assert trained.metrics["brier"] <= 0.083
    assert validate(trained.package).why_not() == ""
