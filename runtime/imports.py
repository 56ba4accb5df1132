"""Profiles of a file as KOL events: identity from the file where it gives one, made from file and row where not."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from features.event import Event, decode_event, decode_profile
from features.instant import format_instant
from features.profile import RAW_NAMES
from features.refusal import Refusal
from runtime.profile_files import Record, read_records


class Identity(msgspec.Struct, frozen=True):
    """The identity fields that a row may bring."""

    kol_id: str | None = None
    event_id: str | None = None
    event_time: str | None = None


def file_events(path: Path, *, observed_at: datetime) -> Iterator[tuple[int, Event | Refusal]]:
    """Yield each row's number and its event, or why it is refused.

    Args:
        path: Profiles as CSV, JSON lines or Parquet.
        observed_at: The event time of rows that bring none, and the clock that future ones are held against.

    Raises:
        ProfileFileError: The file cannot be read.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    for record in read_records(path):
        yield record.row, row_event(record, digest, observed_at)


def row_event(record: Record, digest: str, observed_at: datetime) -> Event | Refusal:
    """Make the event of one row, and hold it to the same rules as any other."""
    profile = decode_profile(record.data)
    if isinstance(profile, Refusal):
        return profile
    try:
        given = msgspec.json.decode(record.data, type=Identity)
    except msgspec.ValidationError as error:
        return Refusal("wrong_type", None, f"kol_id, event_id and event_time are texts ({error}); send texts")
    fields = dict(zip(RAW_NAMES, profile.values(), strict=True)) | {
        "schema_version": 1,
        "kol_id": given.kol_id,
        "event_id": given.event_id or f"import:{digest}:{record.row}",
        "event_time": given.event_time or format_instant(observed_at),
    }
    return decode_event(msgspec.json.encode(fields), seen_at=observed_at)
