"""Sending the profiles of a file: what `./kol batch import` and `./kol events replay` share."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cli.output import emit_json, emit_table, to_people
from features.event import Event
from features.refusal import Refusal
from runtime.failure import HandledError
from runtime.imports import file_events
from runtime.sender import send_events
from runtime.settings import Settings
from runtime.topics import create_topics

MOST_SHOWN = 20


class AllRefusedError(HandledError):
    """No row of the file could be sent."""


def send_file(settings: Settings, file: Path, *, per_second: float | None, as_json: bool) -> None:
    """Send every good row, report every refused one.

    Raises:
        AllRefusedError: There was no good row.
    """
    refused: list[dict[str, object]] = []

    def good_events() -> Iterator[Event]:
        for row, result in file_events(file, observed_at=datetime.now(UTC)):
            if isinstance(result, Refusal):
                refused.append({"row": row, "reason": result.reason, "field": result.field, "detail": result.detail})
            else:
                yield result

    create_topics(settings)
    with sending_bar() as bar:
        task = bar.add_task(f"sending {file.name}", total=None)
        sent = send_events(
            settings, good_events(), per_second=per_second, report=lambda n: bar.update(task, completed=n)
        )
    if as_json:
        emit_json({"file": str(file), "sent": sent, "refused": refused})
    else:
        emit_table(f"{sent} events sent, {len(refused)} rows refused", refused[:MOST_SHOWN])
    if sent == 0:
        raise AllRefusedError(f"no row of {file} could be sent; {len(refused)} were refused")


def sending_bar() -> Progress:
    """Return the progress bar of a job that counts events."""
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}"), TimeElapsedColumn()
    return Progress(*columns, console=to_people(), transient=True)
