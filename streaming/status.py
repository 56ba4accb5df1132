"""What the running stream says of itself: one small file, rewritten every second, read by `./kol stream status`."""

from typing import Any

import msgspec
from msgspec import Struct
from pyspark.sql.streaming.query import StreamingQuery

from runtime.files import write_whole
from runtime.settings import Settings

FILE = "stream-status.json"


class QueryStatus(Struct, frozen=True):
    """One query's last finished micro-batch.

    Attributes:
        name: The query.
        batch_id: Number of the micro-batch, or None before the first.
        input_rows: Messages in it.
        rows_per_second: Messages it processed per second.
        batch_milliseconds: How long it took.
        behind: Messages in Kafka that it has not read yet, over all partitions.
    """

    name: str
    batch_id: int | None
    input_rows: int
    rows_per_second: float
    batch_milliseconds: int
    behind: int


class StreamStatus(Struct, frozen=True):
    """The stream as of `at` (RFC 3339, UTC)."""

    at: str
    model_version: str
    queries: tuple[QueryStatus, ...]


def query_status(query: StreamingQuery) -> QueryStatus:
    """Read a query's last progress."""
    progress: Any = query.lastProgress
    if progress is None:
        return QueryStatus(query.name or "", None, 0, 0.0, 0, 0)
    behind = [source["metrics"].get("maxOffsetsBehindLatest", 0) for source in progress["sources"] if source["metrics"]]
    return QueryStatus(
        name=query.name or "",
        batch_id=progress["batchId"],
        input_rows=progress["numInputRows"],
        rows_per_second=round(progress["processedRowsPerSecond"] or 0.0, 1),
        batch_milliseconds=progress["batchDuration"],
        behind=max((int(count) for count in behind), default=0),
    )


def write_status(settings: Settings, status: StreamStatus) -> None:
    """Replace the status file."""
    write_whole(settings.runs / FILE, msgspec.json.encode(status))


def read_status(settings: Settings) -> StreamStatus | None:
    """Return the last status that was written, or None when the stream never ran."""
    path = settings.runs / FILE
    return msgspec.json.decode(path.read_bytes(), type=StreamStatus) if path.exists() else None
