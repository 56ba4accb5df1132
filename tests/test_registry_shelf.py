"""The shelf holds whole, verified models, and knows which one is in Production from when on."""

from pathlib import Path

import msgspec
import pytest

from registry.package import MANIFEST, TEXT, ModelRefusedError, Package
from registry.shelf import Activation, Shelf, ShelfError, read_package
from tests.support_model import tiny_package, tiny_shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf.at(tmp_path / "models")


def activation(sha: str, seq: int) -> Activation:
    return Activation(sha, seq, "trust-score-lightgbm-optuna", seq, "2026-01-01T00:00:00.000000Z")


def test_what_is_put_is_loaded_with_the_same_scores(shelf: Shelf) -> None:
    sha = shelf.put(tiny_package())
    assert shelf.load(sha).sha == sha == tiny_package().sha
    assert list(shelf) == [sha]


def test_putting_a_model_again_changes_nothing(shelf: Shelf) -> None:
    sha = shelf.put(tiny_package())
    before = (shelf.folder / sha / TEXT).stat().st_mtime_ns
    assert shelf.put(tiny_package()) == sha
    assert (shelf.folder / sha / TEXT).stat().st_mtime_ns == before


def test_a_broken_package_does_not_get_on_the_shelf(shelf: Shelf) -> None:
    with pytest.raises(ModelRefusedError, match="not the one its manifest names"):
        shelf.put(Package(tiny_package().manifest, tiny_package().text[:-1]))
    assert list(shelf) == []


def test_a_byte_that_flips_on_the_shelf_is_noticed(shelf: Shelf) -> None:
    sha = shelf.put(tiny_package())
    path = shelf.folder / sha / TEXT
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(ModelRefusedError, match="not the one its manifest names"):
        shelf.load(sha)


def test_a_model_under_another_name_is_refused(shelf: Shelf) -> None:
    sha, other = shelf.put(tiny_package(1)), shelf.put(tiny_package(2))
    (shelf.folder / sha / MANIFEST).write_bytes((shelf.folder / other / MANIFEST).read_bytes())
    with pytest.raises(ModelRefusedError, match=f"is {other[:12]}"):
        shelf.load(sha)


def test_an_empty_shelf_says_what_to_run(shelf: Shelf) -> None:
    with pytest.raises(ShelfError, match="kol model register bundled"):
        shelf.production()


def test_a_model_that_is_not_there_is_named(shelf: Shelf) -> None:
    with pytest.raises(ShelfError, match=r"no model in .*/abc"):
        shelf.load("abc")


def test_the_last_activation_is_in_force_and_the_earlier_ones_are_kept(shelf: Shelf) -> None:
    first = tiny_shelf(shelf, seed=1, promotion_seq=1)
    second = tiny_shelf(shelf, seed=2, promotion_seq=2)
    assert shelf.production() == second
    assert shelf.activations() == (first, second)
    assert second.maker().model_version == "trust-score-lightgbm-optuna-Production-v2"


def test_the_same_activation_again_changes_nothing(shelf: Shelf) -> None:
    one = tiny_shelf(shelf)
    shelf.activate(one)
    assert shelf.activations() == (one,)


def test_an_older_promotion_is_refused(shelf: Shelf) -> None:
    one = tiny_shelf(shelf, promotion_seq=3)
    with pytest.raises(ShelfError, match="promotion 2 is not newer than 3"):
        shelf.activate(activation(shelf.put(tiny_package(2)), 2))
    assert shelf.production() == one


def test_only_a_model_on_the_shelf_is_activated(shelf: Shelf) -> None:
    with pytest.raises(ShelfError, match="no model in"):
        shelf.activate(activation("0" * 64, 1))
    assert shelf.activations() == ()


def test_a_half_written_model_is_no_model(shelf: Shelf) -> None:
    aside = shelf.folder / ".abc.1"
    aside.mkdir()
    (aside / MANIFEST).write_bytes(tiny_package().manifest)
    assert list(shelf) == []


def test_activations_with_unknown_fields_are_refused(shelf: Shelf) -> None:
    tiny_shelf(shelf)
    path = shelf.folder / "activations.json"
    path.write_bytes(path.read_bytes().replace(b'"version"', b'"wersion"'))
    with pytest.raises(msgspec.ValidationError):
        shelf.activations()


def test_the_folder_that_train_prints_is_read_as_a_package(shelf: Shelf) -> None:
    sha = shelf.put(tiny_package())
    assert read_package(shelf.folder / sha) == tiny_package()


def test_a_file_too_large_to_be_a_model_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(b"{}")
    with (tmp_path / "model.txt").open("wb") as file:
        file.truncate(200 * 2**20)
    with pytest.raises(ModelRefusedError, match="209715200 bytes"):
        read_package(tmp_path)
