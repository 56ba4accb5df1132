"""A model's report and card: whole, self-contained, and honest about where its figures come from."""

import re
from pathlib import Path

import pytest

from registry.accounts import Accounts, read_accounts
from registry.card import model_card
from registry.report import write_report
from registry.synthetic import synthetic_csv
from tests.support_model import tiny_package

PNG = b"\x89PNG\r\n\x1a\n"
PICTURES = {"reliability", "roc", "precision-recall", "scores-by-tier", "importance"}


@pytest.fixture(scope="module")
def accounts() -> Accounts:
    return read_accounts(synthetic_csv(800), origin="generated", synthetic=True)


@pytest.fixture(scope="module")
def folder(accounts: Accounts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    assert write_report(tiny_package(), accounts, out) == out / "report.html"
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
