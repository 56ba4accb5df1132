"""Rounding, risk words, the score message and which of two answers wins."""

import itertools
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from features.event import Event
from features.precedence import precedence
from features.score import (
    Maker,
    RiskLevel,
    Score,
    ScoreDomainError,
    Verdict,
    confidence,
    decode_score,
    encode_score,
    is_trustworthy,
    realtime_score,
    risk_level,
    to_hundredths,
    trust_score,
)

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
EVENT = Event(
    event_id="e-1", event_time=NOW, kol_id="k", followers_count=1, following_count=2, post_count=3, account_age_days=4
)
SCORE = realtime_score(EVENT, Verdict(7_999, ("post_count",), Maker("abc", 3, "m-Production-v7")), at=NOW)


@pytest.mark.parametrize(
    ("p", "hundredths"), [(0.0, 10_000), (1.0, 0), (0.5, 5_000), (0.20004, 8_000), (0.20006, 7_999), (0.99996, 0)]
)
def test_trust_is_one_minus_p_in_hundredths(p: float, hundredths: int) -> None:
    assert to_hundredths(np.array([p])).tolist() == [hundredths]


@pytest.mark.parametrize("p", [float("nan"), -0.1, 1.1, float("inf")])
def test_a_probability_outside_0_to_1_is_refused(p: float) -> None:
    with pytest.raises(ScoreDomainError, match="must give 0 to 1"):
        to_hundredths(np.array([0.5, p]))


@pytest.mark.parametrize(
    ("hundredths", "level"),
    [
        (10_000, "low"), (8_000, "low"), (7_999, "moderate"), (6_000, "moderate"),
        (5_999, "elevated"), (4_000, "elevated"), (3_999, "high"), (0, "high"),
    ],
)  # fmt: skip
def test_the_risk_word_follows_the_shown_score(hundredths: int, level: str) -> None:
    assert risk_level(hundredths) == RiskLevel(level)


@pytest.mark.parametrize("hundredths", [-1, 10_001])
def test_a_score_outside_0_to_100_has_no_risk_word(hundredths: int) -> None:
    with pytest.raises(ScoreDomainError, match="outside 0 to 100"):
        risk_level(hundredths)


def test_words_and_numbers_agree_at_the_middle() -> None:
    assert (is_trustworthy(5_000), is_trustworthy(4_999)) == (True, False)
    assert (confidence(5_000), confidence(9_784), confidence(216)) == (0.5, 0.9784, 0.9784)
    assert trust_score(9_784) == 97.84


def test_a_score_message_survives_the_wire() -> None:
    assert decode_score(encode_score(SCORE)) == SCORE
    assert SCORE.missing == ("favorites_count", "verified", "has_bio", "has_profile_image", "bio_length")


@pytest.mark.parametrize(
    "change",
    [
        {"hundredths": 10_001}, {"trust_score": 101.0}, {"trust_score": None}, {"risk_level": "HIGH"},
        {"risk_level": "low"}, {"is_trustworthy": False}, {"confidence": 0.9}, {"schema_version": 2},
    ],
)  # fmt: skip
def test_a_score_out_of_domain_or_contradicting_itself_is_refused(change: dict[str, object]) -> None:
    message = msgspec.to_builtins(SCORE) | change
    with pytest.raises(ScoreDomainError):
        decode_score(msgspec.json.encode(message))


def variant(**changes: object) -> Score:
    """Return the score with some fields changed."""
    return msgspec.structs.replace(SCORE, **changes)


def test_newest_event_wins_then_promotion_then_batch_in_every_order_of_arrival() -> None:
    ranked = [
        variant(event_time="2026-01-31T12:00:00.000000Z", promotion_seq=9, prediction_source="batch"),
        variant(event_time="2026-01-31T12:00:00.000001Z", event_id="a", promotion_seq=8),
        variant(event_time="2026-01-31T12:00:00.000001Z", event_id="b", body_hash="0"),
        variant(event_time="2026-01-31T12:00:00.000001Z", event_id="b", body_hash="1", promotion_seq=3),
        variant(event_time="2026-01-31T12:00:00.000001Z", event_id="b", body_hash="1", promotion_seq=4),
        variant(
            event_time="2026-01-31T12:00:00.000001Z", event_id="b", body_hash="1", promotion_seq=4,
            prediction_source="batch",
        ),
    ]  # fmt: skip
    for arrival in itertools.permutations(ranked):
        assert sorted(arrival, key=precedence) == ranked
