"""The server as people start it: without Spark and MLflow, on a free port, with workers and keeper that end with it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from registry.shelf import Shelf
from runtime.processes import running as running_process
from runtime.settings import ROOT, Settings, environment_of, load_settings
from serving.keeper_guard import NAME as KEEPER
from serving.server import PortTakenError, listen
from tests.conftest import NewSettings
from tests.support_http import Client
from tests.support_model import tiny_package, tiny_shelf
from tests.support_views import a_score, from_batch, publish_table, score_table
from tests.test_serving_keeper import eventually

LOADED = "import sys, serving.server, serving.keeper; print(sorted({name.partition('.')[0] for name in sys.modules}))"


def test_the_server_starts_without_spark_and_mlflow() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(json.loads(done.stdout.replace("'", '"')))
    assert "uvicorn" in loaded
    assert not loaded & {"pyspark", "mlflow", "delta", "py4j"}


def test_settings_survive_the_way_through_the_environment(new_settings: NewSettings) -> None:
    given = new_settings(kafka_options={"sasl.mechanism": "PLAIN", "x": 'a "secret"'}, api_port=0, engine="lightgbm")
    found = subprocess.run(
        [sys.executable, "-c", "from runtime.settings import load_settings as l; print(l().model_dump_json())"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment_of(given),
    )
    assert found.stdout.strip() == given.model_dump_json()
    assert 'a \\"secret\\"' in environment_of(given)["KOL_KAFKA_OPTIONS"]


def test_a_taken_port_is_refused_when_it_was_asked_for(new_settings: NewSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortTakenError, match="--port"):
        listen(new_settings(api_port=taken.getsockname()[1]))


def test_the_next_free_port_is_taken_when_nobody_asked(settings: Settings) -> None:
    with listen(settings) as first, listen(settings) as second:
        assert second.getsockname()[1] > first.getsockname()[1] >= load_settings().api_port


@contextmanager
def serving(settings: Settings) -> Iterator[tuple["subprocess.Popen[bytes]", Client]]:
    """Run the server as a process, wait until it can answer, and end it cleanly."""
    log = settings.home / "api.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "serving.server"]
        server = subprocess.Popen(command, env=environment_of(settings), cwd=ROOT, stderr=out, stdout=out)
    try:
        eventually(lambda: b'"url"' in log.read_bytes())
        first = json.loads(log.read_text().splitlines()[0])
        client = Client(int(first["url"].rpartition(":")[2]))
        eventually(lambda: client.get("/readyz").status == 200)
        yield server, client
    finally:
        server.terminate()
        code = server.wait(timeout=25)
    assert code == 0, log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def ready(new_settings: NewSettings) -> Settings:
    """Return a home with a model and a published run."""
    settings = new_settings(api_port=0)
    tiny_shelf(Shelf.at(settings.shelf))
    publish_table(settings, score_table([from_batch(a_score())]))
    return settings


@pytest.fixture(scope="module")
def client(ready: Settings) -> Iterator[Client]:
    """Run a server of one worker for the tests that only use it."""
    with serving(ready) as (_, opened):
        yield opened
    assert running_process(ready, KEEPER) is None


def is_gone(pid: int) -> bool:
    """Tell whether a process ended; one that nobody waited for yet did, too."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_two_workers_and_the_keeper_answer_count_and_end_together(new_settings: NewSettings) -> None:
    settings = new_settings(api_port=0, api_workers=2)
    tiny_shelf(Shelf.at(settings.shelf))
    publish_table(settings, score_table([from_batch(a_score())]))
    with serving(settings) as (server, client):
        assert client.get("/kols/twitter:nasa/trust").json["prediction_source"] == "batch"
        family = [child.pid for child in psutil.Process(server.pid).children(recursive=True)]
        assert (running_process(settings, KEEPER) is not None, len(family) >= 3) == (True, True)
        assert [client.get("/livez").status for _ in range(20)] == [200] * 20
        counted = client.get("/metrics").body.decode()
        assert 'kol_requests_total{method="GET",route="/livez",status="200"} 20.0' in counted
    assert all(map(is_gone, family))


def test_a_killed_worker_is_started_again_while_the_other_answers(new_settings: NewSettings) -> None:
    settings = new_settings(api_port=0, api_workers=2)
    tiny_shelf(Shelf.at(settings.shelf))
    publish_table(settings, score_table([from_batch(a_score())]))
    with serving(settings) as (server, client):
        workers = [child for child in psutil.Process(server.pid).children() if "serving.workers" in child.cmdline()]
        workers[0].kill()
        eventually(lambda: is_gone(workers[0].pid))
        assert client.get("/kols/twitter:nasa/trust").status == 200
        eventually(lambda: len(running_children(server.pid)) == 3)


def running_children(pid: int) -> list[int]:
    """Return the pids of the workers and the keeper."""
    return [child.pid for child in psutil.Process(pid).children() if not is_gone(child.pid)]


def test_a_killed_keeper_is_started_again(ready: Settings, client: Client) -> None:
    first = running_process(ready, KEEPER)
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: (running_process(ready, KEEPER) or first).pid != first.pid)
    assert client.get("/kols/twitter:nasa/trust").status == 200


def test_a_promotion_reaches_a_running_worker_within_two_seconds(ready: Settings, client: Client) -> None:
    tiny_package(2)
    second = tiny_shelf(Shelf.at(ready.shelf), 2, 2)
    started = time.monotonic()
    eventually(lambda: client.get("/kols/twitter:nasa/trust").json["model_sha"] == second.sha)
    assert time.monotonic() - started < 2
