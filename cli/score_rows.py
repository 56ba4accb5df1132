"""Rows of a file and what becomes of them: scored in chunks, refused ones in their place."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

from cli.score_models import Scorer
from features.event import Profile, decode_profile
from features.profile import Profiles, missing_fields
from features.refusal import Refusal
from features.score import result_fields
from runtime.profile_files import Record

CHUNK_ROWS = 8192
"""Rows that are scored at once; what fits the scoring engine's own blocks."""


class ScoredRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row as it is written. A refused row has no score, a scored one no refusal; the columns are always there.

    Attributes:
        row: Number of the row in the input, from 1.
        kol_id: The input's `kol_id` or `id`, or None.
        trust_score: 0.00 to 100.00.
        hundredths: The same as a whole number.
        risk_level: The score's risk word.
        is_trustworthy: Whether the score is at least 50.
        confidence: 0.5 to 1.
        missing: Facts that are unknown.
        out_of_range: Facts outside what the model was trained on.
        model_version: The model's name.
        model_sha: The model, by content.
        refusal_reason: Why the row was refused, in one word.
        refusal_field: The field at fault, if it is one.
        refusal_detail: What was wrong, what was there and what is wanted.
    """

    row: int
    kol_id: str | None
    trust_score: float | None = None
    hundredths: int | None = None
    risk_level: str | None = None
    is_trustworthy: bool | None = None
    confidence: float | None = None
    missing: tuple[str, ...] | None = None
    out_of_range: tuple[str, ...] | None = None
    model_version: str | None = None
    model_sha: str | None = None
    refusal_reason: str | None = None
    refusal_field: str | None = None
    refusal_detail: str | None = None


class Identity(msgspec.Struct, frozen=True):
    """The names that a row may bring; numbers are taken as they stand."""

    kol_id: Any = None
    id: Any = None


def scored_rows(records: Iterable[Record], scorer: Scorer) -> Iterator[list[ScoredRow]]:
    """Yield the rows of a file in order, a chunk at a time; each record becomes exactly one row."""
    remaining = iter(records)
    while chunk := list(islice(remaining, CHUNK_ROWS)):
        yield score_chunk(chunk, scorer)


def score_chunk(records: Sequence[Record], scorer: Scorer) -> list[ScoredRow]:
    """Decode the records strictly, score the good ones together, and put both kinds in their places."""
    decoded = [decode_profile(record.data) for record in records]
    verdicts = iter(verdicts_of([profile for profile in decoded if isinstance(profile, Profile)], scorer))
    return [
        refused_row(record, found) if isinstance(found, Refusal) else scored_row(record, found, next(verdicts), scorer)
        for record, found in zip(records, decoded, strict=True)
    ]


def verdicts_of(profiles: Sequence[Profile], scorer: Scorer) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the hundredths of each profile and the fields that are outside the training ranges."""
    if not profiles:
        return
    scored = scorer.model.score(Profiles.of_rows([profile.values() for profile in profiles]))
    for position, hundredths in enumerate(scored.hundredths.tolist()):
        yield hundredths, scored.out_of_range(position)


def scored_row(record: Record, profile: Profile, verdict: tuple[int, tuple[str, ...]], scorer: Scorer) -> ScoredRow:
    """Put together the row of a profile that was scored."""
    hundredths, out_of_range = verdict
    return ScoredRow(
        row=record.row,
        kol_id=name_in(record),
        **result_fields(hundredths),
        missing=missing_fields(profile.values()),
        out_of_range=out_of_range,
        model_version=scorer.name,
        model_sha=scorer.model.sha,
    )


def refused_row(record: Record, refusal: Refusal) -> ScoredRow:
    """Put together the row of a record that is no profile."""
    return ScoredRow(
        row=record.row,
        kol_id=name_in(record),
        refusal_reason=refusal.reason,
        refusal_field=refusal.field,
        refusal_detail=refusal.detail,
    )


def name_in(record: Record) -> str | None:
    """Return what the row says whose profile it is; None when it does not say, or cannot be read at all."""
    try:
        given = msgspec.json.decode(record.data, type=Identity)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    name = given.id if given.kol_id is None else given.kol_id
    return name if name is None or isinstance(name, str) else msgspec.json.encode(name).decode()
