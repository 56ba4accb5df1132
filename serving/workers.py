"""Worker processes that answer on one listening socket, each with views and model of its own.

uvicorn's own supervisor waits for a worker that died while starting, up to the whole time it allows one to start, and
cannot be stopped meanwhile; this one looks only whether its processes live.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
from types import FrameType

import structlog
import uvicorn

from runtime import tied
from runtime.logs import configure_logs
from runtime.settings import Settings, environment_of, load_settings
from serving.app import worker_app

BACKLOG = 2_048
DRAIN_SECONDS = 10
"""How long requests that run may take to end after SIGTERM."""
LOOK_SECONDS = 0.5


class Workers:
    """Several workers, started again when they die."""

    def __init__(self, settings: Settings, listening: socket.socket) -> None:
        self._listening = listening
        self._environment = environment_of(settings)
        self._stop = threading.Event()
        self._running = [self._start() for _ in range(settings.api_workers)]

    def run(self) -> None:
        """Watch the workers until SIGTERM or SIGINT, then stop them."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note_signal)
        while not self._stop.wait(LOOK_SECONDS):
            self._running = [self._alive(worker) for worker in self._running]
        for worker in self._running:
            worker.terminate()
        for worker in self._running:
            _end(worker)

    def _note_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()

    def _alive(self, worker: "subprocess.Popen[bytes]") -> "subprocess.Popen[bytes]":
        """Return a worker that runs: this one, or another in its place."""
        if worker.poll() is None:
            return worker
        structlog.get_logger().error("API worker died, starting another", pid=worker.pid, exit=worker.returncode)
        return self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        """Start a worker that ends with us, in a session of its own: Ctrl-C is for us to pass on."""
        command = [sys.executable, "-S", tied.__file__, str(os.getpid()), sys.executable, "-m", "serving.workers"]
        socket_number = self._listening.fileno()
        full = [*command, str(socket_number)]
        return subprocess.Popen(full, env=self._environment, pass_fds=[socket_number], start_new_session=True)


def work(settings: Settings, listening: socket.socket) -> None:
    """Answer requests in this process until SIGTERM or SIGINT; requests that run are ended."""
    config = uvicorn.Config(
        worker_app(settings),
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    # uvicorn hands the signals that ended it to whoever had them before: these let us return and clean up.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    uvicorn.Server(config).run(sockets=[listening])


def _end(worker: "subprocess.Popen[bytes]") -> None:
    """Wait for a worker that was told to stop; one that does not is killed."""
    try:
        worker.wait(DRAIN_SECONDS + 2)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def main() -> int:
    """Be a worker on the socket whose number is the argument."""
    settings = load_settings()
    configure_logs(settings)
    with socket.socket(fileno=int(sys.argv[1])) as listening:
        work(settings, listening)
    return 0


if __name__ == "__main__":
    sys.exit(main())
