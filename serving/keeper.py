"""The view keeper: one process that loads the published batch view and follows `kol.scores`, for all API workers."""

import fcntl
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from runtime.clock import Clock, utc_now
from runtime.failure import HandledError
from runtime.logs import configure_logs
from runtime.settings import Settings, load_settings
from serving.batch_loader import BatchLoader
from serving.follower import Follower
from serving.lmdb_writer import LmdbWriter
from serving.views import KeeperState, ViewWriter

ROUND_SECONDS = 0.5
"""Time between two looks at `published.json`, and between two signs of life."""
FAREWELL_SECONDS = 3.0


class KeeperRunningError(HandledError):
    """Another keeper writes these views."""


@contextmanager
def sole_keeper(views: Path) -> Iterator[None]:
    """Be the one keeper of these views; the kernel ends it with the process.

    Raises:
        KeeperRunningError: Another process is.
    """
    views.mkdir(parents=True, exist_ok=True)
    path = views / "keeper.lock"
    with path.open("a+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            message = f"process {holder} keeps the views in {views} already; stop it first: ./kol down"
            raise KeeperRunningError(message) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def keep(settings: Settings, stop: threading.Event, clock: Clock = utc_now) -> None:
    """Keep the views until `stop` is set.

    Raises:
        KeeperRunningError: Another process keeps them.
        ViewsLostError: They were removed; start again.
    """
    with sole_keeper(settings.views):
        writer = LmdbWriter.open(settings)
        loader = BatchLoader(settings, writer)
        follower = threading.Thread(target=Follower(settings, writer, clock).run, args=(stop,), daemon=True)
        follower.start()
        try:
            go_round(writer, loader, stop, clock)
        finally:
            stop.set()
            loader.close()
            follower.join(FAREWELL_SECONDS)
            if not follower.is_alive():
                writer.close()


def go_round(writer: ViewWriter, loader: BatchLoader, stop: threading.Event, clock: Clock) -> None:
    """Keep the batch view in step and give signs of life."""
    while not stop.is_set():
        now = clock()
        loader.step(now)
        writer.note_keeper(KeeperState(now, loader.pending, loader.problem))
        stop.wait(ROUND_SECONDS)


def main() -> int:
    """Keep the views until SIGTERM or SIGINT; return the exit code."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    settings = load_settings()
    configure_logs(settings)
    try:
        keep(settings, stop)
    except HandledError as error:
        structlog.get_logger().error("keeper stopped", because=str(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
