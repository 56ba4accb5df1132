"""Validation and the gate: each line can fail, and says why."""

import hashlib
import re

import msgspec
import numpy as np
import pytest

from features.profile import Column
from features.score import Hundredths
from registry.accounts import Accounts
from registry.checks import Check, Checks, Rules
from registry.gate import ECE, FLIPS, GAIN, SURE_GAIN, TIERS, Measured, judge, measured_lines
from registry.holdout import is_held_out
from registry.package import Manifest, Package
from registry.recipe import Recipe
from registry.trees import sizes, tree_blocks
from registry.validation import validate
from tests.support_registry import STRONG, TWIN, UNFIT, WEAK, package_of, small_accounts


def failed(checks: Checks) -> list[str]:
    return [line.name for line in checks.failed]


def edited(recipe: Recipe, **fields: object) -> Package:
    package = package_of(recipe)
    manifest: Manifest = msgspec.structs.replace(package.verified_manifest(), **fields)
    return Package.of(manifest, package.text.decode())


def with_metrics(recipe: Recipe, **metrics: float) -> Package:
    return edited(recipe, metrics={**package_of(recipe).verified_manifest().metrics, **metrics})


def of_other_data(recipe: Recipe) -> Package:
    return edited(recipe, training={**package_of(recipe).verified_manifest().training, "dataset_sha256": "other"})


def gate(new: Package, in_use: Package | None, accounts: Accounts | None = None) -> Checks:
    return judge(new, in_use, accounts, rules=Rules(), engine="lightgbm")


def test_a_sound_model_passes_validation() -> None:
    assert validate(package_of(STRONG)).passed
    assert len(validate(package_of(STRONG)).lines) == 12


@pytest.mark.parametrize(
    ("package", "line"),
    [
        (package_of(UNFIT), "score of the untrustworthy reference"),
        (with_metrics(STRONG, roc_auc=0.79), "roc_auc"),
        (with_metrics(STRONG, ece15=0.11), "ece15"),
        (with_metrics(STRONG, brier=0.3), "brier"),
    ],
)
def test_validation_names_the_line_that_fails(package: Package, line: str) -> None:
    checks = validate(package)
    assert failed(checks) == [line]
    assert checks.why_not().startswith(f"{line} is ")


def test_absent_figures_fail() -> None:
    assert failed(validate(edited(STRONG, metrics={}))) == ["roc_auc", "ece15", "brier"]


def test_a_model_that_cannot_be_loaded_fails_with_that_alone() -> None:
    assert failed(validate(edited(STRONG, contract="0" * 64))) == ["loads"]


def test_a_feature_that_was_never_unknown_fails() -> None:
    def forgetful(line: re.Match[str]) -> str:
        # Bits 2 and 3 of a decision type say what stands for missing; none set = the training saw no unknown value.
        return "decision_type=" + " ".join(str(int(kind) & 0b11) for kind in line[1].split())

    text = re.sub("^decision_type=(.*)$", forgetful, package_of(STRONG).text.decode(), flags=re.MULTILINE)
    text = re.sub("^tree_sizes=.*$", f"tree_sizes={sizes(list(tree_blocks(text)))}", text, flags=re.MULTILINE)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    manifest = msgspec.structs.replace(package_of(STRONG).verified_manifest(), model_sha256=sha256)
    package = Package.of(manifest, text)
    assert failed(validate(package)) == ["features never unknown in training"]


def test_the_first_production_needs_to_be_fit_for_use_only() -> None:
    assert gate(package_of(WEAK), None).passed
    assert failed(gate(package_of(UNFIT), None)) == ["score of the untrustworthy reference"]


def test_a_better_model_passes_measured_on_the_holdout() -> None:
    checks = gate(package_of(STRONG), package_of(WEAK), small_accounts())
    assert checks.passed
    (gain,) = (line for line in checks.lines if line.name == GAIN)
    assert re.search(r"is \+0\.0\d+ \(0\.\d{5} against 0\.\d{5}\), wanted > 0\.01$", str(gain))


@pytest.mark.parametrize(("new", "in_use"), [(TWIN, STRONG), (STRONG, TWIN), (WEAK, STRONG), (STRONG, STRONG)])
def test_a_model_that_gains_too_little_is_refused(new: Recipe, in_use: Recipe) -> None:
    assert failed(gate(package_of(new), package_of(in_use), small_accounts()))[0] == GAIN


def test_figures_that_somebody_wrote_into_the_manifest_do_not_count_when_they_can_be_measured() -> None:
    boasting = with_metrics(TWIN, roc_auc=0.99)
    assert GAIN in failed(gate(boasting, package_of(STRONG), small_accounts()))


def test_without_the_accounts_the_stored_figures_of_the_same_data_count() -> None:
    assert gate(package_of(STRONG), package_of(WEAK)).passed
    assert failed(gate(package_of(TWIN), package_of(STRONG))) == [GAIN]


