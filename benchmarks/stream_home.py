"""A whole system of its own for the stream's figures: broker, stream, API and keeper, in a fresh home."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
from rich.console import Console

from cli.output import Steps
from cli.services import STREAM, launch_stream, start_services, stop_one, stop_services, stream_is_ready
from features.instant import format_instant
from registry.bundle import bundled_package
from registry.package import Package
from registry.shelf import Activation, Shelf
from runtime.broker import NAME as BROKER
from runtime.clock import utc_now
from runtime.jars import jars_folder
from runtime.processes import running, wait_ready
from runtime.settings import Settings, load_settings

NAME = "kol-trust"
READY_SECONDS = 180.0
STOP_SECONDS = 45.0
MB = 2**20


@dataclass(frozen=True, slots=True)
class System:
    """What runs while figures are taken.

    Attributes:
        settings: Of the bench's own home.
        address: The API's.
        activation: What is in Production.
        package: The model itself.
    """

    settings: Settings
    address: str
    activation: Activation
    package: Package

    def stop_stream(self) -> None:
        """Let the stream end its micro-batches, and end."""
        stop_one(self.settings, STREAM, STOP_SECONDS)

    def start_stream(self) -> None:
        """Start the stream and wait until both queries run."""
        process = launch_stream(self.settings)
        wait_ready(lambda: stream_is_ready(self.settings, process), process, READY_SECONDS)

    def memory_mb(self) -> dict[str, float]:
        """Return the memory of the stream's driver, its Python processes and the broker, MB.

        Pages that Python processes share count once for each, so the sum is at most too high.
        """
        found = {"driver": 0.0, "workers": 0.0, "broker": 0.0}
        if broker := running(self.settings, BROKER):
            found["broker"] = _resident(psutil.Process(broker.pid))
        if stream := running(self.settings, STREAM):
            for process in psutil.Process(stream.pid).children(recursive=True):
                found["driver" if _is_java(process) else "workers"] += _resident(process)
            found["driver"] += _resident(psutil.Process(stream.pid))
        return found


@contextmanager
def running_system(settings: Settings, name: str) -> Iterator[System]:
    """Start everything in `HOME/bench/NAME` with Production of the settings' shelf, else the model of the code."""
    home = settings.home.resolve() / "bench" / name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / "jars").symlink_to(jars_folder(settings))
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    own = load_settings(given | {"home": home, "kafka_servers": "", "api_port": 0})
    package = production_package(settings)
    shelf = Shelf.at(own.shelf)
    activation = Activation(shelf.put(package), 1, NAME, 1, format_instant(utc_now()))
    shelf.activate(activation)
    try:
        yield System(own, start_services(own, Steps(Console(quiet=True))).address, activation, package)
    finally:
        stop_services(own)
        shutil.rmtree(home)


def production_package(settings: Settings) -> Package:
    """Return the model in Production here, or the one that comes with the code."""
    shelf = Shelf.at(settings.shelf)
    activations = shelf.activations()
    return shelf.package(activations[-1].sha) if activations else bundled_package()


def _is_java(process: psutil.Process) -> bool:
    try:
        return "java" in process.name()
    except psutil.NoSuchProcess:
        return False


def _resident(process: psutil.Process) -> float:
    try:
        return process.memory_info().rss / MB
    except psutil.NoSuchProcess:
        return 0.0
