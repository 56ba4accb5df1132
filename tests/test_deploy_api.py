"""API and view keeper as docker-compose.yml runs them: two processes that only share the views."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from registry.shelf import Shelf
from runtime.processes import free_port
from runtime.processes import running as running_process
from runtime.settings import ROOT, Settings, environment_of
from serving.keeper_guard import NAME as KEEPER
from tests.conftest import NewSettings
from tests.support_http import Client
from tests.support_model import tiny_shelf
from tests.support_views import a_score, from_batch, publish_table, score_table
from tests.test_serving_keeper import eventually

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


@contextmanager
def container(name: str, settings: Settings) -> Iterator[None]:
    """Run a service's command as a process; it must end well."""
    command = [sys.executable, *SERVICES[name]["command"][1:]]
    with (settings.home / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment_of(settings), cwd=ROOT, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        code = process.wait(timeout=25)
    assert code == 0, (settings.home / f"{name}.log").read_text()


def answers(client: Client, path: str, status: int) -> bool:
    """Tell whether the server answers with that status; not yet listening is no answer."""
    try:
        return client.get(path).status == status
    except OSError:
        return False


def test_the_api_answers_from_the_views_of_a_keeper_that_is_not_its_own(new_settings: NewSettings) -> None:
    settings = new_settings(api_port=free_port())
    tiny_shelf(Shelf.at(settings.shelf))
    publish_table(settings, score_table([from_batch(a_score())]))
    client = Client(settings.api_port)
    with container("api", settings):
        eventually(lambda: answers(client, "/readyz", 503))
        with container("keeper", settings):
            eventually(lambda: answers(client, "/readyz", 200))
            assert client.get("/kols/twitter:nasa/trust").json["prediction_source"] == "batch"
            assert running_process(settings, KEEPER) is None, "the API started a keeper of its own"
        assert client.get("/kols/twitter:nasa/trust").status == 200, "answers outlive the keeper"
