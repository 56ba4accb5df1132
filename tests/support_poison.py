"""Bad bytes of every kind that is known to reach a stream, each with the verdict that it must get: one table.

A verdict is a reason of refusal, or `ACCEPTED` for what looks odd and is an event. What is refused here is refused at
any time; what depends on the broker's clock is tested beside the decoder.
"""

from dataclasses import dataclass

ACCEPTED = "accepted"
MEBIBYTE = 2**20
LARGEST_MESSAGE = MEBIBYTE - 1_024
"""Bytes that just go through the broker, which counts some for itself."""
DEEP = 10_000

BASE: dict[str, str] = {
    "schema_version": "1",
    "event_id": '"poison"',
    "event_time": '"2026-01-31T12:00:00.000000Z"',
    "kol_id": '"test:poison"',
    "followers_count": "1200",
    "following_count": "300",
    "post_count": "450",
    "favorites_count": "9000",
    "account_age_days": "800",
    "verified": "false",
    "has_bio": "true",
    "has_url": "null",
    "has_profile_image": "true",
    "bio_length": "120",
}
"""A good event: the JSON text of each field."""


@dataclass(frozen=True, slots=True)
class Poison:
    """One kind of bytes and what must become of them."""

    kind: str
    data: bytes
    verdict: str


def spelled(**texts: str) -> str:
    """Write the good event with some fields spelled otherwise, or with further ones."""
    return "{" + ", ".join(f'"{name}": {text}' for name, text in (BASE | texts).items()) + "}"


def without(name: str) -> str:
    """Write the good event without one field."""
    return "{" + ", ".join(f'"{key}": {text}' for key, text in BASE.items() if key != name) + "}"


def keyed(*names: object) -> bytes:
    """Write an object with these keys."""
    return ("{" + ",".join(f'"{name}":1' for name in names) + "}").encode()


def fields(reason: str, **kinds: tuple[str, str]) -> list[Poison]:
    """Make kinds that differ from the good event in one field each: name of the kind = (field, its JSON text)."""
    return [Poison(kind, spelled(**{field: text}).encode(), reason) for kind, (field, text) in kinds.items()]


GOOD = spelled().encode()

