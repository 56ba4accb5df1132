"""`./kol score`: raw profiles in a file in, trust scores in a file out; offline, without Kafka or Spark."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import AsJson, settings_of
from cli.output import emit_json, emit_table, to_people
from runtime.failure import HandledError

if TYPE_CHECKING:
    from cli.score_rows import ScoredRow

Out = Annotated[Path, typer.Option("--out", help="Where the scores go: .csv, .jsonl or .parquet.")]
WhichModel = Annotated[
    str, typer.Option("--model", help="production, a registered version's number, or a model's folder.")
]


class NoneScoredError(HandledError):
    """No row of the file could be scored."""


@dataclass(slots=True)
class Tally:
    """What became of the rows, counted while they pass."""

    rows: int = 0
    levels: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def scored(self) -> int:
        """Rows that got a score."""
        return self.levels.total()

    @property
    def refused(self) -> int:
        """Rows that did not."""
        return self.reasons.total()


def score(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Profiles as .csv, .jsonl or .parquet.")],
    out: Out,
    model: WhichModel = "production",
    as_json: AsJson = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Score the profiles of a file; every row comes out in its place, with a score or with why it is refused.

    Exit 1 when no row could be scored.

    Example: ./kol score profiles.csv --out scores.csv
    """
    from cli.score_files import open_scores
    from cli.score_models import find_model
    from cli.score_rows import scored_rows
    from runtime.profile_files import read_records

    scorer = find_model(settings_of(context), model)
    tally, started = Tally(), time.monotonic()
    with to_people().status(f"scoring {file}") as spinner, open_scores(out, source=file) as write:
        for rows in scored_rows(read_records(file), scorer):
            write(rows)
            count(rows, tally)
            spinner.update(f"scoring {file}: {tally.rows:,} rows")
    facts = summary(tally, time.monotonic() - started)
    show({**facts, "model_version": scorer.name, "model_sha": scorer.model.sha, "out": str(out)}, as_json=as_json)
    if tally.scored == 0:
        raise NoneScoredError(f"no row of {file} could be scored; {tally.refused} were refused, {out} says why")


def count(rows: "Iterable[ScoredRow]", tally: Tally) -> None:
    """Add rows to the tally."""
    for row in rows:
        tally.rows += 1
        if row.risk_level is not None:
            tally.levels[row.risk_level] += 1
        if row.refusal_reason is not None:
            tally.reasons[row.refusal_reason] += 1


def summary(tally: Tally, seconds: float) -> dict[str, object]:
    """Return what became of the rows; every risk level is there, also those that nobody has."""
    from features.score import RiskLevel

    return {
        "rows": tally.rows,
        "scored": tally.scored,
        "refused": tally.refused,
        "refused_by_reason": dict(tally.reasons.most_common()),
        "risk_levels": {level.value: tally.levels[level] for level in RiskLevel},
        "seconds": round(seconds, 3),
        "rows_per_second": round(tally.rows / max(seconds, 1e-3)),
    }


def show(facts: dict[str, object], *, as_json: bool) -> None:
    """Print the summary."""
    if as_json:
        emit_json(facts)
        return
    emit_table("Scored", [{"fact": name.replace("_", " "), "value": words(value)} for name, value in facts.items()])


def words(value: object) -> object:
    """Write counts by name as people read them.

    >>> words({"low": 3, "high": 1}), words({}), words(7)
    ('low 3, high 1', None, 7)
    """
    if isinstance(value, dict):
        return ", ".join(f"{name} {number}" for name, number in value.items()) or None
    return value
