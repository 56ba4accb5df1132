"""The doctor: well on a fresh machine, and each thing that is wrong is found, with its cause and one command."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from cli.doctor import machine
from cli.doctor.data import data_checks, look_at_publication, look_at_table, look_at_views
from cli.doctor.finding import Check, Found, examine
from cli.doctor.machine import look_at_clock, look_at_disk, look_at_java, look_at_memory, look_at_openmp
from cli.doctor.models import look_at_direction, look_at_registry
from cli.doctor.parts import look_at_jars, look_at_kafka, look_at_mlflow, look_at_port, look_at_services
from cli.doctor.verb import all_checks, diagnose
from features.instant import format_instant
from registry.package import Manifest, Package
from registry.release import promote
from registry.shelf import Activation, Shelf
from registry.staging import register
from registry.truth import open_registry
from runtime.broker import Broker
from runtime.java import JavaError
from runtime.lake import TABLES, TRUST_SCORES
from runtime.processes import start, stop
from runtime.settings import Settings
from runtime.tables import create_tables
from runtime.topics import create_topics
from tests.conftest import NewSettings
from tests.support_cli import kol
from tests.support_model import tiny_package, tiny_shelf
from tests.support_views import a_score, fill_views, publish_table, score_table


def test_a_fresh_machine_has_notes_and_no_failure(settings: Settings) -> None:
    ended = kol("doctor", "--json", settings=settings)
    found = {finding["check"]: finding["status"] for finding in ended.json["findings"]}
    assert (ended.code, ended.json["ok"]) == (0, True)
    assert {found[name] for name in ("registry", "score direction", "views", "table events", "kafka")} == {"note"}
    assert {found[name] for name in ("java", "openmp", "jars", "clock", "mlflow")} == {"ok"}
    assert sorted(path.name for path in settings.home.iterdir()) == ["jars", "models"]


def test_every_finding_that_is_not_well_names_one_command(settings: Settings) -> None:
    tiny_shelf(Shelf.at(settings.shelf))
    for finding in diagnose(settings, all_checks()):
        if finding.status in {"warn", "fail"}:
            assert finding.cause
            assert finding.mend


def test_a_failure_is_exit_code_1_with_cause_and_command(settings: Settings) -> None:
    write_deltalake(TRUST_SCORES.uri(settings), pa.table({"kol_id": ["a"]}))
    ended = kol("doctor", "--json", settings=settings)
    [failed] = [finding for finding in ended.json["findings"] if finding["status"] == "fail"]
    assert (ended.code, ended.json["ok"], failed["check"]) == (1, False, "table trust_scores")
    assert "no hundredths" in failed["cause"]
    assert failed["mend"].endswith("./kol batch run")


def test_no_check_takes_the_others_along(settings: Settings) -> None:
    def breaks(_: Settings) -> Found:
        raise ZeroDivisionError("by zero")

    checks = [Check("broken", breaks, "mend it"), Check("fine", lambda _: Found.ok("yes"), "-")]
    broken, fine = diagnose(settings, checks)
    assert (broken.status, broken.found, broken.mend) == ("fail", "ZeroDivisionError: by zero", "mend it")
    assert fine.status == "ok"


def test_an_expected_error_is_the_cause(settings: Settings) -> None:
    def refuses(_: Settings) -> Found:
        raise JavaError("no java here")

    assert examine(Check("java", refuses, "./kol setup"), settings).cause == "no java here"


def test_java_is_named_with_version_and_vendor(settings: Settings) -> None:
    assert look_at_java(settings).found.split()[1].startswith(("17.", "21."))


def test_without_java_the_command_brings_one(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setattr("runtime.java.bundled_java", lambda: None)
    [finding] = diagnose(settings, [check for check in all_checks() if check.name == "java"])
    assert (finding.status, finding.mend) == ("fail", "./kol setup --bundled-java")
    assert "does not run" in (finding.cause or "")


def test_openmp_is_loadable(settings: Settings) -> None:
    assert look_at_openmp(settings).status == "ok"


@pytest.mark.parametrize(("used_gb", "status"), [(1, "warn"), (2.5, "fail")])
def test_the_containers_limit_counts(
    used_gb: float, status: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory.max").write_text(f"{3 * machine.GB}\n")
    (tmp_path / "memory.current").write_text(f"{int(used_gb * machine.GB)}\n")
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    assert look_at_memory(settings).status == status


def test_no_limit_is_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1\n")
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    assert machine.container_free() == float("inf")


def test_the_disk_of_a_home_that_is_not_there_yet_is_known(new_settings: NewSettings, tmp_path: Path) -> None:
    assert "GB free" in look_at_disk(new_settings(home=tmp_path / "a" / "b")).found


def test_a_clock_behind_what_was_written_is_found(settings: Settings) -> None:
    activation = tiny_shelf(Shelf.at(settings.shelf))
    assert look_at_clock(settings).status == "ok"
    in_an_hour = format_instant(datetime.now(UTC) + timedelta(hours=1))
    ahead = msgspec.structs.replace(activation, promotion_seq=2, effective_from=in_an_hour)
    Shelf.at(settings.shelf).activate(ahead)
    found = look_at_clock(settings)
    assert (found.status, found.mend) == ("fail", "timedatectl set-ntp true")
    assert "promotion 2" in (found.cause or "")


def test_a_changed_jar_is_found(new_settings: NewSettings, jars_home: Path, tmp_path: Path) -> None:
    (tmp_path / "jars").mkdir()
    for jar in jars_home.glob("*.jar"):
        (tmp_path / "jars" / jar.name).symlink_to(jar)
    changed = tmp_path / "jars" / "lz4-java-1.11.2.jar"
    changed.unlink()
    changed.write_bytes(b"not a jar")
    found = look_at_jars(new_settings(home=tmp_path))
    assert (found.status, found.mend) == ("fail", "./kol setup")
    assert "lz4-java-1.11.2.jar has SHA-256" in (found.cause or "")


def test_a_home_without_jars_is_told_how_to_get_them(new_settings: NewSettings, tmp_path: Path) -> None:
    assert look_at_jars(new_settings(home=tmp_path)) == Found.note("none yet", "./kol setup")


def test_a_port_that_somebody_else_has_is_found(new_settings: NewSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = look_at_port(new_settings(api_port=port))
    assert (found.status, found.mend) == ("fail", "./kol --set api_port=0 up")
    assert look_at_port(new_settings(api_port=port)) == Found.ok(f"{port} is free")


def test_a_service_that_runs_and_does_not_serve_is_found(settings: Settings) -> None:
    process = start(settings, "api", ["sleep", "60"], port=1)
    try:
        found = look_at_services(settings)
        assert look_at_port(settings) == Found.ok(f"1 is our API's (pid {process.pid})")
    finally:
        stop(settings, "api", 1)
    assert (found.status, found.found) == ("fail", "not ready: api (does not answer)")


@contextmanager
def mlflow_server(version: str) -> Iterator[str]:
    """Answer `/version` as an MLflow server does; yield the address."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/version" else 404)
            self.end_headers()
            self.wfile.write(version.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_server_of_the_same_version_is_well(new_settings: NewSettings) -> None:
    with mlflow_server(metadata.version("mlflow")) as uri:
        assert look_at_mlflow(new_settings(mlflow_uri=uri)).status == "ok"


def test_a_server_of_another_version_is_a_warning(new_settings: NewSettings) -> None:
    with mlflow_server("2.9.1") as uri:
        found = look_at_mlflow(new_settings(mlflow_uri=uri))
    assert (found.status, found.mend) == ("warn", f"pip install mlflow=={metadata.version('mlflow')}")
    assert "server 2.9.1" in found.found


def test_a_server_that_is_away_is_a_failure_without_its_password(new_settings: NewSettings) -> None:
    found = look_at_mlflow(new_settings(mlflow_uri="http://user:secret@127.0.0.1:9"))
    assert (found.status, found.mend) == ("fail", ".venv/bin/mlflow server --workers 1 --port 9")
    assert "secret" not in json.dumps(msgspec.to_builtins(found))


def test_shelf_and_registry_agree_after_a_promotion_and_a_rift_is_found(settings: Settings) -> None:
    registry = open_registry(settings)
    promote(registry, register(registry, tiny_package()), force=True, why="test")
    assert "version 1 (promotion 1) in Production" in look_at_registry(settings).found
    Shelf.at(settings.shelf).activate(
        msgspec.structs.replace(Shelf.at(settings.shelf).production(), promotion_seq=2, version=7)
    )
    found = look_at_registry(settings)
    assert (found.status, found.mend) == ("fail", "./kol model list")
    assert "version 7" in (found.cause or "")


def test_a_shelf_without_its_mlflow_is_a_warning_and_makes_none(settings: Settings) -> None:
    tiny_shelf(Shelf.at(settings.shelf))
    assert look_at_registry(settings).status == "warn"
    assert not (settings.home / "mlflow").exists()


def test_the_direction_is_that_of_the_model_in_production(settings: Settings) -> None:
    tiny_shelf(Shelf.at(settings.shelf))
    assert look_at_direction(settings).status == "ok"


def test_a_model_that_hardly_tells_the_references_apart_is_found(settings: Settings) -> None:
    package = tiny_package()
    manifest = msgspec.json.decode(package.manifest, type=Manifest)
    flat = msgspec.structs.replace(manifest, calibration=type(manifest.calibration)(0.01, 0.0))
    shelf = Shelf.at(settings.shelf)
    sha = shelf.put(Package.of(flat, package.text.decode()))
    shelf.activate(Activation(sha, 1, manifest.name, 1, "2026-01-01T00:00:00.000000Z"))
    found = look_at_direction(settings)
    assert (found.status, found.mend) == ("fail", "./kol model rollback")


def test_tables_as_described_are_well(settings: Settings) -> None:
    create_tables(settings, "landing")
    create_tables(settings, "batch")
    assert [look_at_table(table, settings).status for table in TABLES] == ["ok"] * len(TABLES)


def test_what_is_published_is_named(settings: Settings) -> None:
    publish_table(settings, score_table([a_score()]))
    assert look_at_publication(settings).found.startswith("run-1: 1 KOLs up to 2026-03-01T12:00:00")
    publish_table(settings, score_table([a_score()]), contract="0" * 64)
    assert look_at_publication(settings).mend == "./kol batch run"


def test_a_publication_that_cannot_be_read_is_a_failure(settings: Settings) -> None:
    Path(settings.lake_uri).mkdir()
    (Path(settings.lake_uri) / "published.json").write_text("{}")
    found = {finding.check: finding for finding in diagnose(settings, data_checks())}["published run"]
    assert (found.status, found.mend) == ("fail", "./kol batch run")


def test_the_views_say_which_run_they_hold(settings: Settings) -> None:
    fill_views(settings, [a_score()], [], datetime.now(UTC))
    assert look_at_views(settings) == Found.ok("run-1; 0 scores wait")


@pytest.mark.jvm
def test_kafka_is_asked_for_the_topics(kafka_settings: Settings, broker: Broker) -> None:
    create_topics(kafka_settings)
    assert look_at_kafka(kafka_settings).found.startswith(f"{broker.servers} answers; topics: ")


def test_a_kafka_that_is_away_is_a_failure(new_settings: NewSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.topics.BOOTSTRAP_SECONDS", 0.1)
    settings = new_settings(kafka_servers="127.0.0.1:9")
    [finding] = diagnose(settings, [check for check in all_checks() if check.name == "kafka"])
    assert (finding.status, finding.mend) == ("fail", "./kol --set kafka_servers= up")
    assert "does not answer" in (finding.cause or "")
