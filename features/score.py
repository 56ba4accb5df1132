"""The score: from calibrated P(untrustworthy) to the 0-100 that people read, and the words beside it."""

import functools
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from features.event import Event, Profile
from features.instant import format_instant
from features.profile import RAW_NAMES, Column, missing_fields

SCORE_SCHEMA_VERSION = 1
FULL = 10_000
"""A score of 100.00 in hundredths, the whole numbers that scores are computed, compared and stored in."""

Hundredths = NDArray[np.int32]
Source = Literal["batch", "realtime"]


class RiskLevel(StrEnum):
    """How much caution a shown score asks for."""

    LOW = "low"
    MODERATE = "moderate"
    ELEVATED = "elevated"
    HIGH = "high"


RISK_BOUNDS: tuple[tuple[int, RiskLevel], ...] = (
    (8_000, RiskLevel.LOW),
    (6_000, RiskLevel.MODERATE),
    (4_000, RiskLevel.ELEVATED),
    (0, RiskLevel.HIGH),
)
"""Least hundredths of each level."""
TRUSTWORTHY_FROM = 5_000
"""Least hundredths of a trustworthy KOL."""


class ScoreDomainError(ValueError):
    """A score is not a finite number from 0 to 100: a broken promise of the model or of a store, never shown."""


def to_hundredths(p_untrustworthy: Column) -> Hundredths:
    """Turn P(untrustworthy) into trust hundredths, 0 .. 10000: 100 * 100 * (1 - P), rounded half to even.

    The only place where scores are rounded.

    Raises:
        ScoreDomainError: A probability is NaN or outside 0 .. 1.
    """
    bad = ~((p_untrustworthy >= 0) & (p_untrustworthy <= 1))
    if bad.any():
        raise ScoreDomainError(f"P(untrustworthy) is {p_untrustworthy[bad][0]}; the model must give 0 to 1")
    return np.rint((1.0 - p_untrustworthy) * FULL).astype(np.int32)


def trust_score(hundredths: int) -> float:
    """Return the shown score, 0.00 to 100.00."""
    return hundredths / 100


def is_trustworthy(hundredths: int) -> bool:
    """Tell whether the shown score is at least 50."""
    return hundredths >= TRUSTWORTHY_FROM


def confidence(hundredths: int) -> float:
    """Return how sure the model is of the side it takes, 0.5 to 1: max(P, 1 - P) of the shown score's P."""
    return max(hundredths, FULL - hundredths) / FULL


def risk_level(hundredths: int) -> RiskLevel:
    """Return the risk word of a score.

    >>> risk_level(8_000), risk_level(7_999)
    (<RiskLevel.LOW: 'low'>, <RiskLevel.MODERATE: 'moderate'>)

    Raises:
        ScoreDomainError: The score is outside 0 .. 100.
    """
    if not 0 <= hundredths <= FULL:
        raise ScoreDomainError(f"a score of {hundredths / 100} is outside 0 to 100")
    return next(level for least, level in RISK_BOUNDS if hundredths >= least)


class Maker(Struct, frozen=True):
    """What made a score: the model, by content and by name, and the promotion that put it in use."""

    model_sha: str
    promotion_seq: int
    model_version: str


class Provenance(Struct, frozen=True):
    """Where an event stood in Kafka. For the ledger only: it plays no part in which answer wins."""

    topic_id: str
    partition: int
    offset: int


class Verdict(Struct, frozen=True):
    """What a model says of one profile: the score, and the raw fields outside what it was trained on."""

    hundredths: int
    out_of_range: tuple[str, ...]
    maker: Maker


class Score(Profile, frozen=True, kw_only=True):
    """One score as it is stored and sent on `kol.scores`: identity, the raw profile, the result and its maker.

    Times are RFC 3339 texts in UTC with microseconds, so that text order is time order. `missing` names the unknown
    fields, `out_of_range` those outside what the model was trained on; both empty = full evidence. `timestamp` says
    when it was scored and is no part of the content; nor is `provenance`, which only the speed layer knows.
    """

    schema_version: Annotated[int, msgspec.Meta(ge=SCORE_SCHEMA_VERSION, le=SCORE_SCHEMA_VERSION)] = (
        SCORE_SCHEMA_VERSION
    )
    kol_id: str
    event_id: str
    event_time: str
    body_hash: str
    hundredths: Annotated[int, msgspec.Meta(ge=0, le=FULL)]
    trust_score: Annotated[float, msgspec.Meta(ge=0, le=100)]
    is_trustworthy: bool
    confidence: Annotated[float, msgspec.Meta(ge=0.5, le=1)]
    risk_level: RiskLevel
    prediction_source: Source
    model_sha: str
    promotion_seq: int
    model_version: str
    timestamp: str
    missing: tuple[str, ...] = ()
    out_of_range: tuple[str, ...] = ()
    provenance: Provenance | None = None


@functools.lru_cache(maxsize=FULL + 1)
def result_fields(hundredths: int) -> Mapping[str, Any]:
    """Return the score and the words that follow from it, by the names they are stored and sent under.

    There are few scores and many events, so each result is put together once.
    """
    return MappingProxyType(
        {
            "hundredths": hundredths,
            "trust_score": trust_score(hundredths),
            "is_trustworthy": is_trustworthy(hundredths),
            "confidence": confidence(hundredths),
            "risk_level": risk_level(hundredths),
        }
    )


def realtime_score(event: Event, verdict: Verdict, *, at: datetime, provenance: Provenance | None = None) -> Score:
    """Put together the score of an event that the speed layer saw, or of a profile that was sent to be scored."""
    values = event.values()
    raw: dict[str, Any] = dict(zip(RAW_NAMES, values, strict=True))
    return Score(
        kol_id=event.kol_id,
        event_id=event.event_id,
        event_time=format_instant(event.event_time),
        body_hash=event.body_hash(),
        **raw,
        **result_fields(verdict.hundredths),
        prediction_source="realtime",
        model_sha=verdict.maker.model_sha,
        promotion_seq=verdict.maker.promotion_seq,
        model_version=verdict.maker.model_version,
        timestamp=_stamp(at),
        missing=missing_fields(values),
        out_of_range=verdict.out_of_range,
        provenance=provenance,
    )


@functools.lru_cache(maxsize=8)
def _stamp(at: datetime) -> str:
    """Write the moment of scoring, which all events of a micro-batch share."""
    return format_instant(at)


def decode_score(data: bytes) -> Score:
    """Read a score from the topic or a view; refuse one whose words do not follow from its number.

    Raises:
        ScoreDomainError: It is no score of this schema, out of 0 .. 100, or contradicts itself.
    """
    try:
        score = msgspec.json.decode(data, type=Score)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ScoreDomainError(f"no score of schema {SCORE_SCHEMA_VERSION}: {error}") from error
    told = {name: getattr(score, name) for name in result_fields(score.hundredths)}
    if told != result_fields(score.hundredths):
        raise ScoreDomainError(f"the score of {score.kol_id!r} contradicts itself: {told}")
    return score


def encode_score(score: Score) -> bytes:
    """Write a score as `kol.scores` carries it."""
    return msgspec.json.encode(score)
