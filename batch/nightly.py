"""The nightly run: landed events up to a cutoff -> newest per KOL -> 29 features and scores -> published together."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

from pyspark.sql import DataFrame, SparkSession

from batch.newest import newest_profiles
from batch.plan import Plan
from batch.quality import check_any, check_rows, refused_by_reason
from batch.report import RunReport, write_report
from batch.results import Made, publish_run, report_run
from batch.scoring import NightlyModel, features_of, scores_of
from registry.shelf import Shelf
from runtime.lake import EVENTS, KOL_FEATURES, TRUST_SCORES, Table
from runtime.locks import hold
from runtime.settings import Settings
from runtime.tables import create_tables, newest_version

LOCK = "batch"


@dataclass(slots=True)
class Watch:
    """Times the steps of a run, in seconds."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step."""
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 2)


def run_nightly(spark: SparkSession, settings: Settings, plan: Plan) -> RunReport:
    """Compute, check and publish the batch view of one cutoff.

    Raises:
        QualityError: There is nothing to publish, or what was made contradicts itself; then nothing is published.
    """
    hold(spark, settings, LOCK)
    create_tables(settings, "batch")
    watch = Watch()
    events = read_version(spark, settings, EVENTS, plan.log_version)
    profiles = newest_profiles(events, plan.cutoff).persist()
    with watch.step("newest"):
        kols = check_any(profiles.count(), plan.cutoff)
    with watch.step("features"):
        replace_date(features_of(profiles, plan.score_date), settings, KOL_FEATURES, plan.score_date)
    with watch.step("scores"):
        scores = scores_of(
            profiles, nightly_model(spark, settings, plan), score_date=plan.score_date, at=plan.started_at
        )
        replace_date(scores, settings, TRUST_SCORES, plan.score_date)
    profiles.unpersist()
    written = {table.name: newest_version(settings, table) for table in (KOL_FEATURES, TRUST_SCORES)}
    with watch.step("checks"):
        for table in (KOL_FEATURES, TRUST_SCORES):
            check_rows(read_version(spark, settings, table, written[table.name]), table, plan.score_date, kols)
        rows_in, refused = events.count(), refused_by_reason(spark, settings)
    made = Made(kols, rows_in, refused, {EVENTS.name: plan.log_version, **written})
    report = report_run(plan, made, published=publish_run(settings, plan, made), seconds=watch.seconds)
    write_report(settings, report)
    return report


def nightly_model(spark: SparkSession, settings: Settings, plan: Plan) -> NightlyModel:
    """Broadcast the plan's model."""
    package = Shelf.at(settings.shelf).package(plan.activation.sha)
    return NightlyModel(spark.sparkContext.broadcast(package), plan.activation.maker(), settings.engine)


def read_version(spark: SparkSession, settings: Settings, table: Table, version: int) -> DataFrame:
    """Open exactly one version of a table."""
    return spark.read.format("delta").option("versionAsOf", version).load(table.uri(settings))


def replace_date(rows: DataFrame, settings: Settings, table: Table, score_date: date) -> None:
    """Put rows in the place of whatever the partition held; readers see all of it or none."""
    (
        rows.write.format("delta")
        .mode("overwrite")
        .option("replaceWhere", f"score_date = '{score_date.isoformat()}'")
        .save(table.uri(settings))
    )
