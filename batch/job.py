"""The nightly job from nothing: wait for the data, start Spark, run, stop. What cron, a container or a person calls."""

from datetime import datetime

import structlog

from batch.completeness import wait_until_landed
from batch.nightly import LOCK, run_nightly
from batch.plan import plan_run
from batch.report import RunReport
from runtime.locks import refuse_if_held
from runtime.session import end_session, spark_session
from runtime.settings import Settings


def run_job(settings: Settings, *, cutoff: datetime, now: datetime, wait_seconds: float) -> RunReport:
    """Run the nightly job of one cutoff.

    Raises:
        NotLandedError: Events received before the cutoff are not in the lake after `wait_seconds`.
        LockedError: Another nightly run is under way.
        ShelfError: No model is in Production.
        QualityError: What was made must not be published.
    """
    log = structlog.get_logger()
    refuse_if_held(settings, LOCK)
    wait_until_landed(
        settings, cutoff, seconds=wait_seconds, report=lambda count: log.info("waiting for landing", events=count)
    )
    plan = plan_run(settings, cutoff, now=now)
    spark = spark_session(settings, LOCK)
    try:
        return run_nightly(spark, settings, plan)
    finally:
        end_session(spark)
