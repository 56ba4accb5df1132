"""Which of the two candidates is the answer: a pure function, one total order, no ties."""

from typing import Literal

from msgspec import Struct

from features.precedence import event_key, precedence
from features.score import Score

LossReason = Literal["older_event", "older_promotion", "same_event_realtime"]


class Merged(Struct, frozen=True):
    """The winning score, the other candidate if there was one, and why that one lost.

    Attributes:
        winner: The score to show; its `prediction_source` says which layer made it.
        loser: The other layer's score, or None.
        lost_because: `older_event`: it is of an earlier event. `older_promotion`: the same event, scored under an
            earlier promotion. `same_event_realtime`: the same event and promotion, of which the published nightly
            score is shown.
    """

    winner: Score
    loser: Score | None = None
    lost_because: LossReason | None = None


def merge(batch: Score | None, realtime: Score | None) -> Merged | None:
    """Choose the score of the newest event; of two scores of one event, the one of the later promotion.

    Args:
        batch: The published nightly score, or None.
        realtime: The newest streamed score, or None.

    Returns:
        The winner and why the other lost, or None when there is no score at all.
    """
    if batch is None or realtime is None:
        only = batch or realtime
        return None if only is None else Merged(only)
    winner, loser = (batch, realtime) if precedence(batch) > precedence(realtime) else (realtime, batch)
    return Merged(winner, loser, _loss(winner, loser))


def _loss(winner: Score, loser: Score) -> LossReason:
    """Name the first part of the order in which the loser is behind."""
    if event_key(winner) != event_key(loser):
        return "older_event"
    if winner.promotion_seq != loser.promotion_seq:
        return "older_promotion"
    return "same_event_realtime"
