"""Tables that an older version made are brought up to date, and go on to hold what they held."""

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from runtime.lake import ARRIVAL, EVENTS, REALTIME_SCORES, arrow_schema
from runtime.settings import Settings
from runtime.tables import CONSTRAINT, checks_name, create_tables, open_table

OLD_CHECK = {"realtime_scores_domain": "(hundredths BETWEEN 0 AND 10000) AND (trust_score = hundredths / 100.0)"}


def old_events(settings: Settings) -> None:
    """Make the raw log as it was before events said what they were, with one row."""
    columns = [column for column in EVENTS.columns if column not in ARRIVAL]
    row: dict[str, object] = dict.fromkeys(name for name, _ in columns)
    row |= {"topic_id": "T", "partition": 0, "offset": 7, "kol_id": "k"}
    write_deltalake(EVENTS.uri(settings), pa.Table.from_pylist([row], schema=arrow_schema(columns)))


def test_an_older_raw_log_gets_the_new_columns_and_keeps_its_rows(settings: Settings) -> None:
    old_events(settings)
    create_tables(settings, "landing")
    rows = open_table(settings, EVENTS).to_pyarrow_table()
    assert rows.schema.names == list(EVENTS.column_names)
    assert rows.select(["offset", "disposition", "conflict", "landing"]).to_pylist() == [
        {"offset": 7, "disposition": None, "conflict": None, "landing": None}
    ]
    before = open_table(settings, EVENTS).version()
    create_tables(settings, "landing")
    assert open_table(settings, EVENTS).version() == before


def test_an_older_check_that_deltalake_reads_as_whole_division_is_replaced(settings: Settings) -> None:
    made = DeltaTable.create(REALTIME_SCORES.uri(settings), schema=arrow_schema(REALTIME_SCORES.columns))
    made.alter.add_constraint(OLD_CHECK)
    create_tables(settings, "landing")
    names = [name for name in open_table(settings, REALTIME_SCORES).metadata().configuration if CONSTRAINT in name]
    assert names == [CONSTRAINT + checks_name(REALTIME_SCORES)]
    row: dict[str, object] = dict.fromkeys(REALTIME_SCORES.column_names)
    row |= {"hundredths": 9994, "trust_score": 99.94, "confidence": 0.9994, "risk_level": "low"}
    table = pa.Table.from_pylist([row], schema=arrow_schema(REALTIME_SCORES.columns))
    write_deltalake(REALTIME_SCORES.uri(settings), table, mode="append")
    assert open_table(settings, REALTIME_SCORES).count() == 1
