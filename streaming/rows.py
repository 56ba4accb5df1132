"""How a message becomes a row of the lake. Each reader gives the values in its table's column order, or None."""

import datetime as dt

import msgspec

from features.event import Event, decode_event
from features.instant import parse_instant
from features.refusal import Refusal
from features.rejection import Rejection, decode_rejection, rejection
from features.score import ScoreDomainError, decode_score
from runtime.topics import REJECTED, SCORES, SHADOW_SCORES
from streaming.outcomes import Message

Row = tuple[object, ...]


def event_row(message: Message) -> Row | None:
    """Read an event; None for a bad one, which the scoring query has sent to `kol.rejected`."""
    event = decode_event(message.value or b"", seen_at=message.appended_at)
    if not isinstance(event, Event):
        return None
    identity = (event.kol_id, event.event_id, event.event_time, event.body_hash())
    return (*provenance(message), *identity, *event.values(), event.ignored_fields)


def score_row(message: Message) -> Row | None:
    """Read a score; None for what is none."""
    try:
        score = decode_score(message.value or b"")
    except ScoreDomainError:
        return None
    source = score.provenance
    return (
        *provenance(message),
        *((source.topic_id, source.partition, source.offset) if source else (None, None, None)),
        *(score.kol_id, score.event_id, parse_instant(score.event_time), score.body_hash),
        *score.values(),
        *(score.hundredths, score.trust_score, score.is_trustworthy, score.confidence, score.risk_level.value),
        *(score.prediction_source, score.model_sha, score.promotion_seq, score.model_version),
        *(parse_instant(score.timestamp), list(score.missing), list(score.out_of_range)),
    )


def rejected_row(message: Message) -> Row | None:
    """Read a rejection; a message on a topic of scores or on `kol.rejected` that is none of ours becomes one."""
    rejected = rejection_of(message)
    if rejected is None:
        return None
    source = rejected.provenance
    return (
        *provenance(message),
        *(rejected.topic, source.topic_id, source.partition, source.offset),
        *(rejected.reason, rejected.field, rejected.detail),
        *(rejected.value_head, rejected.value_bytes, rejected.value_sha256, parse_instant(rejected.rejected_at)),
    )


def rejection_of(message: Message) -> Rejection | None:
    """Return the rejection that a message carries or deserves, or None for a good score."""
    if message.topic in {SCORES, SHADOW_SCORES} and score_row(message) is not None:
        return None
    if message.topic == REJECTED:
        try:
            return decode_rejection(message.value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
    detail = f"a message on {message.topic} that this system did not write; find its producer"
    refusal = Refusal("unparsable", None, detail)
    place = message.provenance
    return rejection(refusal, message.value, topic=message.topic, provenance=place, at=message.appended_at)


def provenance(message: Message) -> tuple[str, int, int, dt.datetime]:
    """Return where the message itself stood."""
    place = message.provenance
    return place.topic_id, place.partition, place.offset, message.appended_at
