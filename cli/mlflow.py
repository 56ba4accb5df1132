"""`./kol mlflow`: MLflow's own pages on this registry."""

import os
import signal
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import settings_of
from cli.output import to_people
from cli.versions import open_models
from runtime.processes import Life, ProcessError, free_port, start, stop, wait_ready
from runtime.settings import Settings

if TYPE_CHECKING:
    from runtime.processes import Process

PORT = 5000
READY_SECONDS = 120
"""MLflow's server imports for 5 to 10 s, and longer on a busy machine."""


def mlflow(
    context: typer.Context,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port; by default 5000 or another free one.")
    ] = None,
) -> None:
    """Open MLflow's pages on this registry until stopped (Ctrl-C or SIGTERM); only this machine can reach them.

    One worker, no jobs and no telemetry: two processes and 0.5 GB instead of fifteen and 2.5 GB.

    Example: ./kol mlflow --port 5000
    """
    settings = settings_of(context)
    if settings.mlflow_uri.startswith("http"):
        _announce(settings.mlflow_uri.rstrip("/"), "it is its own server's, nothing was started")
        return
    chosen = free_port(port or PORT)
    if port and chosen != port:
        raise ProcessError(f"port {port} is in use; ./kol mlflow takes a free one without --port")
    open_models(settings)
    _serve(settings, chosen)


def _serve(settings: Settings, port: int) -> None:
    """Run MLflow's server until it ends or is stopped."""
    address, name = f"http://127.0.0.1:{port}", f"mlflow-{port}"
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    command = server_command(settings, port)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        process = start(settings, name, command, port=port, environment=environment, life=Life.WITH_PARENT)
        with to_people().status("starting MLflow's server"):
            wait_ready(lambda: _answers(address), process, READY_SECONDS)
        _announce(address, "stop: Ctrl-C")
        _wait(process)
    except KeyboardInterrupt:
        to_people().print("stopped")
    finally:
        stop(settings, name)


def server_command(settings: Settings, port: int) -> list[str]:
    """Return the command of a lean MLflow server on the embedded registry, that only this machine reaches."""
    return [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", settings.tracking_uri, "--no-serve-artifacts",
        "--default-artifact-root", str(settings.home.resolve() / "mlflow" / "artifacts"),
    ]  # fmt: skip


def _wait(process: "Process") -> None:
    """Wait until the server ends by itself.

    Raises:
        ProcessError: It did; with the end of its log.
    """
    with suppress(ChildProcessError):
        os.waitpid(process.pid, 0)
    raise ProcessError.died(process)


def _answers(address: str) -> bool:
    """Ask the server whether it is up."""
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=2) as response:  # noqa: S310 - our own server
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _announce(address: str, hint: str) -> None:
    """Print where the pages are."""
    from registry.training import MODEL_NAME

    console = to_people()
    console.print(f"MLflow on {address}  {hint}", soft_wrap=True)
    console.print(f"the model: {address}/#/models/{MODEL_NAME}", soft_wrap=True)
