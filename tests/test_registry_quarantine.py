"""A model is first read by a child with limits: what breaks or holds up the child is refused, and hurts nobody else."""

import resource
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from registry import quarantine
from registry.model import unpack
from registry.package import ModelRefusedError, Package
from registry.quarantine import MOST_CPU_SECONDS, MOST_MEMORY_BYTES, look_at
from runtime.settings import ROOT
from tests.support_ensemble import small_ensemble, with_text
from tests.support_model import tiny_package
from tests.test_registry_hostile import BROKEN

DEEP = "[" * 100_000
LIMITS = (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_CORE)

# Takes the limits of the child, then does what a reader may be brought to do.
STRAYING = {
    "memory": ("bytearray(2**33)", "MemoryError"),
    "crash": ("__import__('ctypes').string_at(0)", "SIGSEGV"),
}


@pytest.mark.parametrize("package", [tiny_package(), small_ensemble()], ids=["lightgbm", "ensemble"])
def test_a_good_model_passes_and_is_looked_at_once(package: Package) -> None:
    quarantine._refusal.cache_clear()
    look_at(package)
    look_at(package)
    assert quarantine._refusal.cache_info().hits == 1


def test_a_model_that_is_refused_in_good_order_is_left_to_whoever_reads_it() -> None:
    broken = BROKEN["wrong order"]
    look_at(broken)
    with pytest.raises(ModelRefusedError):
        unpack(broken, "lightgbm")


def test_a_model_that_ends_the_child_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The interpreter of the child is made to crash at its start: a reader that crashes looks the same from outside."""
    (tmp_path / "sitecustomize.py").write_text("__import__('ctypes').string_at(0)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    quarantine._refusal.cache_clear()
    with pytest.raises(ModelRefusedError, match="SIGSEGV"):
        look_at(tiny_package())
    quarantine._refusal.cache_clear()


@pytest.mark.parametrize("name", STRAYING)
def test_a_child_that_goes_astray_ends_by_its_limits(name: str) -> None:
    what, says = STRAYING[name]
    code = f"from registry.quarantine import limit; limit(); {what}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=False)
    assert done.returncode != 0
    assert says in quarantine._end(done)


def test_the_limits_are_those_of_the_child_and_not_of_this_process() -> None:
    code = (
        "import json, resource as r; from registry.quarantine import limit; limit(); "
        "print(json.dumps([r.getrlimit(k)[0] for k in (r.RLIMIT_AS, r.RLIMIT_CPU, r.RLIMIT_CORE)]))"
    )
    before = [resource.getrlimit(kind) for kind in LIMITS]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=True)
    assert msgspec.json.decode(done.stdout) == [MOST_MEMORY_BYTES, MOST_CPU_SECONDS, 0]
    look_at(tiny_package())
    assert [resource.getrlimit(kind) for kind in LIMITS] == before


@pytest.mark.parametrize(
    "text",
    [
        '{"xgboost": ' + DEEP,
        '{"stacking": {"odd": ' + DEEP,
        small_ensemble().text.decode().replace('"learner":{', '"learner":{"odd":' + DEEP + "]" * len(DEEP) + ",", 1),
    ],
    ids=["xgboost", "stacking", "in xgboost's document"],
)
def test_an_ensemble_of_huge_nesting_is_refused(text: str) -> None:
    with pytest.raises(ModelRefusedError, match="cannot be used"):
        unpack(with_text(text), "lightgbm")
    look_at(with_text(text))


def test_whoever_reads_the_shelf_asks_no_child() -> None:
    code = "import sys, registry.shelf, registry.model, serving.server; assert 'registry.quarantine' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
