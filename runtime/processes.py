"""Background processes: started into their own group, recorded in `settings.runs`, stopped by what was recorded."""

import errno
import fcntl
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Self

import msgspec
import psutil

from features.instant import format_instant
from runtime import tied
from runtime.failure import HandledError
from runtime.settings import Settings

POLL_SECONDS = 0.05
# A recycled pid belongs to a process made much later; the start as computed from the boot time wanders a little.
SAME_START_SECONDS = 2.0
LOG_KEPT_BYTES = 4 * 2**20
TAIL_LINES = 25
# Below the range from which the kernel takes ports for outgoing connections (32768 and up): a client that keeps
# reconnecting to a port of that range can meet itself, and then the server cannot have its port back.
SERVER_PORTS = range(20_000, 32_000)


class Life(Enum):
    """How long a process may live."""

    OWN = "own"
    """Until it is stopped: it outlives whoever started it."""
    WITH_PARENT = "with parent"
    """It gets SIGTERM when the thread that started it ends, even by SIGKILL."""


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one background process."""

    name: str
    pid: int
    created: float
    """Start of the process, seconds since 1970: with the pid it names one process for ever."""
    command: list[str]
    port: int | None
    log: str
    started_at: str


class ProcessError(HandledError):
    """A background process could not start, died or did not become ready; the message ends with its log's tail."""

    @classmethod
    def died(cls, process: Process) -> Self:
        """Say that it ended before it was ready."""
        return cls(
            f"{process.name} (pid {process.pid}) ended before it was ready; end of {process.log}:\n{tail(process)}"
        )

    @classmethod
    def not_ready(cls, process: Process, seconds: float) -> Self:
        """Say that it runs but does not answer."""
        said = f"{process.name} (pid {process.pid}) runs but was not ready after {seconds:g} s"
        return cls(f"{said}; end of {process.log}:\n{tail(process)}")


def start(  # noqa: PLR0913 - the keyword-only ones have defaults
    settings: Settings,
    name: str,
    command: Sequence[str],
    *,
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
    life: Life = Life.OWN,
) -> Process:
    """Start a process in its own session, with stdin closed and output going to `<name>.log`; record it.

    Args:
        settings: `runs` is the folder of the record and the log.
        name: What the process is called in `./kol status`; one process per name.
        command: Program and arguments; the program is looked up on the path.
        port: The port it will listen on, kept in the record for others to find.
        environment: The whole environment; the present one by default.
        life: Whether it may outlive its parent.

    Raises:
        ProcessError: One of that name runs already.
        FileNotFoundError: There is no such program.
    """
    if other := running(settings, name):
        raise ProcessError(f"{name} runs already (pid {other.pid}); stop it first: ./kol down")
    settings.runs.mkdir(parents=True, exist_ok=True)
    log = _fresh_log(settings.runs / f"{name}.log")
    full = [*_guard(life), *command]
    pid = os.posix_spawnp(full[0], full, dict(environment or os.environ), file_actions=_streams(log), setsid=True)
    process = Process(
        name=name,
        pid=pid,
        created=psutil.Process(pid).create_time(),
        command=list(command),
        port=port,
        log=str(log),
        started_at=format_instant(datetime.now(UTC)),
    )
    fresh = _record(settings, name).with_suffix(".new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(process), indent=2))
    fresh.replace(_record(settings, name))
    return process


def running(settings: Settings, name: str) -> Process | None:
    """Return the process of that name if it runs; None when it was never started, has ended or its pid is another's."""
    try:
        process = msgspec.json.decode(_record(settings, name).read_bytes(), type=Process)
    except FileNotFoundError:
        return None
    return process if is_alive(process) else None


def stop(settings: Settings, name: str, grace_seconds: float = 10.0) -> bool:
    """Stop a process: SIGTERM, wait up to `grace_seconds`, then SIGKILL to its group. A recycled pid is never touched.

    SIGTERM goes to the process alone: a driver stops its queries before its JVM ends, a server its workers.

    Returns:
        True when it ran and was stopped, False when it did not run.
    """
    process = running(settings, name)
    if process:
        os.kill(process.pid, signal.SIGTERM)
        _wait_until(lambda: not is_alive(process), grace_seconds)
        _signal_group(process.pid, signal.SIGKILL)  # the rest of the group too: children may have stayed
        _wait_until(lambda: not is_alive(process), grace_seconds)
    _record(settings, name).unlink(missing_ok=True)
    return process is not None


def wait_ready(check: Callable[[], bool], process: Process, timeout: float) -> None:
    """Wait until `check` says True.

    Args:
        check: Asks whether the process serves; answers False (and raises nothing) while it does not.
        process: The process; its death ends the waiting.
        timeout: Seconds to wait at most.

    Raises:
        ProcessError: It died or was not ready in time; with the end of its log.
    """
    deadline = time.monotonic() + timeout
    while not check():
        if not is_alive(process):
            raise ProcessError.died(process)
        if time.monotonic() > deadline:
            raise ProcessError.not_ready(process, timeout)
        time.sleep(POLL_SECONDS)


def is_alive(process: Process) -> bool:
    """Tell whether exactly this process still runs; one that ended but was not waited for does not."""
    with suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    try:
        found = psutil.Process(process.pid)
        if abs(found.create_time() - process.created) > SAME_START_SECONDS:
            return False
        # A killed JVM is a zombie at once, but holds its files and ports until its last thread is gone.
        return found.status() != psutil.STATUS_ZOMBIE or found.num_threads() > 1
    except psutil.NoSuchProcess:
        return False


def tail(process: Process, lines: int = TAIL_LINES) -> str:
    """Return the last lines of the log, or a note that it is empty."""
    with Path(process.log).open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - 2**16))
        text = log.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:]) or "(nothing was logged)"


def free_port(wanted: int | None = None) -> int:
    """Return a loopback port on which nobody listens: `wanted` if that is free, else any.

    Nothing keeps it free until it is used; the caller starts its server at once.
    """
    tries = random.sample(SERVER_PORTS, len(SERVER_PORTS))
    for port in [wanted, *tries] if wanted else tries:
        if _is_free(port):
            return port
    raise ProcessError(f"no free port between {SERVER_PORTS.start} and {SERVER_PORTS.stop} on 127.0.0.1")


@contextmanager
def one_starter(settings: Settings, name: str) -> Iterator[None]:
    """Let one process at a time start or stop `name`; the others wait their turn."""
    settings.runs.mkdir(parents=True, exist_ok=True)
    with (settings.runs / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _guard(life: Life) -> list[str]:
    if life is Life.OWN:
        return []
    return [sys.executable, "-S", tied.__file__, str(os.getpid())]


def _streams(log: Path) -> list[tuple[int, ...] | tuple[int, int, str, int, int]]:
    return [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]


def _fresh_log(log: Path) -> Path:
    if log.exists() and log.stat().st_size > LOG_KEPT_BYTES:
        log.replace(log.with_suffix(".log.1"))
    return log


def _record(settings: Settings, name: str) -> Path:
    return settings.runs / f"{name}.json"


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def _wait_until(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a closing connection is no owner
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True
