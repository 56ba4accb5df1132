"""The KOL event, the profile in it, and the one strict decoder of bytes that stream, API and files share.

Decoding is done twice: a fast path in C accepts the well-formed majority, and whatever it does not accept beyond
doubt goes to `features.scrutiny`, the complete definition in plain Python, which accepts or says what is wrong.
"""

import functools
import hashlib
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from features.instant import format_instant, parse_instant
from features.profile import LARGEST_COUNT, OPTIONAL_NAMES, RAW_NAMES
from features.refusal import Refusal
from features.scrutiny import EVENT_FIELDS, MOST_BYTES, PROFILE_FIELDS, is_identifier, scrutinise

SCHEMA_VERSION = 1
FUTURE_TOLERANCE = timedelta(minutes=5)
"""How far `event_time` may be ahead of the broker's clock; one event dated 2099 would win for ever."""

EVENT_NAMES = frozenset(field.name for field in EVENT_FIELDS)

Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_COUNT)]


class Profile(Struct, frozen=True, kw_only=True):
    """The raw profile of one KOL; None = unknown. Fields as in `features.profile.RAW_COLUMNS`."""

    followers_count: int
    following_count: int
    post_count: int
    favorites_count: int | None = None
    account_age_days: int
    verified: bool | None = None
    has_bio: bool | None = None
    has_url: bool | None = None
    has_profile_image: bool | None = None
    bio_length: int | None = None

    def values(self) -> tuple[int | bool | None, ...]:
        """Return the ten values in the order of `RAW_COLUMNS`."""
        return (
            self.followers_count,
            self.following_count,
            self.post_count,
            self.favorites_count,
            self.account_age_days,
            self.verified,
            self.has_bio,
            self.has_url,
            self.has_profile_image,
            self.bio_length,
        )


class Event(Profile, frozen=True, kw_only=True):
    """A KOL's profile as observed at `event_time` (UTC).

    `ignored_fields` counts the fields that the event had beyond the schema.
    """

    event_id: str
    event_time: datetime
    kol_id: str

    ignored_fields: int = 0

    def body_hash(self) -> str:
        """Hash of what the event says: 16 hex digits, the same however the JSON was spelled.

        Breaks the tie between two events of one KOL with the same time and id.
        """
        said = msgspec.json.encode((self.event_id, self.event_time, self.kol_id, *self.values()))
        return hashlib.blake2b(said, digest_size=8).hexdigest()


class _ProfileWire(Struct, frozen=True, kw_only=True):
    """What the fast path reads of a profile; UNSET tells an absent field from a null one."""

    followers_count: Count
    following_count: Count
    post_count: Count
    account_age_days: Count
    favorites_count: Count | UnsetType | None = UNSET
    verified: bool | UnsetType | None = UNSET
    has_bio: bool | UnsetType | None = UNSET
    has_url: bool | UnsetType | None = UNSET
    has_profile_image: bool | UnsetType | None = UNSET
    bio_length: Count | UnsetType | None = UNSET


class _EventWire(_ProfileWire, frozen=True, kw_only=True):
    """What the fast path reads of an event."""

    schema_version: Annotated[int, msgspec.Meta(ge=SCHEMA_VERSION, le=SCHEMA_VERSION)]
    event_id: str
    event_time: str
    kol_id: str


@functools.cache
def _profile_decoder() -> msgspec.json.Decoder[_ProfileWire]:
    return msgspec.json.Decoder(_ProfileWire)


@functools.cache
def _event_decoder() -> msgspec.json.Decoder[_EventWire]:
    return msgspec.json.Decoder(_EventWire)


def decode_event(data: bytes, *, seen_at: datetime) -> Event | Refusal:
    """Read an event strictly.

    Args:
        data: The bytes of one JSON object.
        seen_at: When the broker appended it, so that a replay decides alike; the event may be 5 minutes ahead of it.

    Returns:
        The event, or why it is refused. Absent and null optional fields are unknown (None); nothing is guessed.
    """
    event = _fast_event(data) or _careful_event(data)
    if isinstance(event, Event) and event.event_time > seen_at + FUTURE_TOLERANCE:
        wanted = f"a time at most 5 minutes after {seen_at.isoformat()}"
        return Refusal.of("future_time", "event_time", event.event_time.isoformat(), wanted)
    return event


def decode_profile(data: bytes) -> Profile | Refusal:
    """Read a raw profile without identity strictly: the ten fields of an event's profile, by the same rules."""
    wire = _fast_wire(data, _profile_decoder())
    if wire is not None and data.count(b":") == _present(wire):
        return Profile(**_known(wire))
    found = scrutinise(data, PROFILE_FIELDS)
    return found if isinstance(found, Refusal) else Profile(**_raw(found))


def _fast_event(data: bytes) -> Event | None:
    """Accept an event in C when it is beyond doubt, else leave it to the careful path.

    Every pair of an object has one colon. When the colons of the fields read and of their texts are all there are,
    no key is repeated and none is unknown; a backslash could hide a colon, so its bearer goes the careful way.
    """
    wire = _fast_wire(data, _event_decoder())
    if wire is None or not (is_identifier(wire.event_id) and is_identifier(wire.kol_id)):
        return None
    texts = wire.event_id.count(":") + wire.event_time.count(":") + wire.kol_id.count(":")
    if data.count(b":") != _present(wire) + 4 + texts:
        return None
    try:
        event_time = parse_instant(wire.event_time)
    except ValueError:
        return None
    return Event(event_id=wire.event_id, event_time=event_time, kol_id=wire.kol_id, **_known(wire))


Wire = TypeVar("Wire", bound=_ProfileWire)


def _fast_wire(data: bytes, decoder: msgspec.json.Decoder[Wire]) -> Wire | None:
    """Decode in C, or None when anything at all is odd."""
    if len(data) > MOST_BYTES or b"\\" in data:
        return None
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _present(wire: _ProfileWire) -> int:
    """Count the profile fields that stand in the JSON, null ones included."""
    return 4 + sum(getattr(wire, name) is not UNSET for name in OPTIONAL_NAMES)


def _known(wire: _ProfileWire) -> dict[str, Any]:
    """Return the profile's fields by name, absent ones as None."""
    return {name: None if (value := getattr(wire, name)) is UNSET else value for name in RAW_NAMES}


def _careful_event(data: bytes) -> Event | Refusal:
    """Decode by the complete definition."""
    found = scrutinise(data, EVENT_FIELDS)
    if isinstance(found, Refusal):
        return found
    return Event(
        event_id=found["event_id"],
        event_time=parse_instant(found["event_time"]),
        kol_id=found["kol_id"],
        ignored_fields=len(found.keys() - EVENT_NAMES),
        **_raw(found),
    )


def _raw(found: dict[str, Any]) -> dict[str, Any]:
    """Pick the profile's fields; absent ones are unknown."""
    return {name: found.get(name) for name in RAW_NAMES}


def encode_event(event: Event) -> bytes:
    """Write an event as `kol.events` carries it; unknown fields are null."""
    fields = dict(zip(RAW_NAMES, event.values(), strict=True))
    identity = {"event_id": event.event_id, "event_time": format_instant(event.event_time), "kol_id": event.kol_id}
    return msgspec.json.encode({"schema_version": SCHEMA_VERSION, **identity, **fields})
