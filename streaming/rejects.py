"""The refused events as they stand in the lake: counted by reason, found by their place. No JVM is needed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from features.refusal import Reason
from runtime.failure import HandledError
from runtime.lake import REJECTED_EVENTS
from runtime.settings import Settings
from runtime.tables import open_table

PLACE = ("source_topic_id", "source_partition", "source_offset")
FEW_ROWS = 256
"""Rows read at once where their bytes are read too: 16 MiB at most."""
MOST_EXAMPLES = 3
REMEDIES: Mapping[Reason, str] = {
    "empty": "kol.events takes no tombstones; find the producer that deletes by key",
    "too_long": "this is no profile; find its producer",
    "unparsable": "let the producer write one JSON object in UTF-8 per message",
    "not_an_object": "send each event as a message of its own",
    "duplicate_key": "let the producer write each key once",
    "missing_field": "send all required fields: ./kol events schema",
    "unknown_schema_version": "send version 1: ./kol events schema",
    "wrong_type": "send whole numbers and true or false, without quotes: ./kol events schema",
    "not_finite": "send null for what is not known",
    "negative": "correct the count where it is made; send null for an optional one that is not known",
    "too_large": "correct the count where it is made",
    "bad_identifier": "send ids of 1 to 128 bytes without control characters",
    "bad_time": "send RFC 3339 with a zone, such as 2026-01-31T12:00:00.000000Z",
    "future_time": "set the producer's clock; when the time has come, ./kol stream rejected replay",
    "unscorable": "report it with the model's version; after a release that scores it, ./kol stream rejected replay",
}
"""What mends the cause of each reason."""


class RejectedPlaceError(HandledError):
    """There is no rejected event at a place, or the words name no place."""

    @classmethod
    def malformed(cls, words: str) -> Self:
        """Say how a place is written."""
        return cls(f"{words!r} is no place; write TOPIC_ID:PARTITION:OFFSET as ./kol stream rejected list shows it")

    @classmethod
    def absent(cls, place: "Place") -> Self:
        """Say that nothing was landed from there."""
        return cls(f"no rejected event of {place} is in the lake; see ./kol stream rejected list, or land first")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an event stood in Kafka."""

    topic_id: str
    partition: int
    offset: int

    @classmethod
    def read(cls, words: str) -> Self:
        """Read `TOPIC_ID:PARTITION:OFFSET`.

        Raises:
            RejectedPlaceError: It is none.
        """
        parts = words.split(":")
        if len(parts) != len(PLACE) or not all(part.isascii() and part.isdigit() for part in parts[1:]):
            raise RejectedPlaceError.malformed(words)
        return cls(parts[0], int(parts[1]), int(parts[2]))

    def __str__(self) -> str:
        return f"{self.topic_id}:{self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True)
class Rejected:
    """One refused event, as the table `rejected_events` has it.

    Attributes:
        place: Where it stood.
        topic: Name of its topic.
        reason: Why it was refused, in one word.
        field: The field at fault, or None.
        detail: The reason as a sentence.
        value_head: Its first 64 KiB; None for a message without a value.
        value_bytes: Its length.
        value_sha256: Its hash.
        rejected_at: When it was refused.
    """

    place: Place
    topic: str
    reason: str
    field: str | None
    detail: str
    value_head: bytes | None
    value_bytes: int
    value_sha256: str
    rejected_at: datetime

    @property
    def is_whole(self) -> bool:
        """Tell whether the table has all its bytes."""
        return len(self.value_head or b"") == self.value_bytes


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many events were refused for one reason, each counted once, and the newest of them."""

    reason: str
    events: int
    first: datetime
    last: datetime
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rejects are meant; all where nothing is given."""

    reason: str | None = None
    since: datetime | None = None
    places: tuple[Place, ...] = ()

    def filter(self) -> pc.Expression | None:
        """Write the choice as a condition on the table."""
        conditions = [
            *([pc.field("reason") == self.reason] if self.reason else []),
            *([pc.field("rejected_at") >= pa.scalar(self.since, pa.timestamp("us", tz="UTC"))] if self.since else []),
            *([pc.field("source_offset").isin([each.offset for each in self.places])] if self.places else []),
        ]
        found = None
        for condition in conditions:
            found = condition if found is None else found & condition
        return found

    def holds(self, place: Place) -> bool:
        """Tell whether a place is among the chosen ones."""
        return not self.places or place in self.places


