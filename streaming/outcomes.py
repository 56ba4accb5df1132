"""What becomes of each event: scored or rejected, exactly one of the two. No Spark in here."""

from collections.abc import Sequence
from datetime import datetime

import structlog
from msgspec import Struct

from features.event import Event, decode_event
from features.profile import Profiles
from features.refusal import Refusal
from features.rejection import encode_rejection, rejection
from features.score import Provenance, ScoreDomainError, Verdict, encode_score, realtime_score
from streaming.live import Scorer, Scorers


class Message(Struct, frozen=True):
    """One Kafka message as it came; `appended_at` is the broker's clock (UTC)."""

    value: bytes | None
    topic: str
    provenance: Provenance
    appended_at: datetime


class Outcome(Struct, frozen=True):
    """One message to write.

    Attributes:
        scored: To which of the two topics.
        key: The message's key.
        value: The message.
        shadow: What the version in Staging says of the same event, or None.
    """

    scored: bool
    key: bytes
    value: bytes
    shadow: bytes | None = None


def outcomes(messages: Sequence[Message], scorers: Scorers, *, at: datetime) -> list[Outcome]:
    """Decide every message of a micro-batch, in order.

    Args:
        messages: As they came from Kafka.
        scorers: Score the good ones, all at once.
        at: When they are scored.
    """
    decoded = [decode_event(message.value or b"", seen_at=message.appended_at) for message in messages]
    places = [number for number, result in enumerate(decoded) if isinstance(result, Event)]
    events = [result for result in decoded if isinstance(result, Event)]
    profiles = Profiles.of_rows([event.values() for event in events])
    verdicts = dict(zip(places, judge(profiles, scorers.production), strict=True))
    shadows = dict(zip(places, judge_in_shadow(profiles, scorers.shadow), strict=False))
    return [
        reject(message, result, at)
        if isinstance(result, Refusal)
        else score(message, result, verdicts[number], shadows.get(number), at=at)
        for number, (message, result) in enumerate(zip(messages, decoded, strict=True))
    ]


def judge(profiles: Profiles, scorer: Scorer) -> list[Verdict]:
    """Score profiles together; one verdict each, in order."""
    scored = scorer.model.score(profiles)
    both = zip(scored.hundredths.tolist(), scored.all_out_of_range(), strict=True)
    return [Verdict(hundredths, outside, scorer.maker) for hundredths, outside in both]


def judge_in_shadow(profiles: Profiles, scorer: Scorer | None) -> list[Verdict]:
    """Score profiles with the version in Staging; none where there is no such version or it gives no valid scores.

    Whatever is wrong with it must not touch the answers of Production.
    """
    try:
        return judge(profiles, scorer) if scorer else []
    except ScoreDomainError as error:
        structlog.get_logger().error("shadow_gives_no_scores", why=str(error), remedy="./kol model archive")
        return []


def score(message: Message, event: Event, verdict: Verdict, shadow: Verdict | None, *, at: datetime) -> Outcome:
    """Make the messages for `kol.scores` and, where there is a shadow, for `kol.shadow_scores`."""

    def told(by: Verdict) -> bytes:
        return encode_score(realtime_score(event, by, at=at, provenance=message.provenance))

    return Outcome(scored=True, key=event.kol_id.encode(), value=told(verdict), shadow=told(shadow) if shadow else None)


def reject(message: Message, refusal: Refusal, at: datetime) -> Outcome:
    """Make the message for `kol.rejected`, keyed by where the bad one stood."""
    place = message.provenance
    refused = rejection(refusal, message.value, topic=message.topic, provenance=place, at=at)
    key = f"{place.topic_id}:{place.partition}:{place.offset}".encode()
    return Outcome(scored=False, key=key, value=encode_rejection(refused))
