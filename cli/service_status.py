"""What the background services are doing: one row each, asked of the services themselves."""

import http.client
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import psutil

from cli.services import API, FRESH, STREAM, ask, stream_is_ready
from runtime.broker import NAME as BROKER
from runtime.broker import answers
from runtime.processes import Process, running
from runtime.settings import Settings
from serving.keeper_guard import NAME as KEEPER

CONNECT_SECONDS = 3.0
NOT_RUNNING = "not running"


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One service as it is now.

    Attributes:
        name: What it is called in logs and records.
        ready: Whether it does its work at this moment.
        pid: Its process, or None when it does not run here.
        port: Where it listens, if it does.
        since: When it was started, RFC 3339 in UTC.
        memory_mb: Resident memory of it and its children.
        note: What it says of itself, or where it runs.
    """

    name: str
    ready: bool
    pid: int | None = None
    port: int | None = None
    since: str | None = None
    memory_mb: int | None = None
    note: str | None = None


class Readiness(msgspec.Struct, frozen=True):
    """What `/readyz` says, as far as it is shown."""

    status: str
    because: tuple[str, ...]


Look = Callable[[Settings, Process], tuple[bool, str | None]]
"""Asks a running service whether it is ready, and what it says of itself."""


def service_states(settings: Settings) -> list[ServiceState]:
    """Return the state of every service, in the order in which they are started."""
    broker = external_kafka(settings) if settings.kafka_servers else state(settings, BROKER, look_at_broker)
    return [
        broker,
        state(settings, STREAM, look_at_stream),
        state(settings, API, look_at_api),
        state(settings, KEEPER, look_at_keeper),
    ]


def state(settings: Settings, name: str, look: Look) -> ServiceState:
    """Return the state of one service."""
    process = running(settings, name)
    if process is None:
        return ServiceState(name, ready=False, note=NOT_RUNNING)
    ready, note = look(settings, process)
    return ServiceState(name, ready, process.pid, process.port, process.started_at, memory_mb(process.pid), note)


def external_kafka(settings: Settings) -> ServiceState:
    """Return the state of a Kafka that the settings name: ready when one of its servers can be connected to."""
    addresses = settings.kafka_servers.split(",")
    return ServiceState(BROKER, ready=any(map(is_open, addresses)), note=f"external: {settings.kafka_servers}")


def is_open(address: str) -> bool:
    """Tell whether somebody listens at host:port."""
    host, _, port = address.strip().rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True


def look_at_broker(_: Settings, broker: Process) -> tuple[bool, str | None]:
    """Ask the broker for its metadata."""
    return answers(f"127.0.0.1:{broker.port}"), None


def look_at_stream(settings: Settings, stream: Process) -> tuple[bool, str | None]:
    """Read what the stream wrote last."""
    from streaming.status import read_status

    status = read_status(settings)
    return stream_is_ready(settings, stream), status.model_version if status else None


def look_at_api(settings: Settings, api: Process) -> tuple[bool, str | None]:
    """Ask the API whether it can answer, and what it lacks."""
    reply = ask(settings, api, "/readyz")
    if reply.status == 0:
        return False, "does not answer"
    readiness = msgspec.json.decode(reply.body, type=Readiness)
    return reply.status == http.client.OK, ", ".join((readiness.status, *readiness.because))


def look_at_keeper(settings: Settings, _: Process) -> tuple[bool, str | None]:
    """Read the keeper's last sign of life from the views."""
    from serving.lmdb_reader import LmdbReader

    reader = LmdbReader.open(settings)
    try:
        layers = reader.layers()
    finally:
        reader.close()
    kols = f"{layers.batch.kols} KOLs from the nightly run" if layers.batch else "no nightly run yet"
    return layers.keeper is not None and datetime.now(UTC) - layers.keeper.at < FRESH, kols


def memory_mb(pid: int) -> int | None:
    """Return the resident memory of a process and its children, or None when it has just ended."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(member.memory_info().rss for member in family) // 2**20
    except psutil.NoSuchProcess:
        return None
