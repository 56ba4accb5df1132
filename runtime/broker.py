"""The embedded Kafka: one node, loopback only, so that the whole system runs without Docker or a cluster."""

import base64
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from runtime.failure import HandledError
from runtime.jars import broker_jars
from runtime.java import Java, find_java
from runtime.processes import (
    Life,
    Process,
    ProcessError,
    free_port,
    is_alive,
    one_starter,
    running,
    start,
    stop,
    wait_ready,
)
from runtime.settings import Settings

NAME = "broker"
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
FORMAT_SECONDS = 120
LOCK_QUESTION = struct.Struct("hhqqi4x")
"""The system's `struct flock`: kind, whence, start, length, pid."""
# One node for a few topics: the small collector and the quick compiler start faster, need a third less memory
# and serve more than 150,000 messages a second.
JVM_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.awt.headless=true")

# Kafka's metadata request (key 3, version 1, no client id) for no topics, as on the wire. By hand, because a client
# that meets a starting broker waits for its time-out and leaves a thread behind.
METADATA_REQUEST = struct.pack(">ihhihi", 14, 3, 1, 1, -1, 0)
ANSWER_HEAD = struct.Struct(">iii")
"""Size of the answer, number of the request, how many brokers are in service."""

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=CLIENTS://127.0.0.1:{clients},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENTS://127.0.0.1:{clients}
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
log.message.timestamp.type=LogAppendTime
num.network.threads=2
num.io.threads=4
background.threads=4
group.coordinator.threads=1
# After a kill the node takes itself back only when its former session has ended; the defaults cost 9 s.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
# One node can hold one copy, and 50 folders for the offsets of a handful of readers help nobody.
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# The default, 128 MB, does not fit into a small heap.
log.cleaner.dedupe.buffer.size=4194304
"""

LOGGING = """\
status = warn
shutdownHook = disable
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS'Z'}{UTC} %-5p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
logger.storage.name = org.apache.kafka.storage.internals.log.LogManager
logger.storage.level = info
"""


@dataclass(frozen=True, slots=True)
class Broker:
    """A running embedded broker."""

    servers: str
    """Bootstrap servers for clients, host:port."""
    pid: int
    log: Path


class BrokerError(HandledError):
    """The embedded broker is not there or cannot be started; the message names the cause and the command."""

    @classmethod
    def not_running(cls, settings: Settings) -> Self:
        """Say that nobody started it."""
        home = settings.home.resolve()
        return cls(f"no Kafka: kafka_servers is not set and no broker runs for {home}; start it with: ./kol up")

    @classmethod
    def folder_in_use(cls, data: Path, pid: int) -> Self:
        """Say which process holds the data."""
        return cls(f"{data} is in use by process {pid}, which was not recorded; stop that one first: kill {pid}")

    @classmethod
    def not_formatted(cls, data: Path, said: str) -> Self:
        """Say that the storage tool failed, in its words."""
        return cls(f"could not prepare {data}; is the disk full or read-only? The storage tool said:\n{said.strip()}")


@dataclass(frozen=True, slots=True)
class _Folder:
    """Where the broker keeps its things: HOME/kafka."""

    root: Path

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.home.resolve() / "kafka")

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def properties(self) -> Path:
        return self.root / "server.properties"

    @property
    def logging(self) -> Path:
        return self.root / "log4j2.properties"

    @property
    def ports(self) -> Path:
        return self.root / "ports"


def start_broker(settings: Settings, life: Life = Life.OWN) -> Broker:
    """Start the embedded broker and wait until it answers; return the running one if there is one.

    Its ports are kept across restarts while they are free, so that clients find it again. After an unclean stop
    it recovers its log by itself.

    Raises:
        BrokerError: Another process uses the data, or they could not be prepared.
        JarsError: Its jars are not there.
        JavaError: There is no Java for it.
        ProcessError: It died or did not answer in time; with the end of its log.
    """
    with one_starter(settings, NAME):
        process = _running_one(settings) or _launch(settings, life)
        _wait_for_answer(process)
    return _broker(process)


def stop_broker(settings: Settings) -> bool:
    """Stop the embedded broker cleanly; True when it ran."""
    with one_starter(settings, NAME):
        return stop(settings, NAME, STOP_SECONDS)


def broker_status(settings: Settings) -> Broker | None:
    """Return the embedded broker if its process runs; whether it serves is for `answers` to say."""
    process = running(settings, NAME)
    return _broker(process) if process else None


def servers(settings: Settings) -> str:
    """Return the Kafka bootstrap servers: the configured ones, else those of the running embedded broker.

    Raises:
        BrokerError: None are configured and no broker runs.
    """
    if settings.kafka_servers:
        return settings.kafka_servers
    broker = broker_status(settings)
    if broker is None:
        raise BrokerError.not_running(settings)
    return broker.servers


def answers(address: str, timeout_seconds: float = 2.0) -> bool:
    """Tell whether the embedded broker at `host:port` answers a metadata request and names a broker in service."""
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout_seconds) as connection:
            connection.sendall(METADATA_REQUEST)
            with connection.makefile("rb") as answer:
                head = answer.read(ANSWER_HEAD.size)
    except OSError:
        return False
    return len(head) == ANSWER_HEAD.size and ANSWER_HEAD.unpack(head)[2] > 0


def _wait_for_answer(process: Process) -> None:
    wait_ready(lambda: answers(_address(process)), process, READY_SECONDS)


def _running_one(settings: Settings) -> Process | None:
    """Return the broker that runs already; None when there is none or it ends while we wait for its answer."""
    process = running(settings, NAME)
    if process is None:
        return None
    try:
        _wait_for_answer(process)
    except ProcessError:
        if is_alive(process):
            raise
        return None
    return process


def _launch(settings: Settings, life: Life) -> Process:
    folder = _Folder.of(settings)
    _refuse_used(folder.data)
    java, jars = find_java(), broker_jars(settings)
    clients, controller = _choose_ports(folder)
    folder.logging.write_text(LOGGING)
    if not (folder.data / "meta.properties").exists():
        _format(_java_command(java, jars, folder), folder)
    folder.properties.write_text(PROPERTIES.format(clients=clients, controller=controller, data=folder.data))
    heap = [f"-Xmx{settings.broker_heap_mb}m"]
    command = [*_java_command(java, jars, folder, heap), "kafka.Kafka", str(folder.properties)]
    return start(settings, NAME, command, port=clients, life=life)


def _java_command(java: Java, jars: Iterable[Path], folder: _Folder, heap: Iterable[str] = ()) -> list[str]:
    logging = f"-Dlog4j2.configurationFile={folder.logging.as_uri()}"
    return [str(java.executable), *heap, *JVM_OPTIONS, logging, "-cp", os.pathsep.join(map(str, jars))]


def _choose_ports(folder: _Folder) -> tuple[int, int]:
    """Return the ports of last time as far as they are free, and remember them."""
    folder.root.mkdir(parents=True, exist_ok=True)
    kept = [int(port) for port in folder.ports.read_text().split()] if folder.ports.exists() else []
    clients = free_port(kept[0] if kept else None)
    ports = clients, free_port(kept[1] if kept else clients + 1)
    folder.ports.write_text(" ".join(map(str, ports)))
    return ports


def _format(command: list[str], folder: _Folder) -> None:
    """Prepare the storage aside and move it into place, so that a half-made one is never taken for a whole one."""
    fresh = folder.root / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(folder.data, ignore_errors=True)  # without meta.properties: what an interrupted start left
    folder.properties.write_text(PROPERTIES.format(clients=9092, controller=9093, data=fresh))
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    tool = [*command, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(folder.properties)]
    done = subprocess.run(tool, capture_output=True, text=True, check=False, timeout=FORMAT_SECONDS)
    if done.returncode != 0:
        raise BrokerError.not_formatted(folder.data, done.stdout + done.stderr)
    fresh.replace(folder.data)


def _refuse_used(data: Path) -> None:
    """Kafka locks the data; a lock file without a living owner is of no consequence."""
    if owner := _lock_owner(data / ".lock"):
        raise BrokerError.folder_in_use(data, owner)


def _lock_owner(place: Path) -> int | None:
    """Return the pid of the process that locks a file, None when nobody does."""
    try:
        with place.open("rb+") as lock:
            wanted = LOCK_QUESTION.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, owner = LOCK_QUESTION.unpack(fcntl.fcntl(lock, fcntl.F_GETLK, wanted))
    except FileNotFoundError:
        return None
    return None if kind == fcntl.F_UNLCK else owner


def _broker(process: Process) -> Broker:
    return Broker(_address(process), process.pid, Path(process.log))


def _address(process: Process) -> str:
    return f"127.0.0.1:{process.port}"
