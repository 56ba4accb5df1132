"""The nightly run on real Spark and Delta: newest per KOL, every KOL once, the same content again."""

import random
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession

from batch.completeness import NotLandedError, events_to_land, wait_until_landed
from batch.nightly import run_nightly
from batch.plan import plan_run
from batch.quality import QualityError
from batch.report import RunReport, read_report
from features.event import Event
from features.precedence import event_key
from features.profile import Profiles
from features.score import Maker, Verdict, realtime_score
from registry.model import TrustModel
from registry.shelf import Shelf
from runtime.lake import EVENTS, KOL_FEATURES, TRUST_SCORES, Table, arrow_schema
from runtime.publication import read_publication
from runtime.settings import Settings
from runtime.tables import create_tables, open_table
from runtime.topics import EVENTS as EVENTS_TOPIC
from tests.support_events import encoded_events, event_of, varied_values
from tests.support_model import tiny_shelf
from tests.support_stream import land_all, renew_topics, send

pytestmark = pytest.mark.jvm
CUTOFF = datetime(2026, 1, 31, tzinfo=UTC)


def history(seed: int) -> list[Event]:
    """Return the events of 80 KOLs, several each, some at the same instant, some twice, some after the cutoff."""
    chance = random.Random(seed)
    values = varied_values(400, seed)
    events = [
        event_of(
            row, number % 7, at=CUTOFF - timedelta(minutes=chance.randint(-30, 90)), kol=f"k{chance.randint(0, 79)}"
        )
        for number, row in enumerate(values)
    ]
    events += chance.sample(events, 50)
    chance.shuffle(events)
    return events


def write_log(settings: Settings, events: list[Event]) -> None:
    """Put events into the raw log as landing does."""
    create_tables(settings, "landing")
    identities = [(event.kol_id, event.event_id, event.event_time, event.body_hash()) for event in events]
    rows = [
        ("T", 0, offset, CUTOFF, *identity, *event.values(), 0, "new", False, 1)
        for offset, (event, identity) in enumerate(zip(events, identities, strict=True))
    ]
    columns = [
        pa.array(column, kind)
        for column, kind in zip(zip(*rows, strict=True), arrow_schema(EVENTS.columns).types, strict=True)
    ]
    table = pa.Table.from_arrays(columns, schema=arrow_schema(EVENTS.columns))
    write_deltalake(EVENTS.uri(settings), table, mode="append")


def rows_of(settings: Settings, table: Table, version: int) -> list[dict[str, object]]:
    """Return a table's rows in the order of KOLs, without the time of scoring."""
    rows = open_table(settings, table, version).to_pyarrow_table().sort_by("kol_id").to_pylist()
    return [{name: value for name, value in row.items() if name != "timestamp"} for row in rows]


def expected_newest(events: list[Event]) -> dict[str, Event]:
    """Choose each KOL's newest event before the cutoff, one by one."""
    newest: dict[str, Event] = {}
    for event in events:
        best = newest.get(event.kol_id)
        if event.event_time < CUTOFF and (best is None or key_of(event) > key_of(best)):
            newest[event.kol_id] = event
    return newest


def key_of(event: Event) -> tuple[str, str, str]:
    """Order events as scores are ordered."""
    return event_key(realtime_score(event, Verdict(0, (), Maker("", 0, "")), at=CUTOFF))


@pytest.fixture(scope="module")
def night(new_settings: object, spark: SparkSession) -> tuple[Settings, RunReport, list[Event], TrustModel]:
    """Run one night over a random history."""
    settings: Settings = new_settings()  # type: ignore[operator]  # the fixture's own type lives in conftest
    activation = tiny_shelf(Shelf.at(settings.shelf))
    events = history(seed=3)
    write_log(settings, events)
    report = run_nightly(spark, settings, plan_run(settings, CUTOFF, now=datetime.now(UTC)))
    return settings, report, events, Shelf.at(settings.shelf).load(activation.sha)


Night = tuple[Settings, RunReport, list[Event], TrustModel]


