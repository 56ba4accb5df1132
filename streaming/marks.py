"""High-water marks: up to which offset of each topic and partition a table is filled. The table itself knows them.

Every append carries them as transactions of the Delta log, so that rows and marks are there together or not at all.
Whatever becomes of a checkpoint, landing drops what is below the marks. A table that holds more than its transactions
say (an older version wrote it) is believed by its rows.
"""

from collections.abc import Iterable, Mapping

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from runtime.lake import Table
from runtime.settings import Settings
from runtime.tables import open_table

Place = tuple[str, int]
"""(topic id, partition)."""
Marks = dict[Place, int]
"""The next offset to land, by place."""


def high_water_marks(settings: Settings, table: Table, places: Iterable[Place]) -> Marks:
    """Return the next offset to land of each place; 0 where nothing was landed."""
    opened = open_table(settings, table)
    told = {place: opened.transaction_version(_name(place)) or 0 for place in places}
    held = _held(opened)
    return {place: max(mark, held.get(place, 0)) for place, mark in told.items()}


def above(rows: pa.Table, marks: Mapping[Place, int]) -> pa.Table:
    """Drop the rows that were landed before; they are told by where their message stood."""
    columns = (rows[name].to_pylist() for name in ("topic_id", "partition", "offset"))
    fresh = [
        offset >= marks.get((topic_id, partition), 0) for topic_id, partition, offset in zip(*columns, strict=True)
    ]
    return rows if all(fresh) else rows.filter(pa.array(fresh, pa.bool_()))


def append(settings: Settings, table: Table, rows: pa.Table, reached: Mapping[Place, int], **counters: int) -> None:
    """Add rows to a table and move its marks and further counters, in one commit."""
    marks = [Transaction(app_id=_name(place), version=offset) for place, offset in reached.items()]
    marks += [Transaction(app_id=name, version=number) for name, number in counters.items()]
    properties = CommitProperties(app_transactions=marks)
    write_deltalake(table.uri(settings), rows, mode="append", commit_properties=properties)


def _name(place: Place) -> str:
    return f"{place[0]}:{place[1]}"


def _held(opened: DeltaTable) -> Marks:
    rows = opened.to_pyarrow_table(columns=["topic_id", "partition", "offset"])
    last = rows.group_by(["topic_id", "partition"]).aggregate([("offset", "max")])
    columns = (last[name].to_pylist() for name in ("topic_id", "partition", "offset_max"))
    return {(topic_id, partition): offset + 1 for topic_id, partition, offset in zip(*columns, strict=True)}
