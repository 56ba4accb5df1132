"""The model that comes with the code: of this feature contract, real, the same in both engines, with its card."""

from pathlib import Path

import numpy as np
import pytest

from features.catalogue import contract_hash
from features.profile import Profiles
from registry.bundle import CARD, FOLDER, BundleError, bundled_package, write_bundle
from registry.card import model_card
from registry.model import unpack
from registry.package import REFITTED
from registry.validation import validate
from runtime.settings import Settings
from tests.support_cli import kol
from tests.support_events import varied_values
from tests.support_model import tiny_package


def test_it_is_of_this_feature_contract_and_of_real_accounts() -> None:
    manifest = bundled_package().verified_manifest()
    assert manifest.contract == contract_hash()
    assert not manifest.synthetic
    assert manifest.training["rows"] == "29950"
    assert REFITTED in manifest.training


def test_it_gives_the_same_scores_in_both_engines() -> None:
    profiles = Profiles.of_rows(varied_values(2_000, seed=8))
    pytest.importorskip("daal4py")
    reference = unpack(bundled_package(), "lightgbm").score(profiles).hundredths
    assert np.array_equal(unpack(bundled_package(), "onedal").score(profiles).hundredths, reference)
    assert len(set(reference.tolist())) > 500


def test_it_is_fit_for_use() -> None:
    assert validate(bundled_package(), "auto").passed


def test_its_card_is_that_of_its_manifest() -> None:
    package = bundled_package()
    assert (FOLDER / CARD).read_text() == model_card(package.verified_manifest(), package.sha)


def test_a_machine_without_accounts_releases_it(settings: Settings) -> None:
    registered = kol("model", "register", "bundled", "--json", settings=settings)
    assert registered.code == 0, registered.err
    promoted = kol("model", "promote", "1", "--json", settings=settings)
    assert promoted.code == 0, promoted.err
    assert promoted.json["production"]["sha"] == bundled_package().sha


def test_a_model_of_generated_accounts_is_not_shipped(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="generated accounts"):
        write_bundle(tiny_package(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_same_model_is_shipped_to_the_same_bytes(tmp_path: Path) -> None:
    write_bundle(bundled_package(), tmp_path)
    assert all((tmp_path / file.name).read_bytes() == file.read_bytes() for file in FOLDER.iterdir())
