"""The complete definition of an acceptable event or profile, in plain Python: slow, exact, and able to say why not."""

import json
import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from features.instant import parse_instant
from features.profile import LARGEST_COUNT, RAW_COLUMNS
from features.refusal import MOST_SHOWN, Refusal, shown

MOST_BYTES = 65_536
"""Largest event or profile, bytes; a real one has about 450, so anything near this is no profile."""
MOST_IDENTIFIER_BYTES = 128

Check = Callable[[str, Any], Refusal | None]


@dataclass(frozen=True, slots=True)
class Field:
    """One field that is read: its name, whether it must be there, and the check of a value that is not null."""

    name: str
    required: bool
    check: Check


def check_count(name: str, value: object) -> Refusal | None:
    """Accept whole numbers 0 .. 2^53; 3.0, "3" and true are not counts."""
    wanted = "a whole number >= 0"
    if isinstance(value, float) and not math.isfinite(value):
        return Refusal.of("not_finite", name, value, wanted)
    if not isinstance(value, int) or isinstance(value, bool):
        return Refusal.of("wrong_type", name, value, wanted)
    if value < 0:
        return Refusal.of("negative", name, value, wanted)
    if value > LARGEST_COUNT:
        return Refusal.of("too_large", name, value, f"a whole number <= {LARGEST_COUNT}")
    return None


def check_flag(name: str, value: object) -> Refusal | None:
    """Accept true and false; 0, 1 and "yes" are not flags."""
    return None if isinstance(value, bool) else Refusal.of("wrong_type", name, value, "true or false")


def check_version(name: str, value: object) -> Refusal | None:
    """Accept the one schema version that exists."""
    if isinstance(value, int) and not isinstance(value, bool) and value == 1:
        return None
    return Refusal.of("unknown_schema_version", name, value, "1")


def check_identifier(name: str, value: object) -> Refusal | None:
    """Accept text of 1 to 128 UTF-8 bytes without control characters."""
    wanted = f"text of 1 to {MOST_IDENTIFIER_BYTES} UTF-8 bytes without control characters"
    if not isinstance(value, str):
        return Refusal.of("wrong_type", name, value, wanted)
    if is_identifier(value):
        return None
    return Refusal.of("bad_identifier", name, value, wanted)


def is_identifier(text: str) -> bool:
    """Tell whether `text` may name a KOL or an event."""
    if text.isascii() and text.isprintable():
        return 0 < len(text) <= MOST_IDENTIFIER_BYTES
    if len(text) > MOST_IDENTIFIER_BYTES or any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        return False
    return 0 < len(text.encode()) <= MOST_IDENTIFIER_BYTES


def check_instant(name: str, value: object) -> Refusal | None:
    """Accept RFC 3339 with zone and at most six digits of seconds."""
    wanted = "RFC 3339 with zone and at most microseconds, like 2026-01-31T12:00:00.000000Z"
    if not isinstance(value, str):
        return Refusal.of("wrong_type", name, value, wanted)
    try:
        parse_instant(value)
    except ValueError:
        return Refusal.of("bad_time", name, value, wanted)
    return None


PROFILE_FIELDS: tuple[Field, ...] = tuple(
    Field(column.name, column.required, check_count if column.kind == "count" else check_flag) for column in RAW_COLUMNS
)
EVENT_FIELDS: tuple[Field, ...] = (
    Field("schema_version", required=True, check=check_version),
    Field("event_id", required=True, check=check_identifier),
    Field("event_time", required=True, check=check_instant),
    Field("kol_id", required=True, check=check_identifier),
    *PROFILE_FIELDS,
)


_Pairs = tuple[tuple[str, Any], ...]
"""An object as JSON spelled it: pairs in order, keys perhaps repeated. Nothing else in JSON becomes a tuple."""


def _refuse_constant(text: str) -> NoReturn:
    raise ArithmeticError(text)


def scrutinise(data: bytes, fields: tuple[Field, ...]) -> dict[str, Any] | Refusal:
    """Read one JSON object strictly.

    Args:
        data: The bytes as they came.
        fields: What is read; further fields are kept in the result for counting, whatever they hold.

    Returns:
        The object's fields by name, all checked, or why it is refused. A null required field counts as missing.
    """
    pairs = _parse(data)
    if isinstance(pairs, Refusal):
        return pairs
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        # A key may be any text: it is named like a value, so that nobody is handed a control sign or half a letter.
        name = twice if len(twice) <= MOST_SHOWN and twice.isprintable() else shown(twice)
        return Refusal("duplicate_key", name, f"{name} stands in the object more than once; send it once")
    return _first_fault(found, fields) or found


def _parse(data: bytes) -> _Pairs | Refusal:
    """Parse bytes to the pairs of one object."""
    if not data:
        return Refusal("empty", None, "there are no bytes; send one JSON object")
    if len(data) > MOST_BYTES:
        return Refusal("too_long", None, f"there are {len(data)} bytes; send at most {MOST_BYTES}")
    try:
        parsed = json.loads(data.decode(), object_pairs_hook=tuple, parse_constant=_refuse_constant)
    except ArithmeticError as error:
        return Refusal("not_finite", None, f"there is {error}; send null for an unknown value")
    except (ValueError, RecursionError) as error:
        return Refusal("unparsable", None, f"no JSON text in UTF-8 ({error}); send one JSON object")
    if not isinstance(parsed, tuple):
        return Refusal.of("not_an_object", None, parsed, "one JSON object")
    return parsed


def _first_fault(found: Mapping[str, Any], fields: tuple[Field, ...]) -> Refusal | None:
    """Check the fields in their order; return the first fault."""
    for field in fields:
        value = found.get(field.name)
        if value is None:
            if field.required:
                return Refusal("missing_field", field.name, f"{field.name} is missing or null; it is required")
        elif fault := field.check(field.name, value):
            return fault
    return None
