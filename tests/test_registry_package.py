"""A package is refused when it is broken, for another contract, or scores the wrong way round."""

import hashlib
import re
from collections.abc import Callable

import msgspec
import pytest

from features.catalogue import NAMES
from features.profile import Profiles
from features.reference import TRUSTWORTHY, UNTRUSTWORTHY
from registry.model import unpack
from registry.package import MOST_MODEL_BYTES, ModelRefusedError, Package
from registry.trees import sizes, tree_blocks
from tests.support_model import tiny_package

SWAPPED = ("log_following", "log_followers", *NAMES[2:])


def changed(**fields: object) -> Package:
    """Return the tiny package with other facts in its manifest."""
    package = tiny_package()
    manifest = msgspec.structs.replace(package.verified_manifest(), **fields)
    return Package.of(manifest, package.text.decode())


def with_text(text: str) -> Package:
    """Return the tiny package with another text, with which its manifest agrees."""
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return Package.of(msgspec.structs.replace(tiny_package().verified_manifest(), model_sha256=sha256), text)


def with_leaves(edit: Callable[[float], float], most: int = 0) -> Package:
    """Return the tiny package with other values of the first `most` leaves of each tree; 0 = all."""

    def edited(line: re.Match[str]) -> str:
        values = [float(value) for value in line[1].split()]
        return "leaf_value=" + " ".join(
            repr(edit(value) if not most or place < most else value) for place, value in enumerate(values)
        )

    text = re.sub("^leaf_value=(.*)$", edited, tiny_package().text.decode(), flags=re.MULTILINE)
    return with_text(
        re.sub("^tree_sizes=.*$", f"tree_sizes={sizes(list(tree_blocks(text)))}", text, flags=re.MULTILINE)
    )


def test_a_package_is_named_by_all_of_its_content() -> None:
    package = tiny_package()
    assert len({package.sha, changed(synthetic=False).sha, changed(metrics={}).sha, tiny_package(2).sha}) == 4
    assert Package.of(package.verified_manifest(), package.text.decode()).sha == package.sha


def test_a_flipped_byte_in_the_text_is_refused() -> None:
    package = tiny_package()
    middle = len(package.text) // 2
    text = package.text[:middle] + bytes([package.text[middle] ^ 1]) + package.text[middle + 1 :]
    with pytest.raises(ModelRefusedError, match="not the one its manifest names"):
        Package(package.manifest, text).verified_manifest()


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        (b"", "is broken"),
        (b"[]", "is broken"),
        (b"\x80\x04\x95pickle", "is broken"),
        (tiny_package().manifest[:-20], "is broken"),
        (tiny_package().manifest.replace(b'"synthetic"', b'"code_paths"'), "is broken"),
        (tiny_package().manifest.replace(b'"slope": 1.0', b'"slope": -1.0'), "slope must be > 0"),
        (tiny_package().manifest.replace(b'"slope": 1.0', b'"slope": 0.0'), "slope must be > 0"),
    ],
)
def test_a_broken_manifest_is_refused(manifest: bytes, says: str) -> None:
    with pytest.raises(ModelRefusedError, match=says):
        Package(manifest, tiny_package().text).verified_manifest()


@pytest.mark.parametrize(
    ("package", "says"),
    [
        (changed(features=SWAPPED), "reads 'log_following' at position 0, here it is 'log_followers'"),
        (changed(features=NAMES[:-1]), "reads 28 features, here are 29"),
        (changed(contract="0" * 64), "contract is 000000000000, here it is"),
        (changed(format=2), "has format 2, this version reads 1"),
        (changed(ranges={"likes": (0.0, 1.0)}), "ranges of .'likes'., which are no raw columns"),
    ],
)
def test_a_model_for_other_features_is_refused_with_the_first_difference(package: Package, says: str) -> None:
    with pytest.raises(ModelRefusedError, match=says):
        unpack(package)


def test_a_text_that_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(ModelRefusedError, match="over 64 MB"):
        Package(tiny_package().manifest, b"0" * (MOST_MODEL_BYTES + 1)).verified_manifest()


def test_a_model_whose_sign_is_turned_around_is_refused() -> None:
    with pytest.raises(ModelRefusedError, match="its sign is turned around"):
        unpack(with_leaves(lambda value: -value))


def test_a_model_that_says_the_same_of_everybody_is_refused() -> None:
    with pytest.raises(ModelRefusedError, match="its sign is turned around"):
        unpack(with_leaves(lambda _value: 0.0))


@pytest.mark.parametrize(
    ("value", "says"),
    [(float("nan"), "no multiple of"), (float("inf"), "can reach inf"), (0.1, "no multiple of"), (16.0, "can reach")],
)
def test_leaves_that_do_not_add_up_exactly_are_refused(value: float, says: str) -> None:
    with pytest.raises(ModelRefusedError, match=says):
        unpack(with_leaves(lambda _value: value, most=1), "lightgbm")


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda text: text.replace("log_followers log_following", "log_following log_followers"), "other features"),
        (lambda text: text.replace(" verified\n", "\n"), "other features"),
        (lambda text: text[: len(text) // 2], "is cut"),
        (lambda text: text.partition("\nTree=")[0] + "\nend of trees\n", "cannot be used"),
        (lambda text: text.replace("num_class=1", "num_class=2"), "num_class=1 is needed"),
        (lambda _text: "", "other features"),
    ],
    ids=["swapped", "28 names", "cut", "no trees", "two classes", "empty"],
)
def test_broken_trees_are_refused_although_the_hash_is_right(edit: Callable[[str], str], says: str) -> None:
    with pytest.raises(ModelRefusedError, match=says):
        unpack(with_text(edit(tiny_package().text.decode())), "lightgbm")


def test_a_text_that_is_not_utf8_is_refused() -> None:
    text = b"tree\xff\n"
    manifest = msgspec.structs.replace(
        tiny_package().verified_manifest(), model_sha256=hashlib.sha256(text).hexdigest()
    )
    with pytest.raises(ModelRefusedError, match="cannot be used"):
        unpack(Package(msgspec.json.encode(manifest), text))


def test_a_model_is_the_same_in_any_process_that_unpacks_it() -> None:
    profiles = Profiles.of_rows([TRUSTWORTHY.values(), UNTRUSTWORTHY.values()])
    first, second = (unpack(tiny_package()).score(profiles) for _ in range(2))
    assert first.margins.tobytes() == second.margins.tobytes()


def test_values_outside_the_training_ranges_are_named() -> None:
    low, high = tiny_package().verified_manifest().ranges["account_age_days"]
    rows = [(*TRUSTWORTHY.values()[:4], age, *TRUSTWORTHY.values()[5:]) for age in (low, high, high + 1)]
    scored = unpack(tiny_package()).score(Profiles.of_rows(rows))
    assert [scored.out_of_range(row) for row in range(3)] == [(), (), ("account_age_days",)]


def test_an_unknown_value_is_outside_nothing() -> None:
    unknown = (100, 100, 100, None, 100, None, None, None, None, None)
    assert unpack(tiny_package()).score(Profiles.of_rows([unknown])).out_of_range(0) == ()
