"""All benches by name. A new one is a function and a row here."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import demo, stream
from benchmarks.report import Measured
from benchmarks.stream import Scale
from runtime.settings import Settings

Run = Callable[[Settings, int], Measured]
"""Takes the settings and the number of runs."""
RunScaled = Callable[[Settings, int, Scale], Measured]
"""Takes how much to measure too, for a quick look."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One bench.

    Attributes:
        measures: What, in one line.
        runs: How often it runs unless told otherwise.
        run: Runs it as it is published.
        scaled: Runs parts of it, or less of it; None for a bench that knows only one scale.
    """

    measures: str
    runs: int
    run: Run
    scaled: RunScaled | None = None


BENCHES: dict[str, Bench] = {
    "demo": Bench("seconds of each step of ./kol demo, with everything downloaded", 1, demo.measure),
    "stream": Bench(
        "the speed layer: latency, event to answer, throughput, memory, and a loop without Spark",
        1,
        stream.measure,
        stream.measure,
    ),
}
