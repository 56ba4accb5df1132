"""Starts the view keeper beside the API, and again when it died; leaves alone one that somebody else started."""

import sys
import threading

import structlog

from runtime.processes import Life, ProcessError, one_starter, running, start, stop
from runtime.settings import Settings, environment_of

NAME = "keeper"
LOOK_SECONDS = 2.0
GRACE_SECONDS = 8.0


class KeeperGuard:
    """Watches over the keeper in a thread of its own.

    The keeper ends with that thread, even when this process is killed: it is started so that it cannot outlive it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._guard, name="keeper-guard", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._watch.start()

    def stop(self) -> None:
        """Stop the keeper, if it is ours, and the watching."""
        self._stop.set()
        self._watch.join()

    def _guard(self) -> None:
        """Keep a keeper running until told to stop."""
        ours = False
        while not self._stop.is_set():
            ours = self._start_if_gone() or ours
            self._stop.wait(LOOK_SECONDS)
        if ours:
            stop(self._settings, NAME, GRACE_SECONDS)

    def _start_if_gone(self) -> bool:
        """Start a keeper when none runs; True when it did."""
        with one_starter(self._settings, NAME):
            if running(self._settings, NAME):
                return False
            command = [sys.executable, "-m", "serving.keeper"]
            try:
                keeper = start(
                    self._settings,
                    NAME,
                    command,
                    environment=environment_of(self._settings),
                    life=Life.WITH_PARENT,
                )
            except (ProcessError, OSError) as error:
                structlog.get_logger().error("view keeper not started", because=str(error))
                return False
        structlog.get_logger().info("view keeper started", pid=keeper.pid, log=keeper.log)
        return True
