"""With an MLflow that hangs, is locked or broken, the layers start from the shelf; the verbs that need it say so."""

import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from registry.mlflow_environment import DEFAULTS
from registry.shelf import Shelf
from registry.tracking import DATABASE, RegistryError, open_tracking
from runtime.settings import ROOT, Settings
from tests.conftest import NewSettings
from tests.support_model import tiny_shelf
from tests.support_views import a_score, from_batch, publish_table, score_table
from tests.test_serving_server import serving

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LOADED = "import sys, batch.nightly, streaming.service, serving.server; assert 'mlflow' not in sys.modules"
MOST_SECONDS_WITHOUT_ANSWER = 30


@pytest.fixture
def hole() -> Iterator[socket.socket]:
    """Listen on a port, and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.fixture
def hanging(new_settings: NewSettings, hole: socket.socket) -> Settings:
    """Return settings whose MLflow takes a connection and never answers, with a model on the shelf."""
    settings = new_settings(api_port=0, mlflow_uri=f"http://127.0.0.1:{hole.getsockname()[1]}")
    tiny_shelf(Shelf.at(settings.shelf))
    return settings


def assert_nobody_came(hole: socket.socket) -> None:
    """Check that no connection waits to be accepted."""
    with pytest.raises(BlockingIOError):
        hole.accept()


def test_a_registry_that_hangs_is_given_up_after_seconds_by_name(
    hanging: Settings, hole: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    started = time.monotonic()
    with pytest.raises(RegistryError, match=f"MLflow at {hanging.mlflow_uri}: .*timed out"):
        open_tracking(hanging, ())
    assert time.monotonic() - started < MOST_SECONDS_WITHOUT_ANSWER
    hole.accept()[0].close()


def test_the_limits_that_we_give_mlflow_are_seconds() -> None:
    tries = 1 + int(DEFAULTS["MLFLOW_HTTP_REQUEST_MAX_RETRIES"])
    assert tries * int(DEFAULTS["MLFLOW_HTTP_REQUEST_TIMEOUT"]) <= MOST_SECONDS_WITHOUT_ANSWER


def test_a_file_that_is_no_database_is_named(settings: Settings) -> None:
    path = settings.home / "mlflow" / DATABASE
    path.parent.mkdir()
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(RegistryError, match=f"{DATABASE}: file is not a database"):
        open_tracking(settings, ())


def test_a_locked_database_is_given_up_after_seconds_by_name(settings: Settings) -> None:
    open_tracking(settings, ())
    path = settings.home / "mlflow" / DATABASE
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        with pytest.raises(RegistryError, match=f"{DATABASE}: .*database is locked"):
            open_tracking(settings, ())
    assert time.monotonic() - started < MOST_SECONDS_WITHOUT_ANSWER


def test_no_layer_loads_mlflow() -> None:
    subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, check=True)


def test_the_api_starts_and_answers_from_the_shelf(hanging: Settings, hole: socket.socket) -> None:
    publish_table(hanging, score_table([from_batch(a_score())]))
    with serving(hanging) as (_, client):
        assert client.get("/kols/twitter:nasa/trust").json["prediction_source"] == "batch"
    assert_nobody_came(hole)


@pytest.mark.jvm
def test_a_night_runs_from_the_shelf(spark: "SparkSession", hanging: Settings, hole: socket.socket) -> None:
    from batch.nightly import run_nightly
    from batch.plan import plan_run
    from tests.test_batch_nightly import CUTOFF, expected_newest, history, write_log

    events = history(seed=5)
    write_log(hanging, events)
    report = run_nightly(spark, hanging, plan_run(hanging, CUTOFF, now=datetime.now(UTC)))
    assert report.rows_out == len(expected_newest(events))
    assert_nobody_came(hole)
