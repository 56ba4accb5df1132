"""What becomes of each event, without Spark: scored or rejected, exactly one of the two."""

import hashlib
from datetime import UTC, datetime

import pytest

from features.event import encode_event
from features.profile import Profiles
from features.rejection import decode_rejection
from features.score import Maker, Provenance, decode_score
from registry.model import TrustModel, unpack
from runtime.topics import EVENTS, REJECTED, SCORES
from streaming.live import Scorer, Scorers
from streaming.outcomes import Message, Outcome, outcomes
from streaming.rows import event_row, rejected_row, score_row
from tests.support_events import BAD_EVENTS, event_of, varied_values
from tests.support_model import tiny_package

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
MAKER = Maker("abc", 3, "trust-score-lightgbm-optuna-Production-v7")
VALUES = varied_values(300, seed=5)
GOOD = [encode_event(event_of(values, number, at=NOW)) for number, values in enumerate(VALUES)]


@pytest.fixture(scope="module")
def model() -> TrustModel:
    return unpack(tiny_package())


def messages(values: list[bytes | None]) -> list[Message]:
    return [Message(value, EVENTS, Provenance("T", 1, offset), NOW) for offset, value in enumerate(values)]


def decide(model: TrustModel, values: list[bytes | None]) -> list[Outcome]:
    return outcomes(messages(values), Scorers(Scorer(model, MAKER)), at=NOW)


def test_good_events_get_the_scores_of_the_one_scorer(model: TrustModel) -> None:
    scores = [decode_score(outcome.value) for outcome in decide(model, [*GOOD])]
    assert [score.hundredths for score in scores] == model.score(Profiles.of_rows(VALUES)).hundredths.tolist()
    assert [score.values() for score in scores] == VALUES
    assert {score.prediction_source for score in scores} == {"realtime"}
    assert [score.provenance for score in scores][:2] == [Provenance("T", 1, 0), Provenance("T", 1, 1)]


@pytest.mark.parametrize(("value", "reason"), BAD_EVENTS)
def test_a_bad_event_is_rejected_with_its_place_reason_and_bytes(model: TrustModel, value: bytes, reason: str) -> None:
    outcome = decide(model, [GOOD[0], value])[1]
    rejected = decode_rejection(outcome.value)
    assert (outcome.scored, outcome.key, rejected.reason) == (False, b"T:1:1", reason)
    assert (rejected.topic, rejected.provenance, rejected.value_head) == (EVENTS, Provenance("T", 1, 1), value)
    assert (rejected.value_bytes, rejected.value_sha256) == (len(value), hashlib.sha256(value).hexdigest())


def test_bad_events_among_good_ones_change_no_score_and_no_order(model: TrustModel) -> None:
    mixed = [value for good in GOOD[:20] for value in (good, b"garbage")]
    assert [outcome.scored for outcome in decide(model, [*mixed])] == [True, False] * 20
    assert [o.value for o in decide(model, [*mixed])][::2] != []
    scored = [decode_score(outcome.value).hundredths for outcome in decide(model, [*mixed])[::2]]
    assert scored == [decode_score(outcome.value).hundredths for outcome in decide(model, [*GOOD[:20]])]


def test_a_message_without_a_value_is_rejected_as_empty(model: TrustModel) -> None:
    rejected = decode_rejection(decide(model, [None])[0].value)
    assert (rejected.reason, rejected.value_head, rejected.value_bytes) == ("empty", None, 0)


def test_only_the_first_64_kib_of_a_large_message_are_kept(model: TrustModel) -> None:
    rejected = decode_rejection(decide(model, [b"x" * 100_000])[0].value)
    assert rejected.value_head == b"x" * 65_536
    assert (rejected.reason, rejected.value_bytes) == ("too_long", 100_000)


def test_an_empty_micro_batch_has_no_outcomes(model: TrustModel) -> None:
    assert decide(model, []) == []


def test_rows_of_the_lake_say_what_the_messages_said(model: TrustModel) -> None:
    scored, refused = decide(model, [GOOD[0], b"garbage"])
    event = event_row(messages([GOOD[0]])[0])
    score = score_row(Message(scored.value, SCORES, Provenance("S", 0, 7), NOW))
    rejected = rejected_row(Message(refused.value, REJECTED, Provenance("R", 0, 8), NOW))
    assert event is not None
    assert event[:7] == ("T", 1, 0, NOW, "test:k000000", "e000000", NOW)
    assert score is not None
    assert score[:7] == ("S", 0, 7, NOW, "T", 1, 0)
    assert rejected is not None
    assert rejected[:9] == ("R", 0, 8, NOW, EVENTS, "T", 1, 1, "unparsable")


@pytest.mark.parametrize("topic", [SCORES, REJECTED])
def test_a_foreign_message_on_our_own_topics_is_kept_as_a_reject(topic: str) -> None:
    message = Message(b"not ours", topic, Provenance("X", 0, 9), NOW)
    row = rejected_row(message)
    assert score_row(message) is None
    assert row is not None
    assert row[4:9] == (topic, "X", 0, 9, "unparsable")
