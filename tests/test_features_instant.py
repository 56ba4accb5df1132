"""Moments: read strictly, written in one way."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.instant import format_instant, parse_instant
from runtime.clock import utc_now


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_back(moment: datetime) -> None:
    assert parse_instant(format_instant(moment)) == moment


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_texts_sort_as_the_moments_do(one: datetime, other: datetime) -> None:
    assert (format_instant(one) < format_instant(other)) == (one < other)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-03-01T08:30:00Z", "2026-03-01T08:30:00.000000Z"),
        ("2026-03-01T09:30:00.5+01:00", "2026-03-01T08:30:00.500000Z"),
        ("2026-02-28T23:59:59.123456-00:30", "2026-03-01T00:29:59.123456Z"),
    ],
)
def test_every_zone_becomes_utc(text: str, written: str) -> None:
    assert format_instant(parse_instant(text)) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-01",
        "2026-03-01T08:30:00",
        "2026-03-01 08:30:00Z",
        "20260301T083000Z",
        "2026-02-30T08:30:00Z",
        "2026-03-01T24:30:00Z",
        "2026-03-01T08:30:60Z",
        "2026-03-01T08:30:00.1234567Z",
        "٢٠٢٦-03-01T08:30:00Z",
        "0001-01-01T00:00:00+01:00",
        "2026-03-01T08:30:00Z\n",
    ],
)
def test_anything_else_is_refused_and_shown(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_instant(text)


def test_a_moment_without_a_zone_is_not_written() -> None:
    with pytest.raises(ValueError, match="has no zone"):
        format_instant(datetime(2026, 3, 1))  # noqa: DTZ001 - the point of the test


def test_a_moment_of_another_zone_is_written_in_utc() -> None:
    assert format_instant(datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=2)))) == "2026-02-28T23:00:00.000000Z"


def test_now_has_the_zone_utc() -> None:
    assert utc_now().tzinfo is UTC
