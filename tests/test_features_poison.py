"""Every kind of bad bytes gets its one reason, at once; nothing is guessed, and no value makes a score that is none."""

import itertools
import json
from collections import Counter
from datetime import UTC, datetime
from time import perf_counter
from typing import get_args

import numpy as np
import pytest

from features.catalogue import CATALOGUE, feature_matrix
from features.event import Event, decode_event
from features.precedence import precedence
from features.profile import LARGEST_COUNT, RAW_COLUMNS, Profiles
from features.reference import TRUSTWORTHY
from features.refusal import Reason, Refusal
from features.score import Maker, Provenance, Verdict, realtime_score
from registry.model import unpack
from tests.support_model import tiny_package
from tests.support_poison import ACCEPTED, FULL, GOOD, POISONS, REFUSED, Poison, spelled

NOW = datetime(2026, 11, 1, tzinfo=UTC)
MOST_SECONDS = 0.001
"""What one message may cost; a worker that met nothing else would still decide a thousand in a second."""
MOST_SECONDS_FULL = 0.005
"""The same for a message of 64 KiB, of which the parser of JSON alone takes one or two milliseconds."""
VERDICT = Verdict(5_000, (), Maker("abc", 1, "v1"))
NASTY = (0, 1, 2, 3, 1_000, 2**31 - 1, 2**31, 2**32, 2**52, LARGEST_COUNT - 1, LARGEST_COUNT, None)


def test_the_table_has_sixty_kinds_and_each_has_a_name_of_its_own() -> None:
    assert len(REFUSED) >= 60
    assert not [kind for kind, count in Counter(poison.kind for poison in POISONS).items() if count > 1]
    assert not [data[:80] for data, count in Counter(poison.data for poison in POISONS).items() if count > 1]


def test_the_table_has_every_reason_that_bytes_alone_can_give() -> None:
    assert {poison.verdict for poison in REFUSED} == set(get_args(Reason)) - {"unscorable"}


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.kind)
def test_each_kind_of_bytes_gets_its_verdict(poison: Poison) -> None:
    found = decode_event(poison.data, seen_at=NOW)
    assert (found.reason if isinstance(found, Refusal) else ACCEPTED) == poison.verdict
    if isinstance(found, Refusal):
        assert found.detail.isprintable()
        assert len(found.detail) < 500


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.kind)
def test_no_kind_takes_more_than_a_millisecond(poison: Poison) -> None:
    assert min(seconds_of(poison.data) for _ in range(10)) < MOST_SECONDS


@pytest.mark.parametrize("poison", FULL, ids=lambda poison: poison.kind)
def test_no_full_message_takes_more_than_five_milliseconds(poison: Poison) -> None:
    test_each_kind_of_bytes_gets_its_verdict(poison)
    assert min(seconds_of(poison.data) for _ in range(10)) < MOST_SECONDS_FULL


def seconds_of(data: bytes) -> float:
    """Return how long a decision takes."""
    began = perf_counter()
    decode_event(data, seen_at=NOW)
    return perf_counter() - began


def test_one_event_dated_2099_does_not_win_for_ever() -> None:
    honest = [
        spelled(event_time=f'"2026-10-{day:02}T00:00:00Z"', event_id=f'"e{day}"').encode() for day in range(1, 31)
    ]
    stray = spelled(event_time='"2099-01-01T00:00:00Z"', event_id='"stray"').encode()
    for order in (lambda rows: rows, reversed):
        decided = [decode_event(data, seen_at=NOW) for data in order([*honest[:15], stray, *honest[15:]])]
        events = [each for each in decided if isinstance(each, Event)]
        scores = [realtime_score(event, VERDICT, at=NOW, provenance=Provenance("T", 0, 0)) for event in events]
        assert (len(scores), max(scores, key=precedence).event_id) == (30, "e30")


def test_every_feature_of_every_nasty_pair_of_values_is_finite_or_unknown_and_every_score_is_one() -> None:
    base = list(TRUSTWORTHY.values())
    rows = [with_values(base, pair) for pair in nasty_pairs()]
    profiles = Profiles.of_rows(rows)
    matrix = feature_matrix(profiles)
    assert not np.isinf(matrix).any()
    for position, feature in enumerate(CATALOGUE):
        known = matrix[:, position][~np.isnan(matrix[:, position])]
        assert known.min() >= feature.low, feature.name
        assert feature.high is None or known.max() <= np.float32(feature.high), feature.name
    hundredths = unpack(tiny_package()).score(profiles).hundredths
    assert hundredths.min() >= 0
    assert hundredths.max() <= 10_000


def nasty_pairs() -> list[dict[int, int | bool | None]]:
    """Return every pair of nasty values in every pair of raw columns."""
    kinds = [
        [
            value
            for value in ((True, False, None) if column.kind == "flag" else NASTY)
            if value is not None or not column.required
        ]
        for column in RAW_COLUMNS
    ]
    return [
        {first: one, second: other}
        for first, second in itertools.combinations(range(len(RAW_COLUMNS)), 2)
        for one, other in itertools.product(kinds[first], kinds[second])
    ]


def with_values(base: list[int | bool | None], changes: dict[int, int | bool | None]) -> list[int | bool | None]:
    """Return a profile with some values changed."""
    return [changes.get(position, value) for position, value in enumerate(base)]


def test_the_good_event_of_the_table_is_one() -> None:
    assert isinstance(decode_event(GOOD, seen_at=NOW), Event)
    assert json.loads(GOOD)["kol_id"] == "test:poison"
