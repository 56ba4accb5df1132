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
        behind: Messages in Kafka that it has not read yet, over all partitions, when the micro-batch was planned.
        input_per_second: Messages that came in per second.
        catch_up_seconds: How long it needs for those at the rate of this micro-batch; None when it read nothing.
        parts_milliseconds: Where the time of the micro-batch went, by Spark's names of its phases.
    """

    name: str
    batch_id: int | None
    input_rows: int
    rows_per_second: float
    batch_milliseconds: int
    behind: int
    input_per_second: float = 0.0
    catch_up_seconds: float | None = None
    parts_milliseconds: dict[str, int] = msgspec.field(default_factory=dict)


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
    rate = progress["processedRowsPerSecond"] or 0.0
    behind = sum(unread(source["endOffset"], source["latestOffset"]) for source in progress["sources"])
    return QueryStatus(
        name=query.name or "",
        batch_id=progress["batchId"],
        input_rows=progress["numInputRows"],
        rows_per_second=round(rate, 1),
        batch_milliseconds=progress["batchDuration"],
        behind=behind,
        input_per_second=round(progress["inputRowsPerSecond"] or 0.0, 1),
        catch_up_seconds=round(behind / rate, 1) if rate else None,
        parts_milliseconds=dict(progress["durationMs"]),
    )


def unread(read: str | None, latest: str | None) -> int:
    """Count the messages between two positions of a Kafka source, JSON as Spark reports them; 0 where one is unknown.

    >>> unread('{"t": {"0": 5, "1": 2}}', '{"t": {"0": 7, "1": 2, "2": 1}}')
    3
    """
    reached, there = _by_place(read), _by_place(latest)
    return sum(max(0, end - reached.get(place, 0)) for place, end in there.items()) if reached else 0


def _by_place(offsets: str | None) -> dict[tuple[str, str], int]:
    by_topic = msgspec.json.decode(offsets or "null", type=dict[str, dict[str, int]] | None) or {}
    return {(topic, partition): end for topic, ends in by_topic.items() for partition, end in ends.items()}


def write_status(settings: Settings, status: StreamStatus) -> None:
    """Replace the status file."""
    write_whole(settings.runs / FILE, msgspec.json.encode(status))


def read_status(settings: Settings) -> StreamStatus | None:
    """Return the last status that was written, or None when the stream never ran."""
    path = settings.runs / FILE
    return msgspec.json.decode(path.read_bytes(), type=StreamStatus) if path.exists() else None
