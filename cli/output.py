"""What a verb prints: data on stdout, as a table or as JSON; progress and messages on stderr."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

Record = Mapping[str, object]

WIDTH_WITHOUT_TERMINAL = 140


def to_people() -> Console:
    """Return the console for progress and messages: stderr, with colour only on a terminal."""
    return Console(stderr=True, highlight=False)


def to_stdout() -> Console:
    """Return the console for data; as wide as the terminal, or wide enough for a table where there is none."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL)


def emit_json(data: object) -> None:
    """Print one JSON value to stdout."""
    json.dump(data, sys.stdout, indent=2, ensure_ascii=False, allow_nan=False, default=str)
    sys.stdout.write("\n")


def emit_table(title: str, rows: Sequence[Record], columns: Iterable[str] | None = None) -> None:
    """Print records as a table to stdout; nothing but a dash where there is no value."""
    names = list(columns) if columns is not None else list(rows[0]) if rows else []
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*("-" if row.get(name) is None else str(row[name]) for name in names))
    to_stdout().print(table)


def emit(rows: Sequence[Record], *, title: str, as_json: bool, columns: Iterable[str] | None = None) -> None:
    """Print records the way the caller asked for."""
    if as_json:
        emit_json(rows)
    else:
        emit_table(title, rows, columns)


@dataclass(slots=True)
class Steps:
    """The steps of a long job, each with a line on stderr when it is done and its time."""

    console: Console = field(default_factory=to_people)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, says: str) -> Iterator[None]:
        """Run one step under a spinner; `name` is its key in the JSON, `says` what people read.

        The times of steps of one name add up: a job may meet what another one of its parts did already.
        """
        started = time.monotonic()
        with self.console.status(says):
            yield
        took = time.monotonic() - started
        self.seconds[name] = round(self.seconds.get(name, 0.0) + took, 2)
        self.console.print(f"[green]✓[/green] {says} [dim]{took:.1f} s[/dim]")

    def note(self, text: str) -> None:
        """Print one line between the steps."""
        self.console.print(text)