def read_counts(settings: Settings, choice: Choice) -> list[ReasonCount]:
    """Count the rejects by reason, the most frequent first. A reject that was landed twice counts once."""
    names = [*PLACE, "reason", "rejected_at"]
    batches = list(_scan(settings, choice, names))
    if not batches:
        return []
    once = (
        pa.Table.from_batches(batches)
        .group_by([*PLACE, "reason"], use_threads=False)
        .aggregate([("rejected_at", "min")])
    )
    newest_first = once.sort_by([("rejected_at_min", "descending"), *((name, "descending") for name in PLACE[1:])])
    counts = [_count(reason, newest_first) for reason in pc.unique(newest_first["reason"]).to_pylist()]
    return sorted(counts, key=lambda count: (-count.events, count.reason))


def read_rejects(settings: Settings, choice: Choice) -> Iterator[Rejected]:
    """Yield the chosen rejects with their bytes, each once; few are in memory at a time."""
    seen: set[Place] = set()
    names = [name for name, _ in REJECTED_EVENTS.columns if name not in {"topic_id", "partition", "offset"}]
    for batch in _scan(settings, choice, names):
        for row in batch.to_pylist():
            rejected = _rejected(row)
            if choice.holds(rejected.place) and rejected.place not in seen:
                seen.add(rejected.place)
                yield rejected


def find_reject(settings: Settings, place: Place) -> Rejected:
    """Return the reject of one place.

    Raises:
        RejectedPlaceError: There is none.
    """
    for rejected in read_rejects(settings, Choice(places=(place,))):
        return rejected
    raise RejectedPlaceError.absent(place)


def printable(data: bytes) -> str:
    r"""Write bytes so that no terminal is moved by them: what cannot be seen is escaped.

    >>> print(printable(b'{"kol_id": "\x1b[2J\xff"}'))
    {"kol_id": "\x1b[2J\xff"}
    """
    text = data.decode("utf-8", errors="backslashreplace")
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _scan(settings: Settings, choice: Choice, names: list[str]) -> Iterator[pa.RecordBatch]:
    """Read some columns of the chosen rows, a few at a time; nothing where nothing was ever landed."""
    if DeltaTable.is_deltatable(REJECTED_EVENTS.uri(settings)):
        rows = open_table(settings, REJECTED_EVENTS).to_pyarrow_dataset()
        scanned: Any = rows.scanner(names, filter=choice.filter(), batch_size=FEW_ROWS, batch_readahead=1)
        yield from scanned.to_batches()


def _count(reason: str, once: pa.Table) -> ReasonCount:
    """Sum up the rows of one reason, newest first."""
    rows = once.filter(pc.field("reason") == reason)
    places = zip(*(rows[name].slice(0, MOST_EXAMPLES).to_pylist() for name in PLACE), strict=True)
    times = rows["rejected_at_min"].to_pylist()
    return ReasonCount(reason, len(rows), times[-1], times[0], tuple(str(Place(*place)) for place in places))


def _rejected(row: Mapping[str, Any]) -> Rejected:
    return Rejected(
        place=Place(*(row[name] for name in PLACE)),
        topic=row["topic"],
        reason=row["reason"],
        field=row["field"],
        detail=row["detail"],
        value_head=row["value_head"],
        value_bytes=row["value_bytes"],
        value_sha256=row["value_sha256"],
        rejected_at=row["rejected_at"],
    )
