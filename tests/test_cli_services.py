"""The background services: started once, ready when they say so, given their settings in secret, and all ended."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta

import msgspec
import psutil
import pytest
from rich.console import Console

from cli import services
from cli.output import Steps
from cli.service_status import NOT_RUNNING, is_open, memory_mb, service_states
from cli.services import (
    API,
    STREAM,
    ServiceError,
    api_port,
    ask,
    launch_stream,
    reachable,
    start_services,
    stop_services,
    stream_is_ready,
)
from features.instant import format_instant
from registry.shelf import Shelf
from runtime.processes import Process, running, start
from runtime.settings import Settings
from streaming.status import QueryStatus, StreamStatus, write_status
from tests.conftest import NewSettings
from tests.support_cli import kol
from tests.support_model import tiny_shelf

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def quiet() -> Steps:
    """Return steps that print nowhere."""
    return Steps(Console(quiet=True))


@contextmanager
def ended(settings: Settings) -> Iterator[None]:
    """End every service of this home, whatever happens."""
    try:
        yield
    finally:
        stop_services(settings)


def stream_process(started_at: datetime) -> Process:
    """Return the record of a stream."""
    started = format_instant(started_at)
    return Process(name=STREAM, pid=1, created=0.0, command=[], port=None, log="", started_at=started)


def write_stream_status(settings: Settings, at: datetime, names: tuple[str, ...] = ("scoring", "landing")) -> None:
    queries = tuple(QueryStatus(name, 1, 0, 0.0, 0, 0) for name in names)
    settings.runs.mkdir(exist_ok=True)
    write_status(settings, StreamStatus(format_instant(at), "m", queries))


@pytest.mark.parametrize(
    ("written", "names"),
    [
        (NOON - timedelta(seconds=11), ("scoring", "landing")),
        (NOON - timedelta(minutes=2), ("scoring", "landing")),
        (NOON, ("scoring",)),
    ],
    ids=["old", "of the stream before", "one query"],
)
def test_a_stream_that_has_not_just_named_both_queries_is_not_ready(
    written: datetime, names: tuple[str, ...], settings: Settings
) -> None:
    write_stream_status(settings, written, names)
    assert not stream_is_ready(settings, stream_process(NOON - timedelta(minutes=1)), NOON)


def test_a_stream_is_ready_when_both_queries_said_so_just_now(settings: Settings) -> None:
    process = stream_process(NOON - timedelta(minutes=1))
    assert not stream_is_ready(settings, process, NOON)
    write_stream_status(settings, NOON)
    assert stream_is_ready(settings, process, NOON)
    later = stream_process(NOON + timedelta(seconds=1))
    assert not stream_is_ready(settings, later, NOON + timedelta(seconds=2))


def test_the_port_that_was_asked_for_is_insisted_on(new_settings: NewSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ServiceError, match="api_port=0"):
        api_port(new_settings(api_port=taken.getsockname()[1]))


def test_any_free_port_will_do_when_nobody_asked(new_settings: NewSettings) -> None:
    assert api_port(new_settings(api_port=0)) > 0
    default = new_settings().api_port
    with ExitStack() as stack:
        with suppress(OSError):  # somebody else may have it already, which serves as well
            stack.enter_context(socket.create_server(("127.0.0.1", default)))
        assert api_port(new_settings()) != default


@pytest.mark.parametrize(
    ("listens", "reached"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("10.0.0.1", "10.0.0.1")],  # noqa: S104 - as text
)
def test_a_server_that_listens_everywhere_is_reached_here(listens: str, reached: str) -> None:
    assert reachable(listens) == reached


def test_services_get_settings_and_secrets_by_the_environment_never_by_arguments(new_settings: NewSettings) -> None:
    given = new_settings(kafka_servers="127.0.0.1:9", kafka_options={"sasl.jaas.config": "very-secret"})
    with ended(given):
        process = psutil.Process(launch_stream(given).pid)
        assert "very-secret" not in " ".join(process.cmdline())
        environment = process.environ()
    assert environment["KOL_HOME"] == str(given.home)
    assert "very-secret" in environment["KOL_KAFKA_OPTIONS"]


def test_stopping_ends_what_is_recorded_and_names_it(settings: Settings) -> None:
    pids = [start(settings, name, ["sleep", "60"]).pid for name in (STREAM, API)]
    assert stop_services(settings) == [API, STREAM]
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids)
    assert stop_services(settings) == []


def test_nothing_runs_on_a_fresh_home(settings: Settings) -> None:
    rows = kol("status", "--json", settings=settings).json
    assert [row["name"] for row in rows] == ["broker", "stream", "api", "keeper"]
    assert {(row["ready"], row["pid"], row["note"]) for row in rows} == {(False, None, NOT_RUNNING)}
    assert kol("down", "--json", settings=settings).json == {"stopped": []}


def test_a_kafka_of_ones_own_is_only_looked_at(new_settings: NewSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert is_open(address)
        broker = service_states(new_settings(kafka_servers=address))[0]
    assert (broker.ready, broker.pid, broker.note) == (True, None, f"external: {address}")
    assert not is_open("nonsense")


def test_memory_of_a_process_that_is_gone_is_unknown() -> None:
    assert memory_mb(2**22 + 1) is None


@pytest.mark.jvm
def test_with_a_model_everything_runs_once_and_ends(kafka_settings: Settings, new_settings: NewSettings) -> None:
    settings = new_settings(kafka_servers=kafka_settings.kafka_servers, api_port=0, spark_driver_memory="1g")
    tiny_shelf(Shelf.at(settings.shelf))
    with ended(settings):
        first = start_services(settings, quiet())
        states = service_states(settings)
        again = start_services(settings, quiet())
        assert (again, [state.pid for state in service_states(settings)]) == (first, [state.pid for state in states])
        assert [state.ready for state in states] == [True] * 4
        assert first.streaming
        api = running(settings, API)
        assert api is not None
        assert first.address == f"http://127.0.0.1:{api.port}"
        assert ask(settings, api, "/readyz").status == http.client.OK
        assert stop_services(settings) == ["api", "keeper", "stream"]
    assert not any(psutil.pid_exists(state.pid) for state in states if state.pid)


@pytest.mark.jvm
def test_without_a_model_it_says_so_and_the_api_is_alive(settings: Settings) -> None:
    with ended(settings):
        up = kol("--set", "api_port=0", "up", "--json", settings=settings)
        assert (up.code, up.json["streaming"]) == (0, False)
        assert services.NO_MODEL in " ".join(up.err.split())
        states = {row["name"]: row for row in kol("status", "--json", settings=settings).json}
        assert (states["broker"]["ready"], states["stream"]["pid"], states["api"]["ready"]) == (True, None, False)
        assert states["api"]["note"].startswith("unavailable, no_model")
        assert states["broker"]["memory_mb"] > 50
        assert kol("down", "--json", settings=settings).json["stopped"] == ["api", "keeper", "broker"]
    assert msgspec.to_builtins(service_states(settings)[0])["note"] == NOT_RUNNING
