"""How long each step of the demo takes, each run in a home of its own so that it trains its model anew."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.report import Figure, Measured
from registry.shelf import Shelf
from runtime.failure import HandledError
from runtime.jars import jars_folder
from runtime.settings import ROOT, Settings, environment_of

LONGEST_SECONDS = 1200
TOTAL = "total"


class DemoFailedError(HandledError):
    """The demo that was to be measured did not end well; the message ends with what it said."""


class Outcome(msgspec.Struct, frozen=True):
    """What `./kol demo --json` prints, as far as it is measured."""

    steps: dict[str, float]
    """Seconds of each step, by its name."""


def measure(settings: Settings, runs: int) -> Measured:
    """Run the demo some times, and return the time of each step and of all together.

    Raises:
        DemoFailedError: A run failed.
    """
    folder = settings.home.resolve() / "bench"
    shutil.rmtree(folder, ignore_errors=True)
    homes = [folder / f"demo-{run}" for run in range(runs)]
    seconds = [run_demo(settings, home) for home in homes]
    activations = Shelf.at(homes[-1] / "models").activations()
    shutil.rmtree(folder)
    return Measured(step_figures(seconds), activations[-1].maker().model_version if activations else None)


def run_demo(settings: Settings, home: Path) -> dict[str, float]:
    """Run the demo in a fresh home, as people run it, and return the seconds of its steps by name."""
    home.mkdir(parents=True)
    (home / "jars").symlink_to(jars_folder(settings))
    environment = environment_of(settings) | {"KOL_HOME": str(home)}
    command = [sys.executable, "-m", "cli", "demo", "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=LONGEST_SECONDS
    )
    if done.returncode != 0:
        raise DemoFailedError(f"./kol demo ended with {done.returncode}; it said:\n{done.stderr.strip()}")
    return msgspec.json.decode(done.stdout, type=Outcome).steps


def step_figures(runs: Sequence[Mapping[str, float]]) -> tuple[Figure, ...]:
    """Sum up the runs: a figure per step, in the order of the demo, and one for the whole."""
    steps = [step for step in runs[0] if step != TOTAL]
    figures = [Figure.of(step, "s", [run[step] for run in runs]) for step in steps]
    return (*figures, Figure.of(TOTAL, "s", [round(sum(run[step] for step in steps), 2) for run in runs]))
