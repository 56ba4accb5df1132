"""`./kol data`: the labelled accounts that models learn from and that the demo replays."""

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

from cli.context import AsJson, settings_of
from cli.output import Record, emit_json, emit_table, to_people
from cli.train import Dataset, announce

if TYPE_CHECKING:
    from registry.accounts import Accounts

app = typer.Typer(no_args_is_help=True, help="Labelled accounts: where they come from and what is in them.")


@app.command()
def fetch(
    context: typer.Context,
    *,
    sha256: Annotated[str | None, typer.Option(help="SHA-256 of the file; KOL_DATASET_SHA256 by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Download the public labelled accounts (KOL_DATASET_URL) and keep them if they have the right SHA-256.

    Example: ./kol data fetch --sha256 0123...cdef
    """
    from registry.accounts import FETCHED_DATASET
    from registry.fetch import fetch as fetch_file

    settings = settings_of(context, dataset_sha256=sha256)
    target = settings.home.resolve() / FETCHED_DATASET
    with Progress("fetching", BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=to_people()) as bar:
        task = bar.add_task("fetching", total=None)
        fetch_file(
            settings.dataset_url,
            target,
            settings.dataset_sha256,
            lambda done, of: bar.update(task, completed=done, total=of),
        )
    if as_json:
        emit_json({"path": str(target), "bytes": target.stat().st_size, "sha256": settings.dataset_sha256})
    else:
        typer.echo(target)


@app.command()
def describe(
    context: typer.Context,
    *,
    dataset: Dataset = None,
    as_json: AsJson = False,
) -> None:
    """Say where the labelled accounts come from, how many there are, what their columns hold and what was refused.

    Example: ./kol data describe --dataset accounts.csv
    """
    from registry.accounts import find_accounts

    accounts = find_accounts(settings_of(context, dataset=dataset)).load()
    columns = _columns(accounts)
    if as_json:
        refused = [dataclasses.asdict(row) for row in accounts.refused]
        emit_json({**_facts(accounts), "columns": columns, "refused": refused})
        return
    announce(accounts)
    emit_table("Labelled accounts", [{"fact": name, "value": value} for name, value in _facts(accounts).items()])
    emit_table("Raw columns", columns)


def _facts(accounts: "Accounts") -> dict[str, object]:
    """Return the facts about all accounts together."""
    return {
        "origin": accounts.origin,
        "synthetic": accounts.synthetic,
        "sha256": accounts.digest,
        "accounts": len(accounts),
        "refused_rows": len(accounts.refused),
        "untrustworthy_share": round(float(accounts.labels.mean()), 4),
        "oldest_created_at": str(accounts.created_at.min()),
        "newest_created_at": str(accounts.created_at.max()),
    }


def _columns(accounts: "Accounts") -> list[Record]:
    """Return least, middle and largest value of each raw column, and how many are unknown."""
    import numpy as np

    rows: list[Record] = []
    for name, column in accounts.profiles.columns().items():
        known = column[~np.isnan(column)]
        low, middle, high = np.percentile(known, (0, 50, 100)).tolist() if len(known) else (None, None, None)
        unknown = len(column) - len(known)
        rows.append({"column": name, "least": low, "median": middle, "largest": high, "unknown": unknown})
    return rows
