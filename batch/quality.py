"""Checks between writing and publishing: what fails here stays unpublished."""

from datetime import date, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from runtime.failure import DataQualityError
from runtime.lake import REJECTED_EVENTS, Table
from runtime.settings import Settings


class QualityError(DataQualityError):
    """What the run made must not be published; the message says which check failed."""


def check_any(kols: int, cutoff: datetime) -> int:
    """Return the number of KOLs, unless there is none.

    Raises:
        QualityError: No event was observed before the cutoff.
    """
    if kols == 0:
        raise QualityError(f"no event was observed before {cutoff.isoformat()}; choose a later --cutoff")
    return kols


def check_rows(rows: DataFrame, table: Table, score_date: date, kols: int) -> None:
    """Check that a partition holds every KOL once.

    Raises:
        QualityError: It holds more or fewer rows, or a KOL twice.
    """
    day = rows.where(F.col("score_date") == F.lit(score_date))
    found = day.agg(F.count("*").alias("rows"), F.count_distinct("kol_id").alias("kols")).collect()[0]
    if (found["rows"], found["kols"]) != (kols, kols):
        raise QualityError(
            f"{table.name} of {score_date} has {found['rows']} rows of {found['kols']} KOLs where {kols} were scored; "
            "not published, run it again"
        )


def refused_by_reason(spark: SparkSession, settings: Settings) -> dict[str, int]:
    """Count the landed rejects by reason."""
    rejected = spark.read.format("delta").load(REJECTED_EVENTS.uri(settings))
    return {row["reason"]: row["count"] for row in rejected.groupBy("reason").count().collect()}