SHAPES: tuple[Poison, ...] = (
    Poison("empty", b"", "empty"),
    Poison("a space", b" ", "unparsable"),
    Poison("a NUL byte", b"\0", "unparsable"),
    Poison("garbage", b"garbage", "unparsable"),
    Poison("half an event", GOOD[: len(GOOD) // 2], "unparsable"),
    Poison("an event without its last byte", GOOD[:-1], "unparsable"),
    Poison("two documents", GOOD + GOOD, "unparsable"),
    Poison("two lines", GOOD + b"\n" + GOOD, "unparsable"),
    Poison("bytes after the object", GOOD + b"x", "unparsable"),
    Poison("a NUL after the object", GOOD + b"\0", "unparsable"),
    Poison("a comma before the end", GOOD[:-1] + b",}", "unparsable"),
    Poison("single quotes", GOOD.replace(b'"', b"'"), "unparsable"),
    Poison("a comment", b"/* event */" + GOOD, "unparsable"),
    Poison("a byte order mark", b"\xef\xbb\xbf" + GOOD, "unparsable"),
    Poison("UTF-16", GOOD.decode().encode("utf-16"), "unparsable"),
    Poison("UTF-32", GOOD.decode().encode("utf-32"), "unparsable"),
    Poison("Latin-1", spelled(kol_id='"test:caf\xe9"').encode("latin-1"), "unparsable"),
    Poison("a cut UTF-8 sequence", GOOD.replace(b"poison", b"\xe2\x82", 1), "unparsable"),
    Poison("an overlong UTF-8 sequence", GOOD.replace(b"poison", b"\xc0\xaf", 1), "unparsable"),
    Poison("a surrogate in UTF-8", GOOD.replace(b"poison", b"\xed\xa0\x80", 1), "unparsable"),
    Poison("random bytes", bytes(range(255, -1, -1)), "unparsable"),
    Poison("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00", "unparsable"),
    Poison("Avro with a schema id", b"\x00\x00\x00\x00\x01\x0cpoison", "unparsable"),
    Poison("an array of events", b"[" + GOOD + b"]", "not_an_object"),
    Poison("null", b"null", "not_an_object"),
    Poison("true", b"true", "not_an_object"),
    Poison("a number", b"42", "not_an_object"),
    Poison("a text", b'"event"', "not_an_object"),
    Poison("an event inside a text", b'"' + GOOD.replace(b'"', b'\\"') + b'"', "not_an_object"),
    Poison("arrays nested deeply", b"[" * DEEP + b"]" * DEEP, "unparsable"),
    Poison("objects nested deeply", b'{"a":' * DEEP + b"1" + b"}" * DEEP, "unparsable"),
    Poison("deep nesting in a further field", spelled(more="[" * DEEP + "]" * DEEP).encode(), "unparsable"),
    Poison("only opening brackets", b"[" * 60_000, "unparsable"),
    Poison("nearly a mebibyte of one letter", b"x" * LARGEST_MESSAGE, "too_long"),
    Poison(
        "nearly a mebibyte in a further field", spelled(more=f'"{"x" * (LARGEST_MESSAGE - 600)}"').encode(), "too_long"
    ),
    Poison("nearly a mebibyte of brackets", b"[" * LARGEST_MESSAGE, "too_long"),
    Poison("an event with 70,000 spaces after it", GOOD + b" " * 70_000, "too_long"),
    Poison("a key twice", GOOD[:-1] + b', "post_count": 1}', "duplicate_key"),
    Poison("a key twice with one value", GOOD[:-1] + b', "post_count": 450}', "duplicate_key"),
    Poison("a key twice, once escaped", GOOD[:-1] + b', "post\\u005fcount": 1}', "duplicate_key"),
    Poison("a further key twice", GOOD[:-1] + b', "more": 1, "more": 2}', "duplicate_key"),
    Poison("2,000 keys, the last twice", keyed(*range(2_000), 1_999), "duplicate_key"),
    Poison("a long key twice", keyed("k" * 30_000, "k" * 30_000), "duplicate_key"),
    Poison("half a surrogate pair as a key, twice", keyed("\\ud800", "\\ud800"), "duplicate_key"),
    Poison("a terminal's escape as a key, twice", keyed("\\u001b[2J", "\\u001b[2J"), "duplicate_key"),
    Poison("an empty object", b"{}", "missing_field"),
    Poison("an event inside an object", b'{"event": ' + GOOD + b"}", "missing_field"),
    Poison("a renamed field", GOOD.replace(b"followers_count", b"followersCount"), "missing_field"),
    Poison("a field in capitals", GOOD.replace(b"post_count", b"POST_COUNT"), "missing_field"),
    Poison("a field with a space in its name", GOOD.replace(b"post_count", b"post_count "), "missing_field"),
    Poison("no followers", without("followers_count").encode(), "missing_field"),
    Poison("no kol_id", without("kol_id").encode(), "missing_field"),
    Poison("no event_time", without("event_time").encode(), "missing_field"),
    Poison("no schema_version", without("schema_version").encode(), "missing_field"),
)

NUMBERS: tuple[Poison, ...] = (
    *fields(
        "not_finite",
        **{
            "NaN": ("followers_count", "NaN"),
            "Infinity": ("post_count", "Infinity"),
            "minus Infinity": ("account_age_days", "-Infinity"),
            "a number beyond float64": ("followers_count", "1e400"),
            "NaN in an optional field": ("bio_length", "NaN"),
            "NaN in a further field": ("more", "NaN"),
        },
    ),
    *fields(
        "negative",
        **{
            "minus one": ("followers_count", "-1"),
            "a negative age": ("account_age_days", "-30"),
            "a negative optional count": ("favorites_count", "-9"),
            "least int64": ("post_count", str(-(2**63))),
        },
    ),
    *fields(
        "too_large",
        **{
            "2^53 + 1": ("followers_count", str(2**53 + 1)),
            "2^63": ("following_count", str(2**63)),
            "2^64": ("post_count", str(2**64)),
            "forty digits": ("favorites_count", "9" * 40),
            "4,000 digits": ("favorites_count", "9" * 4_000),
        },
    ),
    *fields(
        "wrong_type",
        **{
            "minus zero as a fraction": ("followers_count", "-0.0"),
            "a whole number as a fraction": ("followers_count", "3.0"),
            "a fraction": ("post_count", "1.5"),
            "an exponent": ("post_count", "1e3"),
            "a number as text": ("followers_count", '"1200"'),
            "a number with separators": ("followers_count", '"1,200"'),
            "an empty text for a number": ("followers_count", '""'),
            "NaN as text": ("followers_count", '"NaN"'),
            "true for a number": ("followers_count", "true"),
            "an array for a number": ("followers_count", "[1200]"),
            "an object for a number": ("followers_count", '{"n": 1200}'),
            "0 for a flag": ("verified", "0"),
            "1 for a flag": ("has_bio", "1"),
            "text for a flag": ("verified", '"false"'),
            "a number for a kol_id": ("kol_id", "42"),
            "an object for an event_id": ("event_id", "{}"),
            "seconds since 1970": ("event_time", "1769860800"),
            "milliseconds since 1970": ("event_time", "1769860800000"),
        },
    ),
    *fields(
        "unparsable",
        **{
            "leading zeros": ("post_count", "007"),
            "a plus sign": ("post_count", "+1"),
            "hexadecimal": ("post_count", "0x10"),
            "Python's None": ("verified", "None"),
            "Python's True": ("verified", "True"),
            "no digit after the point": ("post_count", "1."),
            "5,000 digits": ("favorites_count", "9" * 5_000),
        },
    ),
)

NAMES: tuple[Poison, ...] = (
    *fields(
        "unknown_schema_version",
        **{
            "version 0": ("schema_version", "0"),
            "version 2": ("schema_version", "2"),
            "version 999": ("schema_version", "999"),
            "version as text": ("schema_version", '"1"'),
            "version as a fraction": ("schema_version", "1.0"),
            "version as true": ("schema_version", "true"),
        },
    ),
    *fields(
        "missing_field",
        **{
            "a null version": ("schema_version", "null"),
            "a null count": ("followers_count", "null"),
            "a null kol_id": ("kol_id", "null"),
        },
    ),
    *fields(
        "bad_identifier",
        **{
            "an empty kol_id": ("kol_id", '""'),
            "an empty event_id": ("event_id", '""'),
            "a kol_id of 129 bytes": ("kol_id", f'"{"k" * 129}"'),
            "a kol_id of 60,000 bytes": ("kol_id", f'"{chr(0x20AC) * 20_000}"'),
            "a kol_id of 43 signs of three bytes": ("kol_id", f'"{chr(0x20AC) * 43}"'),
            "an event_id of 50,000 bytes": ("event_id", f'"{"e" * 50_000}"'),
            "NUL in a kol_id": ("kol_id", '"test:\\u0000poison"'),
            "a line feed in a kol_id": ("kol_id", '"test:\\npoison"'),
            "a terminal's escape in a kol_id": ("kol_id", '"test:\\u001b[2Jpoison"'),
            "a C1 control in a kol_id": ("kol_id", '"test:\\u0085poison"'),
            "a lone high surrogate": ("kol_id", '"test:\\ud800"'),
            "a lone low surrogate": ("event_id", '"\\udc00"'),
            "surrogates in the wrong order": ("kol_id", '"\\udc00\\ud800"'),
        },
    ),
    Poison("a raw line feed in a text", spelled(kol_id='"test:\npoison"').encode(), "unparsable"),
    Poison("a raw NUL in a text", spelled(kol_id='"test:\0poison"').encode(), "unparsable"),
)

TIMES: tuple[Poison, ...] = (
    *fields(
        "bad_time",
        **{
            "no zone": ("event_time", '"2026-01-31T12:00:00"'),
            "a space for the T": ("event_time", '"2026-01-31 12:00:00Z"'),
            "only a date": ("event_time", '"2026-01-31"'),
            "a small z": ("event_time", '"2026-01-31T12:00:00z"'),
            "a zone without a colon": ("event_time", '"2026-01-31T12:00:00+0000"'),
            "nanoseconds": ("event_time", '"2026-01-31T12:00:00.123456789Z"'),
            "February 30th": ("event_time", '"2026-02-30T12:00:00Z"'),
            "hour 25": ("event_time", '"2026-01-31T25:00:00Z"'),
            "a leap second": ("event_time", '"2016-12-31T23:59:60Z"'),
            "year 0": ("event_time", '"0000-01-01T00:00:00Z"'),
            "before year 1 in UTC": ("event_time", '"0001-01-01T00:00:00+14:00"'),
            "after year 9999 in UTC": ("event_time", '"9999-12-31T23:59:59-12:00"'),
            "year 10000": ("event_time", '"10000-01-01T00:00:00Z"'),
            "another order": ("event_time", '"31.01.2026 12:00"'),
            "a zone by name": ("event_time", '"2026-01-31T12:00:00 UTC"'),
            "milliseconds as text": ("event_time", '"1769860800000"'),
            "an empty time": ("event_time", '""'),
            "digits of another script": ("event_time", '"\u0662\u0660\u0662\u0666-01-31T12:00:00Z"'),
        },
    ),
    *fields(
        "future_time",
        **{
            "2099": ("event_time", '"2099-01-01T00:00:00Z"'),
            "the last microsecond of 9999": ("event_time", '"9999-12-31T23:59:59.999999Z"'),
            "milliseconds taken for seconds": ("event_time", '"5138-11-16T09:46:40Z"'),
        },
    ),
)

# Odd, and events all the same: nothing has to be guessed.
ODD: tuple[Poison, ...] = (
    Poison("spaces around the object", b" \n\t" + GOOD + b"\r\n ", ACCEPTED),
    Poison("minus zero as a whole number", spelled(followers_count="-0").encode(), ACCEPTED),
    Poison("2^53", spelled(followers_count=str(2**53)).encode(), ACCEPTED),
    Poison("all counts zero", spelled(**dict.fromkeys(("followers_count", "post_count"), "0")).encode(), ACCEPTED),
    Poison("1970, which is old, not wrong", spelled(event_time='"1970-01-01T00:00:00Z"').encode(), ACCEPTED),
    Poison("year 1", spelled(event_time='"0001-01-01T00:00:00Z"').encode(), ACCEPTED),
    Poison("another zone", spelled(event_time='"2026-01-31T19:00:00+07:00"').encode(), ACCEPTED),
    Poison("a further field, which is counted", spelled(more='{"a": [1, 2.5, "x"]}').encode(), ACCEPTED),
    Poison("a null optional field", spelled(favorites_count="null").encode(), ACCEPTED),
    Poison("an absent optional field", without("has_profile_image").encode(), ACCEPTED),
    Poison("escaped letters", GOOD.replace(b"test:poison", b"test:\\u0070oison"), ACCEPTED),
    Poison("a pair of surrogates", spelled(kol_id='"test:\\ud83d\\ude00"').encode(), ACCEPTED),
    Poison("a kol_id of 128 bytes", spelled(kol_id=f'"{"k" * 128}"').encode(), ACCEPTED),
    Poison("a kol_id that looks like SQL", spelled(kol_id='"\'; DROP TABLE events;--"').encode(), ACCEPTED),
)

# As long as a message may be, and of as many parts as that can have.
FULL: tuple[Poison, ...] = (
    Poison("6,000 keys, the last twice", keyed(*range(6_000), 5_999), "duplicate_key"),
    Poison("6,000 further fields", GOOD[:-1] + b"," + keyed(*range(6_000))[1:], ACCEPTED),
    Poison("20,000 objects in a further field", spelled(more=f"[{'{},' * 20_000}1]").encode(), ACCEPTED),
    Poison("8,000 small objects in a further field", spelled(more="[" + '{"a":1},' * 8_000 + "1]").encode(), ACCEPTED),
    Poison(
        "30,000 numbers for a version", spelled(schema_version=f"[{'1,' * 30_000}1]").encode(), "unknown_schema_version"
    ),
    Poison("fifteen numbers of 4,000 digits", spelled(more=f"[{('9' * 4_000 + ',') * 15}1]").encode(), ACCEPTED),
)
POISONS: tuple[Poison, ...] = (*SHAPES, *NUMBERS, *NAMES, *TIMES, *ODD)
REFUSED: tuple[Poison, ...] = tuple(poison for poison in POISONS if poison.verdict != ACCEPTED)
