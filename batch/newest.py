"""The newest event of every KOL, by the one order of events: time, then id, then body."""

from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from features.profile import RAW_NAMES
from runtime.lake import EVENT_IDENTITY

PROFILE_COLUMNS = (*(name for name, _ in EVENT_IDENTITY), *RAW_NAMES)


def newest_profiles(events: DataFrame, cutoff: datetime) -> DataFrame:
    """Return one row a KOL: its last event observed before `cutoff`, identity and raw columns.

    The result does not depend on the order or the repetition of the events.
    """
    known = events.where(F.col("event_time") < F.lit(cutoff)).select(*PROFILE_COLUMNS)
    order = F.struct("event_time", "event_id", "body_hash")
    newest = known.groupBy("kol_id").agg(F.max_by(F.struct(*PROFILE_COLUMNS), order).alias("newest"))
    return newest.select(*(F.col(f"newest.{name}").alias(name) for name in PROFILE_COLUMNS))
