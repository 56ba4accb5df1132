"""The answer as clients see it: what is stored of a score, and what only the moment of reading can say."""

from datetime import datetime
from typing import Literal, Self

from msgspec import UNSET, Struct, UnsetType

from features.event import Profile
from features.instant import format_instant, parse_instant
from features.profile import RAW_NAMES
from features.score import RiskLevel, Score, Source, Verdict, result_fields
from serving.bodies import NamedProfile
from serving.freshness import Freshness, Limits, StaleReason, age_seconds, stale_because
from serving.merge import LossReason, Merged
from serving.views import Candidates

Evidence = Literal["partial", "out_of_range"]


class MergeDebug(Struct, frozen=True):
    """How the answer was chosen.

    Attributes:
        batch: The stored nightly score, or None.
        realtime: The stored streamed score, or None.
        lost: The layer whose score lost, or None when there was one score only.
        lost_because: Why it lost.
        rescored: Another model than Production's had made the winner, so it was scored again for this answer.
        realtime_lag: Scores that waited in the topic when the keeper last asked.
        realtime_polled_at: When that was.
    """

    batch: Score | None
    realtime: Score | None
    lost: Source | None
    lost_because: LossReason | None
    rescored: bool
    realtime_lag: int
    realtime_polled_at: datetime | None

    @classmethod
    def of(cls, candidates: Candidates, merged: Merged, freshness: Freshness, *, rescored: bool) -> Self:
        """Describe one merge."""
        return cls(
            batch=candidates.batch,
            realtime=candidates.realtime,
            lost=merged.loser.prediction_source if merged.loser else None,
            lost_because=merged.lost_because,
            rescored=rescored,
            realtime_lag=freshness.lag,
            realtime_polled_at=freshness.polled_at,
        )


class Answer(Struct, frozen=True, kw_only=True):
    """How far a KOL can be trusted, and how far this answer can.

    Attributes:
        kol_id: The KOL, or null when a profile without a name was scored.
        trust_score: 0 to 100, higher = more trustworthy.
        risk_level: `low` from 80, `moderate` from 60, `elevated` from 40, else `high`.
        is_trustworthy: The score is at least 50.
        confidence: How sure the model is of the side it takes, 0.5 to 1.
        prediction_source: Which layer made the score: `batch` = the nightly run, `realtime` = stream or on demand.
        observed_at: When the profile was observed.
        age_seconds: Age of that observation.
        stale: Whether the answer may no longer be true.
        stale_because: Why: `old_event`, `realtime_behind`, `batch_late`.
        evidence: `partial` = fields are unknown, `out_of_range` = fields lie outside what the model was trained on.
        missing: The unknown fields.
        out_of_range: The fields outside the training ranges.
        event_id: The event scored, or null when it was on demand.
        model_version: The model, for reading.
        model_sha: The model, by content.
        promotion_seq: The promotion that put it in use.
        timestamp: When it was scored.
        profile: The raw profile, or null when ready-made features were scored.
        debug: Only with `?debug=merge`.
    """

    kol_id: str | None
    trust_score: float
    risk_level: RiskLevel
    is_trustworthy: bool
    confidence: float
    prediction_source: Source
    observed_at: str
    age_seconds: float
    stale: bool
    stale_because: tuple[StaleReason, ...]
    evidence: tuple[Evidence, ...]
    missing: tuple[str, ...]
    out_of_range: tuple[str, ...]
    event_id: str | None
    model_version: str
    model_sha: str
    promotion_seq: int
    timestamp: str
    profile: Profile | None
    debug: MergeDebug | UnsetType = UNSET

    @classmethod
    def stored(cls, score: Score, freshness: Freshness, limits: Limits, *, now: datetime) -> Self:
        """Answer with a stored score."""
        observed_at = parse_instant(score.event_time)
        reasons = stale_because(observed_at, freshness, limits, now)
        return cls(
            kol_id=score.kol_id,
            trust_score=score.trust_score,
            risk_level=score.risk_level,
            is_trustworthy=score.is_trustworthy,
            confidence=score.confidence,
            prediction_source=score.prediction_source,
            observed_at=score.event_time,
            age_seconds=age_seconds(observed_at, now),
            stale=bool(reasons),
            stale_because=reasons,
            evidence=evidence(score.missing, score.out_of_range),
            missing=score.missing,
            out_of_range=score.out_of_range,
            event_id=score.event_id,
            model_version=score.model_version,
            model_sha=score.model_sha,
            promotion_seq=score.promotion_seq,
            timestamp=score.timestamp,
            profile=Profile(**dict(zip(RAW_NAMES, score.values(), strict=True))),  # type: ignore[arg-type]  # ten fields
        )

    @classmethod
    def on_demand(
        cls, verdict: Verdict, named: NamedProfile | None, missing: tuple[str, ...], *, now: datetime
    ) -> Self:
        """Answer with a score made just now, of a profile or, without one, of ready-made features."""
        moment = format_instant(now)
        result = {name: value for name, value in result_fields(verdict.hundredths).items() if name != "hundredths"}
        return cls(
            kol_id=named.kol_id if named else None,
            **result,
            prediction_source="realtime",
            observed_at=moment,
            age_seconds=0.0,
            stale=False,
            stale_because=(),
            evidence=evidence(missing, verdict.out_of_range),
            missing=missing,
            out_of_range=verdict.out_of_range,
            event_id=None,
            model_version=verdict.maker.model_version,
            model_sha=verdict.maker.model_sha,
            promotion_seq=verdict.maker.promotion_seq,
            timestamp=moment,
            profile=named.profile if named else None,
        )


def evidence(missing: tuple[str, ...], out_of_range: tuple[str, ...]) -> tuple[Evidence, ...]:
    """Say what the score lacks; empty = full evidence."""
    partial: tuple[Evidence, ...] = ("partial",) if missing else ()
    return (*partial, "out_of_range") if out_of_range else partial
