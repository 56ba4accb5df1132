"""What a nightly run made: published by one atomic change of `published.json`, never backwards, and reported."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from batch.plan import Plan
from batch.report import RunReport
from features.catalogue import contract_hash
from features.instant import format_instant
from runtime.publication import Published, read_publication, write_publication
from runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Made:
    """What a run made.

    Attributes:
        kols: KOLs that have features and a score in it.
        rows_in: Events it read.
        refused: Events refused before the lake, by reason, over all time.
        tables: Version of every table read or written.
    """

    kols: int
    rows_in: int
    refused: Mapping[str, int]
    tables: Mapping[str, int]


def publish_run(settings: Settings, plan: Plan, made: Made) -> bool:
    """Let readers see the run, unless they see one of a later cutoff; tell whether they do."""
    before = read_publication(settings)
    if before is not None and before.cutoff > format_instant(plan.cutoff):
        return False
    published = Published(
        run_id=plan.run_id,
        cutoff=format_instant(plan.cutoff),
        score_date=plan.score_date.isoformat(),
        tables=dict(made.tables),
        model_sha=plan.activation.sha,
        promotion_seq=plan.activation.promotion_seq,
        contract=contract_hash(),
        kols=made.kols,
        published_at=format_instant(datetime.now(UTC)),
    )
    write_publication(settings, published)
    return True


def report_run(plan: Plan, made: Made, *, published: bool, seconds: dict[str, float]) -> RunReport:
    """Put together the report of a run."""
    return RunReport(
        run_id=plan.run_id,
        cutoff=format_instant(plan.cutoff),
        score_date=plan.score_date.isoformat(),
        started_at=format_instant(plan.started_at),
        rows_in=made.rows_in,
        rows_out=made.kols,
        refused=dict(made.refused),
        tables=dict(made.tables),
        model_version=plan.activation.maker().model_version,
        model_sha=plan.activation.sha,
        published=published,
        seconds=seconds,
    )
