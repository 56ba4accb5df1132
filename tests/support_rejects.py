"""Refused events in the lake, put there without a stream: by its own functions, in this process."""

from collections.abc import Iterable
from datetime import datetime

import pyarrow as pa
from deltalake import write_deltalake

from features.event import decode_event
from features.refusal import Refusal
from features.score import Provenance
from runtime.lake import REJECTED_EVENTS, arrow_schema
from runtime.settings import Settings
from runtime.topics import EVENTS, REJECTED, consumer, end_offsets, topic_ids
from streaming.outcomes import Message, reject
from streaming.rows import rejected_row


def refusal_of(data: bytes, seen_at: datetime) -> Refusal:
    """Return why bytes are refused; they must be."""
    found = decode_event(data, seen_at=seen_at)
    assert isinstance(found, Refusal), data[:80]
    return found


def land_rejects(settings: Settings, messages: Iterable[Message]) -> None:
    """Refuse messages at the time of their arrival, and append them to the table."""
    rows = []
    for number, message in enumerate(messages):
        refused = reject(message, refusal_of(message.value or b"", message.appended_at), message.appended_at)
        rows.append(rejected_row(Message(refused.value, REJECTED, Provenance("R", 0, number), message.appended_at)))
    columns = dict(zip(REJECTED_EVENTS.column_names, zip(*[row for row in rows if row], strict=True), strict=True))
    table = pa.Table.from_pydict(columns, schema=arrow_schema(REJECTED_EVENTS.columns))
    write_deltalake(REJECTED_EVENTS.uri(settings), table, mode="append")


def rejects_of(settings: Settings, seen_at: datetime) -> list[Message]:
    """Read all of `kol.events`, as if it had arrived at a time."""
    topic_id, wanted = topic_ids(settings)[EVENTS], sum(end_offsets(settings, EVENTS).values())
    found: list[Message] = []
    with consumer(settings, EVENTS) as reader:
        while len(found) < wanted:
            for records in reader.poll(timeout_ms=5_000).values():
                found += [
                    Message(each.value, EVENTS, Provenance(topic_id, each.partition, each.offset), seen_at)
                    for each in records
                ]
    return found
