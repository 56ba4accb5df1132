"""`./kol demo`: the whole system on real parts, from labelled accounts to merged answers, in one command."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from cli.context import AsJson, settings_of
from cli.output import Steps, emit_json, to_stdout

if TYPE_CHECKING:  # the demo needs every room; './kol --help' needs none
    from cli.demonstration import Demonstration

RISK_STYLES = {"low": "green", "moderate": "cyan", "elevated": "yellow", "high": "red"}


def demo(
    context: typer.Context,
    dataset: Annotated[Path | None, typer.Option(help="CSV of labelled accounts.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end.")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Train, release, replay, land, score by night and by stream, and ask the API; about two minutes.

    Example: ./kol demo --keep
    """
    from cli.demonstration import run_demo

    settings = settings_of(context, dataset=dataset)
    steps = Steps()
    shown = run_demo(settings, steps, keep=keep)
    if as_json:
        emit_json(as_record(shown, steps))
    else:
        show(shown, steps, to_stdout())


def as_record(shown: "Demonstration", steps: Steps) -> dict[str, object]:
    """Return everything the demo found out, for machines."""
    return {
        "dataset": shown.dataset,
        "synthetic": shown.synthetic,
        "accounts": shown.accounts,
        "model_version": shown.model_version,
        "metrics": shown.metrics,
        "answers": [dict(answer) for answer in shown.answers],
        "steps": steps.seconds,
        "total_seconds": round(sum(steps.seconds.values()), 2),
        "api": shown.address,
        "lake": shown.lake,
        "running": shown.running,
    }


def show(shown: "Demonstration", steps: Steps, console: Console) -> None:
    """Print the table of answers and where everything is."""
    source = "SYNTHETIC DATA: generated accounts, no real ones" if shown.synthetic else shown.dataset
    table = Table(title=f"What the API answers ({source})", title_justify="left", header_style="bold")
    for column in ("KOL", "source", "score", "risk", "confidence", "observed at", "age", "evidence"):
        table.add_column(column)
    for answer in shown.answers:
        risk = str(answer["risk_level"])
        table.add_row(
            str(answer["kol_id"]),
            str(answer["prediction_source"]),
            f"{answer['trust_score']:.2f}",
            f"[{RISK_STYLES[risk]}]{risk}[/]",
            f"{answer['confidence']:.2f}",
            str(answer["observed_at"])[:19] + "Z",
            f"{answer['age_seconds']:.0f} s",
            ", ".join(answer["evidence"]) or "full",
        )
    console.print(table)
    console.print(f"total {sum(steps.seconds.values()):.0f} s; model {shown.model_version}")
    for name, place in places(shown).items():
        console.print(f"  {name:<9} {place}", soft_wrap=True)


def places(shown: "Demonstration") -> dict[str, str]:
    """Say where to look next."""
    return {
        "API docs": f"{shown.address}/docs" + ("" if shown.running else "  (when it runs: ./kol up)"),
        "tables": shown.lake,
        "MLflow UI": shown.mlflow_command,
        "next": "./kol down" if shown.running else "./kol demo --keep leaves it running; ./kol --help",
    }
