"""What becomes of each event: scored or rejected, exactly one of the two. No Spark in here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from features.event import Event, decode_event
from features.profile import Profiles
from features.refusal import Refusal
from features.rejection import encode_rejection, rejection
from features.score import Maker, Provenance, Verdict, encode_score, realtime_score
from registry.model import TrustModel


@dataclass(frozen=True, slots=True)
class Message:
    """One Kafka message as it came; `appended_at` is the broker's clock (UTC)."""

    value: bytes | None
    topic: str
    provenance: Provenance
    appended_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """One message to write: `scored` says to which of the two topics."""

    scored: bool
    key: bytes
    value: bytes


def outcomes(messages: Sequence[Message], model: TrustModel, maker: Maker, *, at: datetime) -> list[Outcome]:
    """Decide every message of a micro-batch, in order.

    Args:
        messages: As they came from Kafka.
        model: Scores the good ones, all at once.
        maker: What their scores say of the model.
        at: When they are scored.
    """
    decoded = [decode_event(message.value or b"", seen_at=message.appended_at) for message in messages]
    verdicts = iter(judge([event for event in decoded if isinstance(event, Event)], model, maker))
    return [
        reject(message, result, at) if isinstance(result, Refusal) else score(message, result, next(verdicts), at)
        for message, result in zip(messages, decoded, strict=True)
    ]


def judge(events: Sequence[Event], model: TrustModel, maker: Maker) -> Iterable[Verdict]:
    """Score events together; one verdict each, in order."""
    scored = model.score(Profiles.of_rows([event.values() for event in events]))
    for row, hundredths in enumerate(scored.hundredths.tolist()):
        yield Verdict(hundredths, scored.out_of_range(row), maker)


def score(message: Message, event: Event, verdict: Verdict, at: datetime) -> Outcome:
    """Make the message for `kol.scores`."""
    result = realtime_score(event, verdict, at=at, provenance=message.provenance)
    return Outcome(scored=True, key=event.kol_id.encode(), value=encode_score(result))


def reject(message: Message, refusal: Refusal, at: datetime) -> Outcome:
    """Make the message for `kol.rejected`, keyed by where the bad one stood."""
    place = message.provenance
    refused = rejection(refusal, message.value, topic=message.topic, provenance=place, at=at)
    key = f"{place.topic_id}:{place.partition}:{place.offset}".encode()
    return Outcome(scored=False, key=key, value=encode_rejection(refused))
