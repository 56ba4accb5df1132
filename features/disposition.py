"""What an event was when it arrived: new, a duplicate, or superseded. A pure rule over what was seen before."""

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

EPOCH = datetime(1, 1, 1, tzinfo=UTC)


class Disposition(StrEnum):
    """What an event was to the raw log when it arrived there."""

    NEW = "new"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event as the rule sees it; `body_hash` is 16 hex digits."""

    kol_id: str
    event_id: str
    event_time: datetime
    body_hash: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """What an event was; `conflict` = its id was seen before with another content."""

    disposition: Disposition
    conflict: bool


DUPLICATE = Ruling(Disposition.DUPLICATE, conflict=False)
FRESH = {
    (older, conflict): Ruling(Disposition.SUPERSEDED if older else Disposition.NEW, conflict=conflict)
    for older in (False, True)
    for conflict in (False, True)
}


def rule(
    arrivals: Iterable[Arrival], bodies: MutableMapping[str, bytes], newest: MutableMapping[str, bytes]
) -> list[Ruling]:
    """Rule on events in the order of their arrival.

    Args:
        arrivals: What came.
        bodies: The contents seen per event id, 8 bytes each, of at least the ids that arrive; taken on.
        newest: The order key of each KOL's newest event, of at least the KOLs that arrive; taken on.

    Returns:
        For each: `duplicate` when the same id came with the same content before, else `superseded` when a newer event
        of the KOL came before, else `new`. Newer is what `features.precedence` says. An id that came before with
        another content is a conflict, whichever of the two it is.
    """
    rulings = []
    for arrival in arrivals:
        body = bytes.fromhex(arrival.body_hash)
        seen = bodies.get(arrival.event_id, b"")
        if is_among(body, seen):
            rulings.append(DUPLICATE)
            continue
        bodies[arrival.event_id] = seen + body
        key, last = order_key(arrival), newest.get(arrival.kol_id, b"")
        older = key < last
        if not older:
            newest[arrival.kol_id] = key
        rulings.append(FRESH[older, bool(seen)])
    return rulings


def is_among(body: bytes, seen: bytes) -> bool:
    """Tell whether a content is one of those that stand one after another in `seen`."""
    return body == seen or any(seen[at : at + len(body)] == body for at in range(0, len(seen), len(body)))


def order_key(arrival: Arrival) -> bytes:
    """Return bytes that order the events of one KOL as `features.precedence.event_key` does.

    Identifiers hold no control characters, so the zero byte ends an id before any longer one that begins alike.
    """
    since = arrival.event_time - EPOCH
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return micros.to_bytes(8, "big") + arrival.event_id.encode() + b"\0" + bytes.fromhex(arrival.body_hash)
