"""A model's report and card: whole, self-contained, and honest about where its figures come from."""

import re
from pathlib import Path

import numpy as np
import pytest

from registry.accounts import Accounts, read_accounts
from registry.card import model_card
from registry.learning_curve import learning_curve
from registry.prevalence import warned
from registry.recipe import recipe_told
from registry.report import write_report
from registry.report_log import FOLDER, log_report
from registry.synthetic import synthetic_csv
from registry.truth import Registry
from tests.support_model import tiny_package
from tests.support_registry import STRONG, STRONG_ONE, small_accounts, version

pytest_plugins = ["tests.support_homes"]

PNG = b"\x89PNG\r\n\x1a\n"
PICTURES = {"reliability", "roc", "precision-recall", "scores-by-tier", "slices", "importance", "learning-curve"}


@pytest.fixture(scope="module")
def accounts() -> Accounts:
    return read_accounts(synthetic_csv(3_000), origin="generated", synthetic=True)


@pytest.fixture(scope="module")
def folder(accounts: Accounts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    assert write_report(tiny_package(), accounts, out, prevalence=0.1) == out / "report.html"
    return out


def test_every_picture_is_a_picture(folder: Path) -> None:
    assert {path.stem for path in folder.glob("*.png")} == PICTURES
    assert all(path.read_bytes().startswith(PNG) for path in folder.glob("*.png"))


def test_the_page_needs_nothing_else_and_names_synthetic_data(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert page.count("data:image/png") == len(PICTURES)
    assert "SYNTHETIC DATA" in page
    assert tiny_package().sha in page


def test_the_card_says_which_way_is_bad_and_what_the_model_has_not_seen(folder: Path) -> None:
    card = (folder / "model-card.md").read_text()
    manifest = tiny_package().verified_manifest()
    assert card == model_card(manifest, tiny_package().sha)
    assert "uncalibrated P(untrustworthy)*: high is bad" in card
    assert "generated accounts" in card
    assert all(f"| {name} |" in card for name in (*manifest.metrics, *manifest.training, *manifest.ranges))
    assert "days old: younger ones are beyond what it knows" in card


def test_a_warning_is_worth_less_on_a_list_with_fewer_bad_ones() -> None:
    labels = np.array([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    p = np.array([0.9, 0.9, 0.9, 0.1, 0.9, 0.1, 0.1, 0.1])
    below_40 = {prevalence: warned(labels, p, prevalence)[-1] for prevalence in (0.5, 0.1, 0.0)}
    assert (below_40[0.5].below, below_40[0.5].found, below_40[0.5].false) == (40.0, 0.75, 0.25)
    assert [below_40[prevalence].right for prevalence in (0.5, 0.1, 0.0)] == [0.75, 0.25, 0.0]


def test_a_list_of_which_nobody_is_warned_has_no_warning_that_is_right() -> None:
    assert warned(np.array([1.0, 0.0]), np.array([0.1, 0.1]), 0.5)[-1].right is None


def test_the_learning_curve_grows_with_the_accounts_and_a_recipe_comes_back_from_its_facts(accounts: Accounts) -> None:
    assert recipe_told(STRONG.described()) == STRONG
    steps = learning_curve(accounts, STRONG)
    assert [step.rows for step in steps] == sorted({step.rows for step in steps})
    assert steps[-1].roc_auc > steps[0].roc_auc
    assert all(step.seen > step.roc_auc for step in steps)


def test_the_report_of_a_registered_version_is_kept_with_its_run(registry: Registry) -> None:
    strong = version(registry, STRONG_ONE)
    assert log_report(registry, strong, small_accounts(), prevalence=0.1)
    kept = {Path(item.path).name for item in registry.tracking.client.list_artifacts(strong.run_id, FOLDER)}
    assert kept == {"report.html", "model-card.md", *(f"{name}.png" for name in PICTURES)}
