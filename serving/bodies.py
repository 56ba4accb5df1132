"""What clients send, read strictly from the bytes: nothing is converted, guessed or dropped."""

import json
import math
from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

import msgspec
import numpy as np
from msgspec import UNSET, Raw, Struct, UnsetType

from features.catalogue import CATALOGUE, NAMES, Feature, Matrix
from features.event import Profile, decode_profile
from features.refusal import Refusal
from features.scrutiny import check_identifier
from serving.problems import Problem, ProblemError

MOST_PROFILES = 1_000
MOST_KOLS = 500
MOST_BODY_BYTES = 2**20
LARGEST_FEATURE = float(np.finfo(np.float32).max)
"""Above it a float32 is infinite."""


class _Identity(Struct, frozen=True):
    """The one field beside the profile that is echoed."""

    kol_id: Raw | UnsetType = UNSET


class _ProfileList(Struct, frozen=True, forbid_unknown_fields=True):
    profiles: list[Raw]


class _KolList(Struct, frozen=True, forbid_unknown_fields=True):
    kol_ids: list[Raw]


List = TypeVar("List", _ProfileList, _KolList)


class NamedProfile(Struct, frozen=True):
    """A profile to score, and the KOL's name if the client gave one."""

    profile: Profile
    kol_id: str | None


def read_profile(body: bytes) -> NamedProfile | Refusal:
    """Read a raw profile with an optional `kol_id`."""
    profile = decode_profile(body)
    if isinstance(profile, Refusal):
        return profile
    named = msgspec.json.decode(body, type=_Identity).kol_id
    if named is UNSET or (kol_id := read_kol_id(bytes(named), may_be_null=True)) is None:
        return NamedProfile(profile, None)
    return kol_id if isinstance(kol_id, Refusal) else NamedProfile(profile, kol_id)


def read_profiles(body: bytes) -> list[NamedProfile | Refusal]:
    """Read `{"profiles": [...]}`, each profile by itself.

    Raises:
        ProblemError: The body is not that, or there are more than 1,000.
    """
    profiles = _list(body, _ProfileList).profiles
    _refuse_too_many("profiles", len(profiles), MOST_PROFILES)
    return [read_profile(bytes(raw)) for raw in profiles]


def read_kol_ids(body: bytes) -> list[str | Refusal]:
    """Read `{"kol_ids": [...]}`, each id by itself.

    Raises:
        ProblemError: The body is not that, or there are more than 500.
    """
    kol_ids = _list(body, _KolList).kol_ids
    _refuse_too_many("kol_ids", len(kol_ids), MOST_KOLS)
    found = (read_kol_id(bytes(raw), may_be_null=False) for raw in kol_ids)
    return [kol_id if kol_id is not None else _NULL_ID for kol_id in found]


_NULL_ID = Refusal.of("wrong_type", "kol_id", None, "text")


def read_kol_id(raw: bytes, *, may_be_null: bool) -> str | Refusal | None:
    """Read one JSON value as a KOL's name; None for null."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Refusal("unparsable", "kol_id", f"kol_id is no JSON text ({error}); send text")
    if value is None and may_be_null:
        return None
    refusal = check_identifier("kol_id", value)
    return refusal or str(value)


def read_features(body: bytes) -> Matrix:
    """Read `{"features": {...}}`: all 29 by name, in any order; null is unknown.

    Returns:
        One row in catalogue order.

    Raises:
        ProblemError: A name is missing, twice or not in the catalogue, or a value is no number in the feature's range.
    """
    given = _object(body).get("features")
    if not isinstance(given, dict):
        raise _unreadable('there is no object "features"', 'send {"features": {...}} with all 29 names')
    _refuse_names("missing_field", (name for name in NAMES if name not in given), "send all 29; null is unknown")
    _refuse_names("unknown_field", (name for name in given if name not in NAMES), "send the 29 names of model-info")
    return np.array([[_feature(feature, given[feature.name]) for feature in CATALOGUE]], dtype=np.float32)


def _feature(feature: Feature, value: Any) -> float:  # noqa: ANN401 - whatever JSON holds
    """Check one feature value; null is NaN."""
    if value is None:
        return math.nan
    wanted = f"a number from {feature.low:g} to {feature.high:g}" if feature.high else f"a number >= {feature.low:g}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused(Refusal.of("wrong_type", feature.name, value, f"{wanted}, or null"))
    if abs(value) > LARGEST_FEATURE:
        raise _refused(Refusal.of("not_finite", feature.name, value, f"{wanted} that a float32 holds"))
    if value < feature.low:
        raise _refused(Refusal.of("negative", feature.name, value, wanted))
    if feature.high is not None and value > feature.high:
        raise _refused(Refusal.of("too_large", feature.name, value, wanted))
    return float(value)


def _list(body: bytes, kind: type[List]) -> List:
    """Read an object that holds one list."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        name = kind.__struct_fields__[0]
        raise _unreadable(str(error), f'send {{"{name}": [...]}}', field=name) from error


def _object(body: bytes) -> dict[str, Any]:
    """Read a JSON object in which no key stands twice and no number is NaN or Infinity."""
    try:
        parsed = json.loads(body, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _unreadable(f"no JSON text in UTF-8 ({error})", "send one JSON object") from error
    if not isinstance(parsed, dict):
        raise _unreadable("the body is no JSON object", "send one JSON object")
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise _refused(Refusal("duplicate_key", twice, f"{twice} stands in the object more than once; send it once"))
    return dict(pairs)


def _refuse_constant(text: str) -> NoReturn:
    raise _refused(Refusal("not_finite", None, f"there is {text}; send null for an unknown value"))


def _refuse_names(reason: str, names: Iterable[str], remedy: str) -> None:
    """Refuse if there are any such names, naming all of them."""
    if found := sorted(names):
        detail = f"{reason.replace('_', ' ')}: {', '.join(found)[:500]}"
        raise ProblemError(Problem.of(422, reason, detail, field=found[0], remedy=remedy))


def _refuse_too_many(field: str, count: int, most: int) -> None:
    if count > most:
        detail = f"there are {count} {field}"
        raise ProblemError(Problem.of(422, "too_many", detail, field=field, remedy=f"send at most {most} at a time"))


def _refused(refusal: Refusal) -> ProblemError:
    return ProblemError(Problem.refused(refusal))


def _unreadable(detail: str, remedy: str, *, field: str | None = None) -> ProblemError:
    return ProblemError(Problem.of(422, "unparsable", detail, field=field, remedy=remedy))