def test_each_kol_is_scored_once_from_its_newest_event(night: Night) -> None:
    settings, report, events, model = night
    newest = expected_newest(events)
    rows = rows_of(settings, TRUST_SCORES, report.tables["trust_scores"])
    assert [row["kol_id"] for row in rows] == sorted(newest)
    chosen = [newest[str(row["kol_id"])] for row in rows]
    assert [(row["event_id"], row["event_time"], row["body_hash"]) for row in rows] == [
        (event.event_id, event.event_time, event.body_hash()) for event in chosen
    ]
    scored = model.score(Profiles.of_rows([event.values() for event in chosen]))
    assert [row["hundredths"] for row in rows] == scored.hundredths.tolist()
    assert [row["out_of_range"] for row in rows] == [list(scored.out_of_range(n)) for n in range(len(rows))]


def test_features_are_the_formulas_bits_and_unknown_is_null(night: Night) -> None:
    settings, report, events, model = night
    newest = expected_newest(events)
    table = open_table(settings, KOL_FEATURES, report.tables["kol_features"]).to_pyarrow_table().sort_by("kol_id")
    matrix = model.score(Profiles.of_rows([newest[kol].values() for kol in table["kol_id"].to_pylist()])).matrix
    for position, name in enumerate(table.column_names[5:]):
        found = table[name].combine_chunks()
        assert found.equals(pa.array(matrix[:, position], from_pandas=True)), name
    assert any(pc.any(pc.is_null(table[name])).as_py() for name in table.column_names)


def test_the_run_is_published_and_reported(night: Night) -> None:
    settings, report, events, _ = night
    published = read_publication(settings)
    assert published is not None
    assert published.tables == report.tables
    assert (report.rows_in, report.rows_out) == (len(events), len(expected_newest(events)))
    assert published.kols == report.rows_out
    assert read_report(settings, report.run_id) == report


def test_a_rerun_gives_the_same_content_though_late_events_came(night: Night, spark: SparkSession) -> None:
    settings, report, _, _ = night
    before = {table.name: rows_of(settings, table, report.tables[table.name]) for table in (KOL_FEATURES, TRUST_SCORES)}
    write_log(settings, history(seed=4))
    again = run_nightly(spark, settings, plan_run(settings, CUTOFF, now=datetime.now(UTC)))
    assert again.tables["events"] == report.tables["events"]
    assert before == {
        table.name: rows_of(settings, table, again.tables[table.name]) for table in (KOL_FEATURES, TRUST_SCORES)
    }


def test_a_cutoff_before_all_events_publishes_nothing(night: Night, spark: SparkSession) -> None:
    settings, _, _, _ = night
    with pytest.raises(QualityError, match="no event was observed before"):
        run_nightly(spark, settings, plan_run(settings, datetime(2020, 1, 1, tzinfo=UTC), now=datetime.now(UTC)))


def test_a_row_outside_the_domain_is_refused_by_the_table(night: Night, spark: SparkSession) -> None:
    settings, _, _, _ = night
    rows = spark.read.format("delta").load(TRUST_SCORES.uri(settings)).limit(1)
    for change in ("hundredths + 20000", "CAST(NULL AS INT)"):
        bad = rows.selectExpr("*").withColumn("hundredths", rows["hundredths"] * 0)
        bad = bad.selectExpr(
            *(f"{change} AS hundredths" if name == "hundredths" else f"`{name}`" for name in bad.columns)
        )
        with pytest.raises(Exception, match=r"(?i)constraint|null"):
            bad.write.format("delta").mode("append").save(TRUST_SCORES.uri(settings))


def test_the_nightly_run_waits_for_landing(kafka_settings: Settings, spark: SparkSession) -> None:
    renew_topics(kafka_settings)
    send(kafka_settings, encoded_events(varied_values(10, seed=1), at=CUTOFF))
    now = datetime.now(UTC)
    assert sum(events_to_land(kafka_settings, now).values()) == 10
    seen: list[int] = []
    with pytest.raises(NotLandedError, match="10 events received before"):
        wait_until_landed(kafka_settings, now, seconds=0, report=seen.append)
    land_all(spark, kafka_settings)
    wait_until_landed(kafka_settings, now, seconds=0, report=seen.append)
    assert seen == [10]
    assert EVENTS_TOPIC == "kol.events"
