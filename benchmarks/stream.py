"""The speed layer's figures, taken on a whole system: real broker, full validation, landing and view keeper running."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.report import Figure, Measured
from benchmarks.stream_home import System, running_system
from benchmarks.stream_latency import answer_latencies, latencies, percentile
from benchmarks.stream_throughput import LOOP_EVENTS, backlog, plain_loop
from runtime.failure import HandledError
from runtime.settings import Settings

EVENTS = 1_000_000
SECONDS = 120.0


class UnknownFigureError(HandledError):
    """There is no figure of that name; the message lists those there are."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured; smaller than the published scale for a quick look.

    Attributes:
        only: Names of the parts to measure; all when empty.
        events: Size of the backlog.
        seconds: How long latency is measured, after the warm-up.
    """

    only: tuple[str, ...] = ()
    events: int = EVENTS
    seconds: float = SECONDS


Take = Callable[[System, Scale], list[tuple[str, str, float, bool]]]
"""Takes figures of a running system: name, unit, value, and whether more is better."""


def take_latency(system: System, scale: Scale) -> list[tuple[str, str, float, bool]]:
    """Measure event produced to score readable."""
    found = latencies(system.settings, scale.seconds)
    return [(f"latency p{share}", "ms", percentile(found, share), False) for share in (50, 99)]


def take_answer(system: System, _: Scale) -> list[tuple[str, str, float, bool]]:
    """Measure event produced to answered by the API."""
    return [("event to answer p99", "ms", percentile(answer_latencies(system), 99), False)]


def take_throughput(system: System, scale: Scale) -> list[tuple[str, str, float, bool]]:
    """Measure a backlog, and the memory that it takes."""
    found = backlog(system, scale.events)
    memory = [(f"memory of {name}", "MB", round(mb, 1), False) for name, mb in found.memory_mb.items()]
    return [("throughput", "events/s", found.per_second, True), *memory]


def take_loop(system: System, scale: Scale) -> list[tuple[str, str, float, bool]]:
    """Measure the same work without Spark."""
    return [("plain loop", "events/s", plain_loop(system, min(scale.events, LOOP_EVENTS)), True)]


PARTS: dict[str, Take] = {
    "latency": take_latency,
    "answer": take_answer,
    "throughput": take_throughput,
    "loop": take_loop,
}
"""In the order of a run; every run takes all of them, so that they are interleaved."""


def measure(settings: Settings, runs: int, scale: Scale | None = None) -> Measured:
    """Take the figures of one system, `runs` times in turn.

    Raises:
        UnknownFigureError: `scale.only` names a part that is not there.
        LoadError: Events were not scored or not answered.
    """
    chosen = scale or Scale()
    parts = parts_of(chosen)
    values: dict[tuple[str, str, bool], list[float]] = {}
    with running_system(settings, "stream") as system:
        for name, unit, value, more in taken(system, parts, chosen, runs):
            values.setdefault((name, unit, more), []).append(value)
    figures = [
        Figure.of(name, unit, of_runs, better="higher" if more else "lower")
        for (name, unit, more), of_runs in values.items()
    ]
    return Measured(tuple(figures), system.activation.maker().model_version)


def parts_of(scale: Scale) -> list[Take]:
    """Return what is to be measured."""
    for name in scale.only:
        if name not in PARTS:
            raise UnknownFigureError(f"the stream's bench has no part {name!r}; it has: {', '.join(PARTS)}")
    return [PARTS[name] for name in scale.only or PARTS]


def taken(system: System, parts: list[Take], scale: Scale, runs: int) -> Iterator[tuple[str, str, float, bool]]:
    """Take all parts in turn, `runs` times."""
    for _ in range(runs):
        for part in parts:
            yield from part(system, scale)
