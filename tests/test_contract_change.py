"""A model of another feature contract: the layers refuse to start with it, by name and before anything is touched."""

from datetime import UTC, datetime

import msgspec
import pytest

from batch.plan import plan_run
from registry.package import ModelRefusedError, Package
from registry.shelf import Shelf
from runtime.files import write_whole
from runtime.settings import Settings
from serving.models import ServedModel
from streaming.service import run_stream
from tests.support_model import tiny_package, tiny_shelf

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def of_another_contract() -> Package:
    """Return the tiny model as another version of the features would have made it."""
    manifest = tiny_package().verified_manifest()
    changed = msgspec.structs.replace(manifest, contract="0" * 64)
    return Package(msgspec.json.encode(changed), tiny_package().text)


def change_contract(settings: Settings) -> Settings:
    """Put it into Production as if the version that can read it had done so."""
    shelf, package = Shelf.at(settings.shelf), of_another_contract()
    production = shelf.production()
    write_whole(shelf.folder / package.sha / "manifest.json", package.manifest)
    write_whole(shelf.folder / package.sha / "model.txt", package.text)
    listed = [production, msgspec.structs.replace(production, sha=package.sha, promotion_seq=2, version=2)]
    write_whole(shelf.folder / "activations.json", msgspec.json.encode(listed))
    return settings


@pytest.fixture
def changed_settings(settings: Settings) -> Settings:
    tiny_shelf(Shelf.at(settings.shelf))
    return change_contract(settings)


def test_the_stream_does_not_start(changed_settings: Settings) -> None:
    with pytest.raises(ModelRefusedError, match="contract is 000000000000"):
        run_stream(changed_settings)
    assert not changed_settings.home.joinpath("checkpoints").exists()


def test_the_nightly_run_does_not_start(changed_settings: Settings) -> None:
    with pytest.raises(ModelRefusedError, match="train it again"):
        plan_run(changed_settings, NOW, now=NOW)
    assert not changed_settings.home.joinpath("lake").exists()


def test_a_worker_keeps_the_model_that_it_can_read_and_says_why(settings: Settings) -> None:
    first = tiny_shelf(Shelf.at(settings.shelf))
    served = ServedModel(settings, lambda: NOW)
    served.refresh()
    change_contract(settings)
    served.refresh()
    assert served.production is not None
    assert served.production.activation == first
    assert served.problem is not None
    assert "contract is 000000000000" in served.problem
