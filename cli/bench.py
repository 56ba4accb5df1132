"""`./kol bench`: measure the system on this machine."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from cli.context import AsJson, settings_of
from cli.output import Record, emit, emit_json, emit_table, to_people
from runtime.failure import HandledError
from runtime.settings import ROOT, Settings

if TYPE_CHECKING:
    from benchmarks.catalogue import Bench
    from benchmarks.report import BenchReport

RESULTS = ROOT / "benchmarks" / "results"
Runs = Annotated[int | None, typer.Option("--runs", min=1, help="How often; the bench knows a good number itself.")]
Only = Annotated[list[str] | None, typer.Option("--only", help="stream: measure this part only; may be repeated.")]
Events = Annotated[int | None, typer.Option("--events", min=1_000, help="stream: size of the backlog.")]
Seconds = Annotated[float | None, typer.Option("--seconds", min=1, help="stream: how long latency is measured.")]


class UnknownBenchError(HandledError):
    """There is no bench of that name, or it cannot be scaled; the message says which there are."""


def bench(  # noqa: PLR0913, PLR0917 - the options of one verb
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Which bench; 'list' shows all.")] = "list",
    runs: Runs = None,
    only: Only = None,
    events: Events = None,
    seconds: Seconds = None,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Run a bench: medians, the spread from the least to the largest run, and how many times better than a peer.

    The report is also written to benchmarks/results/NAME.json; one that is published is committed by hand. A quick look
    at a part (--only, --events, --seconds) is only printed.

    Example: ./kol bench demo --runs 3
    """
    from benchmarks.catalogue import BENCHES

    settings = settings_of(context)
    if name == "list":
        show_list(BENCHES, as_json=as_json)
        return
    if name not in BENCHES:
        raise UnknownBenchError(f"there is no bench {name!r}; there are: {', '.join(BENCHES)}")
    less = {"only": tuple(only or ()), "events": events, "seconds": seconds}
    scale = {option: value for option, value in less.items() if value}
    report = run_bench(settings, name, runs, scale)
    if not scale:
        write_report(report)
    if as_json:
        emit_json(msgspec.to_builtins(report))
    else:
        show_report(report)


def run_bench(settings: Settings, name: str, runs: int | None, scale: Mapping[str, Any]) -> "BenchReport":
    """Run a bench, or what `scale` wants of it, and describe where and when it ran.

    Raises:
        UnknownBenchError: It cannot be scaled.
    """
    from benchmarks.catalogue import BENCHES
    from benchmarks.machine import describe_machine
    from benchmarks.report import BenchReport
    from benchmarks.stream import Scale
    from features.instant import format_instant

    chosen = BENCHES[name]
    with to_people().status(f"measuring: {chosen.measures}"):
        if not scale:
            measured = chosen.run(settings, runs or chosen.runs)
        elif chosen.scaled:
            measured = chosen.scaled(settings, runs or chosen.runs, Scale(**scale))
        else:
            raise UnknownBenchError(f"the bench {name!r} is run as a whole; without --only, --events and --seconds")
    date = format_instant(datetime.now(UTC))
    return BenchReport(name, describe_machine(), measured.model_version, date, measured.figures)


def write_report(report: "BenchReport") -> None:
    """Write the report among the results."""
    from runtime.files import write_whole

    write_whole(RESULTS / f"{report.bench}.json", msgspec.json.format(msgspec.json.encode(report)) + b"\n")


def show_list(benches: "Mapping[str, Bench]", *, as_json: bool) -> None:
    """Print what can be measured."""
    rows: list[Record] = [{"bench": name, "measures": one.measures, "runs": one.runs} for name, one in benches.items()]
    emit(rows, title="Benches", as_json=as_json)


def show_report(report: "BenchReport") -> None:
    """Print the figures as a table."""
    rows = [
        {name: round(value, 3) if isinstance(value, float) else value for name, value in figure.items()}
        for figure in msgspec.to_builtins(report.figures)
    ]
    emit_table(f"{report.bench}, {report.date[:10]}, model {report.model_version or '-'}\n{report.machine}", rows)
