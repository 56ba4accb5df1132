"""The API server: finds a port, starts the view keeper and the workers, and stops all of them together."""

import errno
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Self

import structlog

from runtime.failure import HandledError
from runtime.logs import configure_logs
from runtime.settings import Settings, load_settings
from serving.keeper_guard import KeeperGuard
from serving.metrics import share_figures
from serving.workers import BACKLOG, Workers, work

PORTS_TRIED = 100
"""Ports after a taken one that are tried."""
WITHOUT_KEEPER = "--without-keeper"
"""For those who run `python -m serving.keeper` themselves, in a container of its own."""


class PortTakenError(HandledError):
    """The port that was asked for is in use."""

    @classmethod
    def on(cls, host: str, port: int) -> Self:
        """Say which, and what to do."""
        return cls(f"port {port} on {host} is taken; stop what listens there or choose another: --port N (0 = any)")


def serve(settings: Settings, announce: Callable[[str], None], *, with_keeper: bool = True) -> None:
    """Serve until SIGTERM or SIGINT; requests that run are ended, then workers and keeper are stopped.

    Args:
        settings: Host, port, workers and everything the workers need.
        announce: Gets the address once it listens, before the first worker is ready; connections wait.
        with_keeper: Whether to look after the view keeper too, or leave that to somebody else.

    Raises:
        PortTakenError: The port was asked for and is taken.
    """
    listening = listen(settings)
    address = f"http://{settings.api_host}:{listening.getsockname()[1]}"
    try:
        with keeper_kept(settings) if with_keeper else nullcontext():
            announce(address)
            _run(settings, listening)
    finally:
        listening.close()


@contextmanager
def keeper_kept(settings: Settings) -> Iterator[None]:
    """Keep a view keeper running meanwhile."""
    guard = KeeperGuard(settings)
    guard.start()
    try:
        yield
    finally:
        guard.stop()


def listen(settings: Settings) -> socket.socket:
    """Return a listening socket: on the port of the settings, or the next free one if nobody asked for it by name.

    Raises:
        PortTakenError: See `serve`.
    """
    insisted = "api_port" in settings.model_fields_set or settings.api_port == 0
    tries = 1 if insisted else PORTS_TRIED
    for port in range(settings.api_port, settings.api_port + tries):
        if (found := bound(settings.api_host, port)) is not None:
            found.listen(BACKLOG)
            return found
    raise PortTakenError.on(settings.api_host, settings.api_port)


def bound(host: str, port: int) -> socket.socket | None:
    """Bind a port, or return None when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return bound


def _run(settings: Settings, listening: socket.socket) -> None:
    """Run the workers; one of them needs no process of its own."""
    if settings.api_workers == 1:
        work(settings, listening)
        return
    share_figures(settings.runs / "metrics")
    Workers(settings, listening).run()


def log_address(address: str) -> None:
    """Announce in the log."""
    structlog.get_logger().info("API listens", url=address, docs=f"{address}/docs")


def main() -> int:
    """Serve with the settings of environment and `kol.toml`; return the exit code."""
    settings = load_settings()
    configure_logs(settings)
    try:
        serve(settings, log_address, with_keeper=WITHOUT_KEEPER not in sys.argv[1:])
    except HandledError as error:
        structlog.get_logger().error("API stopped", because=str(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
