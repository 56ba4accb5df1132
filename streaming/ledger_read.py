"""What the ledger notes of each message: its own reading of events, scores and rejects."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from streaming.ledger_topics import Span, Topics

Ints = NDArray[np.int64]
SCORED, REJECTED, HEARTBEAT = 1, 2, 3
NO_IDENTITY = 0


class Place(Struct, frozen=True, gc=False):
    """Where an event stood."""

    topic_id: str
    partition: int
    offset: int


class Told(Struct, frozen=True, gc=False):
    """What the ledger reads of an outcome; the rest counts by its bytes."""

    provenance: Place
    event_id: str | None = None
    kol_id: str | None = None
    timestamp: str | None = None
    rejected_at: str | None = None
    model_sha: str | None = None
    promotion_seq: int = 0


class Sent(Struct, frozen=True, gc=False):
    """What the ledger reads of an event."""

    event_id: str
    kol_id: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """Columns of whole numbers, one row per message."""

    columns: Mapping[str, Ints]

    def __getitem__(self, name: str) -> Ints:
        """Return a column."""
        return self.columns[name]

    def where(self, wanted: NDArray[np.bool_]) -> "Sheet":
        """Return the rows that are wanted."""
        return Sheet({name: column[wanted] for name, column in self.columns.items()})

    @classmethod
    def of(cls, names: tuple[str, ...], rows: Sequence[tuple[int, ...]]) -> "Sheet":
        """Put rows into columns."""
        cells = np.array(rows, dtype=np.int64).reshape(len(rows), len(names))
        return cls({name: cells[:, at] for at, name in enumerate(names)})

    @classmethod
    def joined(cls, sheets: list["Sheet"]) -> "Sheet":
        """Put sheets of the same columns one below the other."""
        return cls({name: np.concatenate([sheet[name] for sheet in sheets]) for name in sheets[0].columns})


EVENT_COLUMNS = ("partition", "offset", "identity")
OUTCOME_COLUMNS = (
    "own_partition",
    "own_offset",
    "appended",
    "of",
    "partition",
    "offset",
    "identity",
    "content",
    "maker",
)


def read_events(topics: Topics, topic: str, spans: Mapping[int, Span], report: Callable[[int], None]) -> Sheet:
    """Note where each event stands, and who it says it is."""
    decoder = msgspec.json.Decoder(Sent)
    rows = []
    for message in topics.read(topic, spans, report):
        try:
            sent = decoder.decode(message.value() or b"")
            identity = hash((sent.event_id, sent.kol_id))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            identity = NO_IDENTITY
        rows.append((message.partition() or 0, message.offset() or 0, identity))
    return Sheet.of(EVENT_COLUMNS, rows)


def read_outcomes(
    topics: Topics, topic: str, spans: Mapping[int, Span], *, topic_id: str, report: Callable[[int], None]
) -> Sheet:
    """Note of which event each outcome is, and its content without the time at which it was made.

    `of` is 1 when it is of an event of the topic with that id, else 0: a message of nobody, or of an earlier topic.
    """
    decoder = msgspec.json.Decoder(Told)
    rows = []
    for message in topics.read(topic, spans, report):
        value = message.value() or b""
        own = message.partition() or 0, message.offset() or 0, message.timestamp()[1]
        try:
            told = decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            rows.append((*own, 0, -1, -1, NO_IDENTITY, 0, 0))
            continue
        place = told.provenance
        content = hash(value.replace((told.timestamp or told.rejected_at or "").encode(), b""))
        identity = hash((told.event_id, told.kol_id)) if told.event_id is not None else NO_IDENTITY
        maker = hash((told.model_sha, told.promotion_seq))
        of = int(place.topic_id == topic_id)
        rows.append((*own, of, place.partition, place.offset, identity, content, maker))
    return Sheet.of(OUTCOME_COLUMNS, rows)
