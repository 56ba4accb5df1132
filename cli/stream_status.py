"""`./kol stream status`: each query's last micro-batch, how far it is behind, and with --watch all that live."""

import time

import msgspec
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from cli.output import emit_json, to_people
from runtime.settings import Settings
from streaming.status import QueryStatus, StreamStatus, read_status

LOOK_SECONDS = 1.0
BAR_WIDTH = 24
NEVER_RAN = "the stream never ran here; start it with ./kol up or ./kol stream run"


def show_status(settings: Settings, *, as_json: bool, watch: bool) -> None:
    """Print the status once, or every second until Ctrl-C: on a terminal in place, as JSON a line a second."""
    if as_json:
        emit_status(settings)
        while watch:
            time.sleep(LOOK_SECONDS)
            emit_status(settings)
    elif not watch:
        found = read_status(settings)
        Console().print(picture(found, found)) if found else to_people().print(NEVER_RAN)
    else:
        watch_status(settings)


def emit_status(settings: Settings) -> None:
    """Print the status as JSON."""
    found = read_status(settings)
    emit_json(None if found is None else msgspec.to_builtins(found))


def watch_status(settings: Settings) -> None:
    """Show the status live, the bar full at the largest lag seen since."""
    worst: StreamStatus | None = None
    with Live(console=Console(), refresh_per_second=4) as live:
        while True:
            if found := read_status(settings):
                worst = found if worst is None or furthest(found) >= furthest(worst) else worst
            live.update(picture(found, worst) if found and worst else NEVER_RAN)
            time.sleep(LOOK_SECONDS)


def furthest(status: StreamStatus) -> int:
    """Return how many messages the query is behind that is furthest behind."""
    return max((query.behind for query in status.queries), default=0)


def picture(status: StreamStatus, worst: StreamStatus) -> Table:
    """Draw one row per query; the bar is the lag, full at that of `worst`."""
    table = Table(title=f"Stream at {status.at}, model {status.model_version}", title_justify="left")
    for name in ("query", "batch", "rows", "in/s", "processed/s", "batch ms", "behind", "catch up s", "lag"):
        table.add_column(name, justify="left" if name in {"query", "lag"} else "right")
    for query in status.queries:
        table.add_row(*cells(query), ProgressBar(max(furthest(worst), 1), query.behind, width=BAR_WIDTH))
    return table


def cells(query: QueryStatus) -> list[RenderableType]:
    """Return a query's figures as texts."""
    return [
        query.name,
        "-" if query.batch_id is None else str(query.batch_id),
        f"{query.input_rows:,}",
        f"{query.input_per_second:,.0f}",
        f"{query.rows_per_second:,.0f}",
        f"{query.batch_milliseconds:,}",
        f"{query.behind:,}",
        "-" if query.catch_up_seconds is None else f"{query.catch_up_seconds:.1f}",
    ]
