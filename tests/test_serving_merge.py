"""The merge against an oracle that compares field by field, on many generated pairs."""

import itertools
import random
from collections.abc import Iterator

from features.score import Score
from serving.merge import merge
from tests.support_views import a_score, from_batch, later

CASES = 120_000


def oracle(batch: Score | None, realtime: Score | None) -> tuple[str | None, str | None]:
    """Say which layer wins and why the other one loses, field by field."""
    if batch is None or realtime is None:
        return ("batch" if batch else "realtime" if realtime else None), None
    reasons = dict.fromkeys(("event_time", "event_id", "body_hash"), "older_event")
    for field, reason in (reasons | {"promotion_seq": "older_promotion"}).items():
        left, right = getattr(batch, field), getattr(realtime, field)
        if left != right:
            return ("batch" if left > right else "realtime"), reason
    return "batch", "same_event_realtime"


def generated_scores() -> list[Score]:
    """Return realtime scores in which every part of the order ties often."""
    parts = itertools.product((0, 1), ("e1", "e2", "é"), ("00", "ff"), (1, 2, 10))
    return [
        a_score(at=later(seconds), event_id=event_id, body_hash=body_hash, promotion_seq=seq)
        for seconds, event_id, body_hash, seq in parts
    ]


def generated_pairs() -> Iterator[tuple[Score | None, Score | None]]:
    chance = random.Random(3)
    realtime = [None, *generated_scores()]
    batch = [None if score is None else from_batch(score) for score in realtime]
    return ((chance.choice(batch), chance.choice(realtime)) for _ in range(CASES))


def test_merge_decides_as_the_oracle_does() -> None:
    for batch, realtime in generated_pairs():
        merged = merge(batch, realtime)
        found = (merged.winner.prediction_source, merged.lost_because) if merged else (None, None)
        assert found == oracle(batch, realtime), (batch, realtime)


def test_the_loser_is_the_other_candidate() -> None:
    older, newer = from_batch(a_score()), a_score(at=later(1))
    merged = merge(older, newer)
    assert merged is not None
    assert (merged.winner, merged.loser) == (newer, older)


def test_a_lone_candidate_wins_against_nobody() -> None:
    merged = merge(None, a_score())
    assert merged is not None
    assert (merged.loser, merged.lost_because) == (None, None)