def test_without_the_accounts_figures_of_other_data_are_not_comparable() -> None:
    checks = gate(package_of(STRONG), of_other_data(WEAK))
    assert failed(checks) == [GAIN]
    assert "not comparable" in checks.why_not()
    assert gate(package_of(STRONG), of_other_data(WEAK), small_accounts()).passed


def test_a_model_of_generated_accounts_does_not_replace_one_of_real_accounts() -> None:
    real = edited(WEAK, synthetic=False)
    assert failed(gate(package_of(STRONG), real, small_accounts())) == ["trained on"]
    assert gate(edited(STRONG, synthetic=False), package_of(WEAK), small_accounts()).passed


def test_a_production_that_this_version_cannot_load_may_be_replaced() -> None:
    assert gate(package_of(STRONG), edited(WEAK, contract="0" * 64), small_accounts()).passed


def line_of(checks: Checks, name: str) -> Check:
    (found,) = (line for line in checks.lines if line.name == name)
    return found


def test_every_line_of_the_gate_has_a_value_and_a_bound() -> None:
    checks = gate(package_of(STRONG), package_of(WEAK), small_accounts())
    assert [line.name for line in checks.lines[-9:]] == [
        "trained on", GAIN, SURE_GAIN, ECE, *(f"gain in roc_auc of tier {tier}" for tier in TIERS), FLIPS
    ][-9:]  # fmt: skip
    assert all(line.bound and str(line.value) for line in checks.lines)
    held = is_held_out(small_accounts().ids).sum()
    assert f"of {held} accounts" in str(line_of(checks, FLIPS).value)
    assert "any" in line_of(checks, FLIPS).bound


def test_a_bound_on_flipped_risk_levels_is_kept() -> None:
    checks = judge(
        package_of(STRONG), package_of(WEAK), small_accounts(), rules=Rules(most_flips=0.05), engine="lightgbm"
    )
    assert failed(checks) == [FLIPS]
    assert line_of(checks, FLIPS).bound == "<= 0.05"


def measured(rows: int = 6_000, *, worse_tier: int | None = None, blur: float = 0.3, shift: int = 0) -> Measured:
    """Return scores of two models of which the new one sees more, except in one tier; both calibrated."""
    chance = np.random.default_rng(1)
    labels = (chance.random(rows) < 0.33).astype(np.float64)
    tiers = chance.choice(5, rows, p=[0.4, 0.3, 0.2, 0.09, 0.01]).astype(np.float64)
    signal = np.where(labels == 1, -1.2, 1.2) + chance.normal(size=rows)
    old = trust(signal + chance.normal(size=rows), np.ones(rows))
    blurs = np.where(tiers == worse_tier, 2.0, blur)
    new = trust(signal + chance.normal(size=rows) * blurs, blurs)
    return Measured(labels, tiers, np.clip(new + shift, 0, 10_000), old)


def trust(seen: Column, blurs: Column) -> Hundredths:
    """Return the hundredths of somebody who knows how far the labels are apart, their shares and the noise."""
    return np.round(1e4 / (1 + np.exp(-2.4 * seen / (1 + blurs**2)) * 0.33 / 0.67)).astype(np.int64)


def test_a_gain_that_may_be_chance_does_not_pass_even_without_a_margin() -> None:
    lines = measured_lines(measured(200, blur=0.9), Rules(margin=0))
    assert lines[0].passed
    assert [line.name for line in lines if not line.passed] == [SURE_GAIN]


def test_a_gain_that_one_tier_pays_for_is_refused() -> None:
    assert [line.name for line in measured_lines(measured(), Rules()) if not line.passed] == []
    lines = measured_lines(measured(worse_tier=2), Rules())
    assert [line.name for line in lines if not line.passed] == ["gain in roc_auc of tier mid"]


def test_a_tier_of_few_accounts_is_not_judged_and_says_so() -> None:
    (mega,) = (line for line in measured_lines(measured(worse_tier=4), Rules()) if line.name.endswith("mega"))
    assert mega.passed
    assert str(mega.value).startswith("not measured: ")


def test_a_model_that_is_badly_calibrated_is_refused() -> None:
    lines = measured_lines(measured(shift=-2_500), Rules())
    assert ECE in [line.name for line in lines if not line.passed]


def refitted(recipe: Recipe) -> Package:
    return edited(recipe, training={**package_of(recipe).verified_manifest().training, "refit_on_all_rows": "true"})


@pytest.mark.parametrize(
    ("new", "in_use"), [(package_of(STRONG), refitted(WEAK)), (refitted(STRONG), package_of(WEAK))]
)
def test_nothing_is_measured_on_accounts_that_a_refitted_model_has_seen(new: Package, in_use: Package) -> None:
    accounts = small_accounts()
    assert FLIPS in {line.name for line in gate(package_of(STRONG), package_of(WEAK), accounts).lines}
    assert FLIPS not in {line.name for line in gate(new, in_use, accounts).lines}
