"""MLflow's pages open on this registry, lean and for this machine only; without MLflow the layers start anyway."""

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cli.mlflow import server_command
from registry.shelf import Shelf
from registry.training import MODEL_NAME
from runtime.processes import free_port
from runtime.settings import ROOT, Settings, environment_of
from tests.conftest import NewSettings
from tests.support_cli import kol
from tests.support_model import tiny_shelf

pytest_plugins = ["tests.support_homes"]

PROFILES = str(ROOT / "docs" / "examples" / "profiles.csv")


def get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310 - our own server
        return str(answer.read().decode())


@pytest.fixture
def pages(filled: Settings) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Run `./kol mlflow` on a registry with four versions, until it says where it is."""
    port = free_port()
    words = [sys.executable, "-m", "cli", "mlflow", "--port", str(port)]
    with subprocess.Popen(
        words, cwd=ROOT, env=environment_of(filled), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        yield process, port
        process.terminate()
        process.wait(timeout=30)


def test_the_pages_show_the_model_and_end_with_the_verb(pages: tuple["subprocess.Popen[str]", int]) -> None:
    process, port = pages
    assert process.stderr is not None
    told = [process.stderr.readline()]
    while "the model:" not in told[-1]:
        assert told[-1], f"it ended: {told}"
        told.append(process.stderr.readline())
    assert f"MLflow on http://127.0.0.1:{port}" in told[-2]
    assert told[-1].strip().endswith(f"/#/models/{MODEL_NAME}")
    found = get(f"http://127.0.0.1:{port}/api/2.0/mlflow/registered-models/get?name={MODEL_NAME}")
    assert '"version": "4"' in found
    assert "<html" in get(f"http://127.0.0.1:{port}/")
    below = psutil.Process(process.pid).children(recursive=True)
    assert len(below) <= 4
    listening = {
        connection.laddr.ip
        for child in below
        for connection in child.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    assert not psutil.wait_procs(below, timeout=10)[1]


def test_the_server_is_lean(settings: Settings) -> None:
    command = " ".join(server_command(settings, 5_001))
    assert "--host 127.0.0.1 --port 5001 --workers 1" in command
    assert f"--backend-store-uri sqlite:///{settings.home}/mlflow/mlflow.db" in command


def test_a_registry_with_a_server_of_its_own_is_pointed_to() -> None:
    ran = kol("--set", "mlflow_uri=http://mlflow.example:5000/", "mlflow")
    assert ran.code == 0
    assert f"http://mlflow.example:5000/#/models/{MODEL_NAME}" in ran.err


@pytest.fixture
def unreachable(new_settings: NewSettings) -> Settings:
    """Return settings whose MLflow is a port on which nobody listens."""
    return new_settings(mlflow_uri=f"http://127.0.0.1:{free_port()}")


def test_without_mlflow_the_verbs_of_models_say_so(unreachable: Settings) -> None:
    ran = kol("--set", f"mlflow_uri={unreachable.mlflow_uri}", "model", "list", settings=unreachable)
    assert ran.code == 1
    assert f"error: MLflow at {unreachable.mlflow_uri}: " in ran.err


def test_without_mlflow_scoring_starts_from_the_shelf(unreachable: Settings, tmp_path: Path) -> None:
    tiny_shelf(Shelf.at(unreachable.shelf))
    out = tmp_path / "scores.csv"
    words = ("--set", f"mlflow_uri={unreachable.mlflow_uri}", "score", PROFILES, "--out", str(out))
    ran = kol(*words, settings=unreachable)
    assert (ran.code, out.exists()) == (0, True), ran.err


def test_without_mlflow_and_without_a_shelf_scoring_stops_by_name(unreachable: Settings, tmp_path: Path) -> None:
    words = ("--set", f"mlflow_uri={unreachable.mlflow_uri}", "score", PROFILES, "--out", str(tmp_path / "scores.csv"))
    ran = kol(*words, settings=unreachable)
    assert ran.code == 1
    assert "is in Production; take the one that comes with the code (./kol model register bundled)" in ran.err
