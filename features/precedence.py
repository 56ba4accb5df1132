"""Which of two answers about one KOL wins: a total order without ties, independent of the order of arrival."""

from features.score import Score

EventKey = tuple[str, str, str]
"""(event_time as canonical text, event_id, body hash): the order of one KOL's events."""

SOURCE_RANK = {"realtime": 0, "batch": 1}
"""Of two scores of the same event by the same promotion, the published nightly one is shown."""


def event_key(score: Score) -> EventKey:
    """Return the key that orders the events of one KOL, oldest first."""
    return score.event_time, score.event_id, score.body_hash


def precedence(score: Score) -> tuple[EventKey, int, int]:
    """Return the key that orders all scores of one KOL: the event, then the promotion, then batch over realtime."""
    return event_key(score), score.promotion_seq, SOURCE_RANK[score.prediction_source]
