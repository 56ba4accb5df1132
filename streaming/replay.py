"""Sending refused events again, with the bytes that they had, through `kol.events`, the one entrance."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kafka import TopicPartition

from features.event import Event, decode_event
from runtime.failure import HandledError
from runtime.settings import Settings
from runtime.topics import EVENTS, consumer, producer, topic_ids
from streaming.rejects import Place, Rejected

HEADER = "kol-replay-of"
"""Header of a message that was sent again: the place of the one that was refused."""
READ_SECONDS = 20
FLUSH_SECONDS = 60


class ReplayError(HandledError):
    """Some refused events could not be sent again; they stay in the table."""


@dataclass(slots=True)
class Replayed:
    """What became of the refused events that were to be sent again.

    Attributes:
        sent: How many were acknowledged; in a dry run, how many would be sent.
        accepted: How many of these the decoder of today accepts.
        gone: Places of which only a head is left, here and in Kafka.
        foreign: Places of messages that never were events: others wrote them to topics of ours.
    """

    sent: int = 0
    accepted: int = 0
    gone: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


def replay(
    settings: Settings, rejects: Iterable[Rejected], *, dry_run: bool, report: Callable[[int], None]
) -> Replayed:
    """Send refused events again.

    Args:
        settings: Where Kafka is.
        rejects: Which.
        dry_run: Only find out what would be sent.
        report: Called with the number sent so far.

    Raises:
        ReplayError: The broker did not acknowledge all.
        TopicsError: Kafka does not answer.
    """
    done = Replayed()
    if dry_run:
        for _, _, event in _messages(settings, rejects, done):
            done.sent, done.accepted = done.sent + 1, done.accepted + (event is not None)
            report(done.sent)
        return done
    pending: list[Any] = []
    client = producer(settings)
    try:
        for place, value, event in _messages(settings, rejects, done):
            key = (event.kol_id if event else str(place)).encode()  # a message must have one where it has no value
            pending.append(client.send(EVENTS, key=key, value=value, headers=[(HEADER, str(place).encode())]))
            done.accepted += event is not None
            report(len(pending))
        client.flush(timeout=FLUSH_SECONDS)
    finally:
        client.close()
    done.sent = sum(bool(future.succeeded()) for future in pending)
    if done.sent != len(pending):
        raise ReplayError(f"{done.sent} of {len(pending)} events were acknowledged; replay again, twice does no harm")
    return done


def _messages(
    settings: Settings, rejects: Iterable[Rejected], done: Replayed
) -> Iterator[tuple[Place, bytes | None, Event | None]]:
    """Yield place, bytes, and the event if it is one by now; note those that cannot be sent."""
    topic_id = topic_ids(settings).get(EVENTS)
    for rejected in rejects:
        if rejected.topic != EVENTS:
            done.foreign.append(str(rejected.place))
            continue
        value = rejected.value_head
        if not rejected.is_whole:
            value = read_again(settings, rejected) if rejected.place.topic_id == topic_id else None
            if value is None:
                done.gone.append(str(rejected.place))
                continue
        event = decode_event(value or b"", seen_at=datetime.now(UTC))
        yield rejected.place, value, event if isinstance(event, Event) else None


def read_again(settings: Settings, rejected: Rejected) -> bytes | None:
    """Read a message from Kafka once more; None when it is not kept any more, or is not the one that was refused."""
    place = TopicPartition(EVENTS, rejected.place.partition)
    offset = rejected.place.offset
    with consumer(settings, EVENTS) as reader:
        if place not in reader.assignment():
            return None
        if not reader.beginning_offsets([place])[place] <= offset < reader.end_offsets([place])[place]:
            return None
        reader.assign([place])
        reader.seek(place, offset)
        records = reader.poll(timeout_ms=READ_SECONDS * 1000, max_records=1).get(place, [])
    value = records[0].value if records and records[0].offset == offset else None
    return value if value is not None and hashlib.sha256(value).hexdigest() == rejected.value_sha256 else None
