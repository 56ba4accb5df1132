"""All benches by name. A new one is a function and a row here."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import demo
from benchmarks.report import Measured
from runtime.settings import Settings

Run = Callable[[Settings, int], Measured]
"""Takes the settings and the number of runs."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One bench: what it measures, how often it runs unless told otherwise, and the function."""

    measures: str
    runs: int
    run: Run


BENCHES: dict[str, Bench] = {
    "demo": Bench("seconds of each step of ./kol demo, with everything downloaded", 1, demo.measure),
}
