"""The strict decoder: what it accepts, what it refuses and why, and that its two paths agree."""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.event import Event, Profile, _careful_event, _fast_event, decode_event, decode_profile, encode_event
from features.profile import RAW_NAMES
from features.refusal import Refusal
from features.schema import event_schema

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "schema_version": 1,
    "event_id": "e-1",
    "event_time": "2026-01-31T11:59:00.000001Z",
    "kol_id": "twitter:nasa",
    "followers_count": 100_000,
    "following_count": 500,
    "post_count": 2_000,
    "favorites_count": 500_000,
    "account_age_days": 2_000,
    "verified": True,
    "has_bio": True,
    "has_url": True,
    "has_profile_image": True,
    "bio_length": 150,
}


def changed(**changes: object) -> bytes:
    """Return the good event with some fields changed."""
    return json.dumps(GOOD | changes).encode()


def without(*names: str) -> bytes:
    """Return the good event with some fields left out."""
    return json.dumps({name: value for name, value in GOOD.items() if name not in names}).encode()


def decoded(data: bytes) -> Event | Refusal:
    """Decode as if the broker had appended it now."""
    return decode_event(data, seen_at=NOW)


def test_a_good_event_is_read_whole() -> None:
    event = decoded(changed())
    assert isinstance(event, Event)
    assert dict(zip(RAW_NAMES, event.values(), strict=True)) == {name: GOOD[name] for name in RAW_NAMES}
    assert (event.event_id, event.kol_id) == ("e-1", "twitter:nasa")
    assert event.event_time == datetime(2026, 1, 31, 11, 59, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "name", ["favorites_count", "verified", "has_bio", "has_url", "has_profile_image", "bio_length"]
)
def test_null_and_absent_are_both_unknown(name: str) -> None:
    null, absent = decoded(changed(**{name: None})), decoded(without(name))
    assert isinstance(null, Event)
    assert getattr(null, name) is None
    assert null == absent


BAD: list[tuple[bytes, str, str | None]] = [
    (b"", "empty", None),
    (b" " * 70_000, "too_long", None),
    (b"not json", "unparsable", None),
    (changed()[:-1], "unparsable", None),
    (changed() + b"{}", "unparsable", None),
    (b"\xef\xbb\xbf" + changed(), "unparsable", None),
    (changed().replace(b"nasa", b"na\xffsa"), "unparsable", None),
    (changed().replace(b"nasa", b"na\x00sa"), "unparsable", None),
    (b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}", "unparsable", None),
    (b"[]", "not_an_object", None),
    (b"null", "not_an_object", None),
    (changed().replace(b"}", b', "post_count": 2000}'), "duplicate_key", "post_count"),
    (changed().replace(b"}", b', "post\\u005fcount": 2000}'), "duplicate_key", "post_count"),
    (changed().replace(b"}", b', "extra": 1, "extra" : 2}'), "duplicate_key", "extra"),
    (changed(schema_version=2), "unknown_schema_version", "schema_version"),
    (changed(schema_version="1"), "unknown_schema_version", "schema_version"),
    (changed(schema_version=True), "unknown_schema_version", "schema_version"),
    (without("schema_version"), "missing_field", "schema_version"),
    (without("event_id"), "missing_field", "event_id"),
    (without("kol_id"), "missing_field", "kol_id"),
    (changed(followers_count=None), "missing_field", "followers_count"),
    (without("account_age_days"), "missing_field", "account_age_days"),
    (changed(post_count=-1), "negative", "post_count"),
    (changed(post_count=2**53 + 1), "too_large", "post_count"),
    (changed(post_count=10**400), "too_large", "post_count"),
    (changed(post_count=3.0), "wrong_type", "post_count"),
    (changed(post_count="3"), "wrong_type", "post_count"),
    (changed(post_count=True), "wrong_type", "post_count"),
    (changed(post_count=[3]), "wrong_type", "post_count"),
    (changed(post_count=float("nan")), "not_finite", None),
    (changed(post_count=float("-inf")), "not_finite", None),
    (changed().replace(b"2000,", b"1e400,", 1), "not_finite", "post_count"),
    (changed(verified=1), "wrong_type", "verified"),
    (changed(verified="true"), "wrong_type", "verified"),
    (changed(kol_id=""), "bad_identifier", "kol_id"),
    (changed(kol_id="a" * 129), "bad_identifier", "kol_id"),
    (changed(kol_id="é" * 65), "bad_identifier", "kol_id"),
    (changed(kol_id="a\nb"), "bad_identifier", "kol_id"),
    (changed(kol_id="a\x7fb"), "bad_identifier", "kol_id"),
    (changed(kol_id="a\x85b"), "bad_identifier", "kol_id"),
    (changed(kol_id="\ud800"), "bad_identifier", "kol_id"),
    (changed(kol_id=7), "wrong_type", "kol_id"),
    (changed(event_time="2026-01-31T11:59:00"), "bad_time", "event_time"),
    (changed(event_time="2026-01-31"), "bad_time", "event_time"),
    (changed(event_time="2026-02-30T00:00:00Z"), "bad_time", "event_time"),
    (changed(event_time="2026-01-31T11:59:00.1234567Z"), "bad_time", "event_time"),
    (changed(event_time="0001-01-01T00:00:00+05:00"), "bad_time", "event_time"),
    (changed(event_time="٢٠٢٦-01-31T11:59:00Z"), "bad_time", "event_time"),
    (changed(event_time=1_769_860_740), "wrong_type", "event_time"),
    (changed(event_time="2026-01-31T12:05:00.000001Z"), "future_time", "event_time"),
    (changed(event_time="2099-01-01T00:00:00Z"), "future_time", "event_time"),
]


