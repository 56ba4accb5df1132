"""The Dockerfiles copy what runs, install what is locked and leave nobody root. No engine is needed to check that."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from sys import stdlib_module_names
from typing import Any

import pytest
import yaml

from runtime.settings import ROOT
from tests.support_sources import ROOMS, modules, started_with

FILES = sorted((ROOT / "deploy").glob("Dockerfile.*"))
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
BASE = "python:3.11-slim-bookworm"
LOCKED = re.compile(r"^([A-Za-z0-9_.-]+)==", re.MULTILINE)
IMPORTED_BY_NAME = {"cli": ("cli.stream", "cli.batch", "streaming.service", "batch.job")}
"""Verbs import their rooms when they run."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of a Dockerfile."""

    word: str
    rest: str


def steps(path: Path) -> list[Step]:
    """Read a Dockerfile; comments and line breaks are gone."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [Step(*line.split(maxsplit=1)) for line in whole.splitlines() if line.strip()]


def last_stage(path: Path) -> list[Step]:
    """Return what the image is made of."""
    found = steps(path)
    starts = [index for index, step in enumerate(found) if step.word == "FROM"]
    return found[starts[-1] :]


def copied(path: Path) -> Iterator[str]:
    """Yield what is copied out of the repository."""
    for step in steps(path):
        if step.word == "COPY" and not step.rest.startswith("--from="):
            yield from step.rest.split()[:-1]


def lock_of(path: Path) -> Path:
    """Return the lock file that an image's packages come from."""
    name = {"Dockerfile.spark": "kol.lock", "Dockerfile.serve": "serve.lock"}[path.name]
    return ROOT / "locks" / name


def normal(name: str) -> str:
    """Spell a package's name the one way."""
    return re.sub(r"[-_.]+", "-", name).lower()


def entries(path: Path) -> set[str]:
    """Return the modules of ours that the services of an image start with."""
    found: set[str] = set()
    for service in SERVICES.values():
        command = service.get("command", [])
        if service.get("build", {}).get("dockerfile") == f"deploy/{path.name}" and command[:2] == ["python", "-m"]:
            found |= {command[2], *IMPORTED_BY_NAME.get(command[2], ())}
    return found


def test_each_dockerfile_is_used() -> None:
    used = {service["build"]["dockerfile"] for service in SERVICES.values() if "build" in service}
    assert used == {str(path.relative_to(ROOT)) for path in FILES}


def test_an_image_has_one_dockerfile() -> None:
    pairs = {(service["image"], service["build"]["dockerfile"]) for service in SERVICES.values() if "build" in service}
    assert len({image for image, _ in pairs}) == len({file for _, file in pairs}) == len(pairs)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_base_is_named_exactly(path: Path) -> None:
    bases = [step.rest.split()[0] for step in steps(path) if step.word == "FROM"]
    assert bases == [BASE] * len(bases)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_image_does_not_run_as_root(path: Path) -> None:
    users = [step.rest for step in last_stage(path) if step.word == "USER"]
    assert users == ["10001:10001"]
    assert any(f"useradd --uid {users[0].split(':')[0]} " in step.rest for step in last_stage(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_copied_is_there_and_gets_into_the_build(path: Path) -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert "*" in lines
    for source in copied(path):
        assert (ROOT / source).exists(), source
        assert source.split("/")[0] in allowed, source


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_packages_come_from_the_lock_by_hash(path: Path) -> None:
    installs = [line for step in steps(path) for line in step.rest.split("&&") if "pip install" in line]
    assert str(lock_of(path).relative_to(ROOT)) in set(copied(path))
    for line in installs:
        assert "--require-hashes" in line
        assert {word.removeprefix("/") for word in line.split() if word.endswith(".lock")} <= set(copied(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_installer_is_left(path: Path) -> None:
    removed = [line.split() for step in steps(path) for line in step.rest.split("&&") if "pip uninstall" in line]
    assert len(removed) == 2, "one from the environment, one from the base"
    assert all({"pip", "setuptools"} <= set(words) for words in removed)
    assert not any("pip install" in step.rest for step in last_stage(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_commands_are_lists_of_words(path: Path) -> None:
    commands = [step.rest for step in last_stage(path) if step.word in {"CMD", "ENTRYPOINT"}]
    assert len(commands) == 1
    assert commands[0].startswith("[")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_room_that_runs_is_copied(path: Path) -> None:
    needed = {name.split(".")[0] for name in started_with(*entries(path)) if name in modules()}
    assert needed
    assert needed <= set(copied(path)) & set(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_package_that_runs_is_locked(path: Path) -> None:
    locked = {normal(name) for name in LOCKED.findall(lock_of(path).read_text())}
    others = {name for name in started_with(*entries(path)) if name not in modules()} - stdlib_module_names
    owners = packages_distributions()
    missing = {name for name in others if not locked & {normal(owner) for owner in owners.get(name, ())}}
    assert others
    assert not missing


def test_the_api_brings_no_java_no_spark_and_no_mlflow() -> None:
    serve = ROOT / "deploy" / "Dockerfile.serve"
    locked = {normal(name) for name in LOCKED.findall(lock_of(serve).read_text())}
    assert not locked & {"pyspark", "delta-spark", "mlflow", "mlflow-skinny"}
    assert "jre" not in serve.read_text()
    assert not {"batch", "streaming", "cli"} & set(copied(serve))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_folder_that_a_service_mounts_belongs_to_its_user(path: Path) -> None:
    made = {word for step in last_stage(path) if "install -d -o kol" in step.rest for word in step.rest.split()}
    for name, service in SERVICES.items():
        if service.get("build", {}).get("dockerfile") == f"deploy/{path.name}":
            mounts = [mount.split(":")[1] for mount in service.get("volumes", ())]
            scratch = [mount.split(":")[0] for mount in service.get("tmpfs", ())]
            assert set(mounts) | set(scratch) - {"/tmp"} <= made, name  # noqa: S108 - inside the container
