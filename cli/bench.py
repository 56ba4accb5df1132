"""`./kol bench`: measure the system on this machine."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

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


class UnknownBenchError(HandledError):
    """There is no bench of that name; the message lists those there are."""


def bench(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Which bench; 'list' shows all.")] = "list",
    runs: Runs = None,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Run a bench: medians, the spread from the least to the largest run, and how many times better than a peer.

    The report is also written to benchmarks/results/NAME.json; one that is published is committed by hand.

    Example: ./kol bench demo --runs 3
    """
    from benchmarks.catalogue import BENCHES

    settings = settings_of(context)
    if name == "list":
        show_list(BENCHES, as_json=as_json)
        return
    if name not in BENCHES:
        raise UnknownBenchError(f"there is no bench {name!r}; there are: {', '.join(BENCHES)}")
    report = run_bench(settings, name, runs)
    write_report(report)
    if as_json:
        emit_json(msgspec.to_builtins(report))
    else:
        show_report(report)


def run_bench(settings: Settings, name: str, runs: int | None) -> "BenchReport":
    """Run a bench and describe where and when it ran."""
    from benchmarks.catalogue import BENCHES
    from benchmarks.machine import describe_machine
    from benchmarks.report import BenchReport
    from features.instant import format_instant

    chosen = BENCHES[name]
    with to_people().status(f"measuring: {chosen.measures}"):
        measured = chosen.run(settings, runs or chosen.runs)
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