@pytest.mark.parametrize(("data", "reason", "field"), BAD, ids=lambda value: str(value)[:24])
def test_bad_input_is_refused_with_reason_field_and_remedy(data: bytes, reason: str, field: str | None) -> None:
    refusal = decoded(data)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.field) == (reason, field)
    assert "send" in refusal.detail or "required" in refusal.detail


@pytest.mark.parametrize(
    "kol_id",
    ["a", "a" * 128, "é" * 64, "twitter:nasa", "ưu tiên", "日本", "a b", "a\u200bb", "🙂", 'quo"ted', "back\\slash"],
)
def test_any_text_of_1_to_128_bytes_without_controls_names_a_kol(kol_id: str) -> None:
    event = decoded(changed(kol_id=kol_id))
    assert isinstance(event, Event)
    assert event.kol_id == kol_id


def test_five_minutes_ahead_is_still_accepted() -> None:
    assert isinstance(decoded(changed(event_time="2026-01-31T12:05:00Z")), Event)


def test_another_zone_is_the_same_instant() -> None:
    there, here = decoded(changed(event_time="2026-01-31T18:59:00.000001+07:00")), decoded(changed())
    assert there == here


def test_extra_fields_are_ignored_and_counted() -> None:
    event = decoded(changed(platform="x", nested={"a": 1, "b": [1, 2]}))
    assert isinstance(event, Event)
    assert event.ignored_fields == 2


def test_the_body_hash_depends_on_what_is_said_and_not_on_its_spelling() -> None:
    plain, spaced = decoded(changed()), decoded(json.dumps(dict(reversed(GOOD.items())), indent=3).encode())
    other = decoded(changed(bio_length=151))
    assert isinstance(plain, Event)
    assert isinstance(spaced, Event)
    assert isinstance(other, Event)
    assert plain.body_hash() == spaced.body_hash() != other.body_hash()


def test_an_encoded_event_decodes_to_itself() -> None:
    event = decoded(without("bio_length", "verified"))
    assert isinstance(event, Event)
    assert decoded(encode_event(event)) == event


def test_a_profile_is_read_by_the_rules_of_the_event() -> None:
    profile = decode_profile(changed())
    assert isinstance(profile, Profile)
    assert profile.values() == tuple(GOOD[name] for name in RAW_NAMES)
    refused = decode_profile(changed(bio_length=-1))
    assert isinstance(refused, Refusal)
    assert refused.reason == "negative"


ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 2**54),
    st.floats(),
    st.text(max_size=6),
    st.lists(st.integers(), max_size=2),
)


@given(
    st.dictionaries(st.sampled_from([*GOOD, "extra", "e:x"]), ODD_VALUES, max_size=3),
    st.lists(st.sampled_from([*GOOD]), max_size=2),
    st.integers(0, 3),
)
@settings(max_examples=400, deadline=None)
def test_what_the_fast_path_accepts_the_careful_path_reads_alike(
    changes: dict[str, Any], dropped: list[str], indent: int
) -> None:
    fields = {name: value for name, value in (GOOD | changes).items() if name not in dropped}
    data = json.dumps(fields, indent=indent or None, ensure_ascii=False).encode(errors="surrogatepass")
    fast = _fast_event(data)
    assert fast is None or fast == _careful_event(data)


def test_the_fast_path_takes_plain_events() -> None:
    assert _fast_event(changed()) == _careful_event(changed())
    assert _fast_event(without("verified")) is not None


def test_garbled_bytes_never_raise() -> None:
    chance = random.Random(7)
    for _ in range(3_000):
        data = bytearray(changed())
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        assert isinstance(decoded(bytes(data)), Event | Refusal)


def test_the_published_schema_accepts_good_events_and_refuses_bad_ones() -> None:
    schema = event_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(GOOD)
    assert validator.is_valid(json.loads(changed(verified=None)))
    judged = [data for data, reason, _ in BAD if reason in {"missing_field", "negative", "too_large", "wrong_type"}]
    assert judged
    assert not [data for data in judged if validator.is_valid(json.loads(data)) and b"3.0" not in data]


def test_an_event_seen_later_may_be_later() -> None:
    late = changed(event_time="2026-01-31T13:00:00Z")
    assert isinstance(decode_event(late, seen_at=NOW + timedelta(hours=1)), Event)
