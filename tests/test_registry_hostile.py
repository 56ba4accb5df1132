"""Broken and hostile models are refused, nothing in them is executed, and the last good one stays and serves."""

import gzip
import hashlib
import io
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from features.catalogue import NAMES
from registry.artifacts import check_files, check_flavours
from registry.calibration import Platt
from registry.model import cached_model
from registry.package import ModelRefusedError, Package
from registry.release import promote
from registry.staging import register, to_staging
from registry.tracking import FOLDER, RegistryError, Version
from registry.training import MODEL_NAME
from registry.trees import sizes, tree_blocks
from registry.truth import Registry
from runtime.failure import HandledError
from tests.support_registry import STRONG, STRONG_ONE, WEAK_ONE, bring, package_of, stages, version

pytest_plugins = ["tests.support_homes"]

Edit = Callable[[bytes], bytes]
LARGE = 200 * 2**20
SPARSE = 10 * 2**30
GOOD = package_of(STRONG)


def resized(text: str) -> str:
    """Write the sizes of edited trees again, so that nothing but the edit is wrong."""
    return re.sub("^tree_sizes=.*$", f"tree_sizes={sizes(list(tree_blocks(text)))}", text, flags=re.MULTILINE)


def leaves(value: str, most: int = 10**6) -> Edit:
    """Give the first leaves of every tree another value."""

    def edit(text: bytes) -> bytes:
        def line(found: re.Match[str]) -> str:
            values = found[1].split()
            return "leaf_value=" + " ".join([value] * min(most, len(values)) + values[most:])

        return resized(re.sub("^leaf_value=(.*)$", line, text.decode(), flags=re.MULTILINE)).encode()

    return edit


def turned(text: bytes) -> bytes:
    """Turn the sign of every leaf."""

    def line(found: re.Match[str]) -> str:
        return "leaf_value=" + " ".join(repr(-float(value)) for value in found[1].split())

    return resized(re.sub("^leaf_value=(.*)$", line, text.decode(), flags=re.MULTILINE)).encode()


def renamed(*names: str) -> Edit:
    return lambda text: text.replace(" ".join(NAMES).encode(), " ".join(names).encode())


def with_text(edit: Edit) -> Package:
    """Return the good model with another text, which its manifest names: only the text itself can give it away."""
    return with_other_text(edit(GOOD.text))


def with_other_text(text: bytes) -> Package:
    sha256 = hashlib.sha256(text).hexdigest()
    manifest = msgspec.structs.replace(GOOD.verified_manifest(), model_sha256=sha256)
    return Package(msgspec.json.encode(manifest), text)


def with_manifest(**fields: object) -> Package:
    return Package(msgspec.json.encode(msgspec.structs.replace(GOOD.verified_manifest(), **fields)), GOOD.text)


