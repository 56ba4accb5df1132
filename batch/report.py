"""The report of a nightly run, and the pin that makes a run of one cutoff repeatable."""

from datetime import datetime

import msgspec
from msgspec import Struct

from runtime.files import publish, read_published
from runtime.settings import Settings


class RunReport(Struct, frozen=True):
    """What one nightly run did.

    Attributes:
        run_id: Name of the run: its cutoff.
        cutoff: Events observed before it were taken in (RFC 3339, UTC).
        score_date: Partition it wrote.
        started_at: When it began (RFC 3339, UTC).
        rows_in: Events it read.
        rows_out: KOLs it scored.
        refused: Events refused before the lake, by reason, over all time.
        tables: Version of every table read or written.
        model_version: Production when it ran.
        model_sha: The same by content.
        published: Whether readers now see it; a run of an older cutoff does not replace a newer one.
        seconds: Duration of each step.
    """

    run_id: str
    cutoff: str
    score_date: str
    started_at: str
    rows_in: int
    rows_out: int
    refused: dict[str, int]
    tables: dict[str, int]
    model_version: str
    model_sha: str
    published: bool
    seconds: dict[str, float]


def run_id_of(cutoff: datetime) -> str:
    """Name a run by its cutoff, in letters that file systems take.

    >>> from datetime import UTC
    >>> run_id_of(datetime(2026, 1, 31, tzinfo=UTC))
    '20260131T000000.000000Z'
    """
    return cutoff.strftime("%Y%m%dT%H%M%S.%fZ")


def location(settings: Settings, run_id: str) -> str:
    """Where the report of a run is."""
    return f"{settings.lake_uri.rstrip('/')}/runs/{run_id}.json"


def write_report(settings: Settings, report: RunReport) -> None:
    """Keep the report; a later run of the same cutoff reads its pinned versions from it."""
    publish(location(settings, report.run_id), msgspec.json.format(msgspec.json.encode(report)))


def read_report(settings: Settings, run_id: str) -> RunReport | None:
    """Return the report of an earlier run of the same cutoff, or None."""
    content = read_published(location(settings, run_id))
    return None if content is None else msgspec.json.decode(content, type=RunReport)