BROKEN = {
    "cut": with_text(lambda text: text[: len(text) // 2]),
    "flipped byte": Package(GOOD.manifest, GOOD.text[:999] + bytes([GOOD.text[999] ^ 1]) + GOOD.text[1000:]),
    "no trees": with_text(lambda text: text.partition(b"\nTree=")[0] + b"\nend of trees\n"),
    "wrong names": with_text(renamed("likes", *NAMES[1:])),
    "wrong order": with_text(renamed(NAMES[1], NAMES[0], *NAMES[2:])),
    "wrong count": with_manifest(features=NAMES[:-1]),
    "leaves that are no number": with_text(leaves("nan", most=1)),
    "infinite leaves": with_text(leaves("inf", most=1)),
    "the same for everybody": with_text(leaves("0")),
    "text of another model": Package(GOOD.manifest, GOOD.text + b"\n"),
    "other contract": with_manifest(contract="0" * 64),
    "older format": with_manifest(format=0),
    "turned sign": with_text(turned),
    "turned calibration": with_manifest(calibration=Platt(-1.0, 0.0)),
    "calibration that is no number": Package(
        re.sub(rb'"slope": ?[-0-9.e]+', b'"slope":1e999', GOOD.manifest), GOOD.text
    ),
}


class Canary:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


def zipped(name: str, data: bytes) -> bytes:
    """Return a zip with one member."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, data)
    return out.getvalue()


HOSTILE_TEXTS: dict[str, Callable[[bytes], bytes]] = {
    "pickle": lambda canary: canary,
    "gzipped pickle": gzip.compress,
    "zip with a name that climbs": lambda canary: zipped("../../canary", canary),
    "zip with an absolute name": lambda canary: zipped("/canary", canary),
}

NESTED = {
    "nested lists": b'{"format": ' + b"[" * 200_000,
    "nested objects": b'{"ranges": ' + b'{"a":' * 200_000,
    "an unknown field, nested": b'{"pickled": ' + b"[" * 200_000,
}


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """Return where something would lie if a model had been executed."""
    return tmp_path / "canary"


@pytest.fixture
def served(registry: Registry) -> Registry:
    """Return a registry with a good Production and the strong model registered as version 2."""
    bring(registry, WEAK_ONE)
    return registry


def replaced(registry: Registry, one: Version, manifest: bytes, text: bytes) -> Version:
    """Put other files in a version's place in MLflow, with a tag that agrees with them."""
    folder = files_of(registry, one)
    (folder / "manifest.json").write_bytes(manifest)
    (folder / "model.txt").write_bytes(text)
    registry.tracking.set_version_tag(one, "package_sha", hashlib.sha256(manifest).hexdigest())
    return version(registry, one.number)


def own_version(registry: Registry) -> Version:
    """Register a good model whose files this test alone has."""
    metrics = GOOD.verified_manifest().metrics | {"own": 1.0}
    return register(registry, with_manifest(metrics=metrics))


def files_of(registry: Registry, one: Version) -> Path:
    """Return the folder of a version's package in MLflow."""
    uri = registry.tracking.client.get_run(one.run_id).info.artifact_uri
    return Path(uri.removeprefix("file://")) / FOLDER


def assert_kept_out(registry: Registry, one: Version, says: str = ".") -> None:
    """Try all ways up, by force too; the version stays out and Production serves."""
    serving = registry.shelf.production()
    with pytest.raises(HandledError, match=says):
        promote(registry, one, force=True, why="test")
    with suppress(HandledError):
        assert not to_staging(registry, one).passed
    assert registry.shelf.production() == serving
    assert registry.shelf.load(serving.sha, "lightgbm").sha == serving.sha
    assert stages(registry)[one.number] == "None"
    assert stages(registry)[WEAK_ONE] == "Production"


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_model_is_refused(name: str) -> None:
    with pytest.raises(ModelRefusedError):
        cached_model(BROKEN[name], "lightgbm")


def test_no_broken_model_comes_out_of_mlflow_and_the_last_good_one_serves(served: Registry) -> None:
    one = own_version(served)
    for broken in BROKEN.values():
        assert_kept_out(served, replaced(served, one, broken.manifest, broken.text))


@pytest.mark.parametrize("size", [LARGE, SPARSE])
def test_a_model_of_too_many_bytes_is_refused_before_it_is_read(served: Registry, size: int) -> None:
    one = own_version(served)
    os.truncate(files_of(served, one) / "model.txt", size)
    assert_kept_out(served, one, f"model.txt has {size} bytes, over 64 MB")


def test_a_model_that_is_something_else_is_refused_and_not_opened(served: Registry, canary: Path) -> None:
    one = own_version(served)
    for disguise in HOSTILE_TEXTS.values():
        hostile = with_other_text(disguise(pickle.dumps(Canary(canary))))
        assert_kept_out(served, replaced(served, one, hostile.manifest, hostile.text))
    assert not canary.exists()
    pickle.loads(pickle.dumps(Canary(canary)))  # noqa: S301 - the canary is alive
    assert canary.exists()


@pytest.mark.parametrize("name", NESTED)
def test_a_manifest_of_huge_nesting_is_refused(name: str) -> None:
    with pytest.raises(ModelRefusedError, match="is broken"):
        Package(NESTED[name], GOOD.text).verified_manifest()


def test_a_link_is_not_followed(served: Registry) -> None:
    one = own_version(served)
    path = files_of(served, one) / "model.txt"
    for target in ("/dev/zero", "/etc/hostname"):
        path.unlink()
        path.symlink_to(target)
        assert_kept_out(served, one, "is no plain file")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.txt")
    with pytest.raises(ModelRefusedError, match="is no plain file"):
        check_files(tmp_path)


def test_further_files_beside_a_model_are_never_fetched(served: Registry, canary: Path) -> None:
    one = own_version(served)
    folder = files_of(served, one)
    (folder / "model.pkl").write_bytes(pickle.dumps(Canary(canary)))
    (folder / "sitecustomize.py").write_text(f"import os\nos.mkdir({str(canary)!r})\n")
    os.truncate(folder / "model.pkl", LARGE)
    package = served.tracking.package(one)
    assert package.sha == one.sha
    assert not canary.exists()


SAFE = {
    "lightgbm": {"code": None, "data": "model.lgb", "model_class": "lightgbm.basic.Booster"},
    "python_function": {"data": "model.lgb", "loader_module": "mlflow.lightgbm"},
}
HOSTILE_COPIES = {
    "pickle flavour": ("loader_module: mlflow.lightgbm", "loader_module: mlflow.sklearn"),
    "loader_module": ("loader_module: mlflow.lightgbm", "loader_module: canary"),
    "code_paths": ("code: null", "code: code"),
    "pickled class": ("model_class: lightgbm.basic.Booster", "model_class: lightgbm.sklearn.LGBMClassifier"),
    "path that climbs": ("data: model.lgb", "data: ../../model.pkl"),
}


def test_a_description_that_would_make_mlflow_run_code_is_refused(served: Registry, canary: Path) -> None:
    one = own_version(served)
    source = served.tracking.client.get_model_version(MODEL_NAME, str(one.number)).source
    location = served.tracking.client.get_logged_model(source.removeprefix("models:/")).artifact_location
    folder = Path(location.removeprefix("file://"))
    (folder / "canary.py").write_text(f"import os\nos.mkdir({str(canary)!r})\n")
    text = (folder / "MLmodel").read_text()
    for old, new in HOSTILE_COPIES.values():
        assert old in text
        (folder / "MLmodel").write_text(text.replace(old, new))
        assert_kept_out(served, one, "it would run code")
    assert not canary.exists()


def test_a_further_flavour_is_refused() -> None:
    check_flavours("x", SAFE)
    with pytest.raises(ModelRefusedError, match=r"flavours \['sklearn'\]"):
        check_flavours("x", {**SAFE, "sklearn": {"pickled_model": "model.pkl"}})


def test_a_version_that_leads_elsewhere_is_refused(served: Registry) -> None:
    good = version(served, STRONG_ONE)
    client = served.tracking.client
    made = client.create_model_version(MODEL_NAME, "/etc", good.run_id, {"package_sha": good.sha, "stage": "None"})
    assert_kept_out(served, version(served, int(made.version)), "has the source '/etc'")


def test_a_sha_is_no_path(served: Registry) -> None:
    one = own_version(served)
    for name in ("../../../../etc", "/etc/passwd", "a/../../b"):
        served.tracking.set_version_tag(one, "package_sha", name)
        with pytest.raises((ModelRefusedError, RegistryError)):
            promote(served, version(served, one.number), force=True, why="test")
    assert served.shelf.production().version == WEAK_ONE
