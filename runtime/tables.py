"""Delta tables without a JVM: created as `runtime.lake` describes them, opened at a version, asked for their newest.

Spark writes the rows. Creating a table here takes a fifth of a second, with Spark three.
"""

import pyarrow as pa
from deltalake import DeltaTable

from runtime.lake import TABLES, Owner, Table, arrow_schema
from runtime.settings import Settings


def create_tables(settings: Settings, owner: Owner) -> None:
    """Create the tables of one owner that do not exist yet, with keys, checks and statistics on the keys only."""
    for table in TABLES:
        if table.owner == owner and not DeltaTable.is_deltatable(table.uri(settings)):
            create_table(settings, table)


def create_table(settings: Settings, table: Table) -> None:
    """Create one empty table.

    Deletion vectors stay off, so that every reader can read every version.
    """
    columns = [field.with_nullable(field.name not in table.keys) for field in arrow_schema(table.columns)]
    counted = [key for key in table.keys if key not in table.partitioned_by]
    created = DeltaTable.create(
        table.uri(settings),
        schema=pa.schema(columns),
        partition_by=list(table.partitioned_by),
        configuration={
            "delta.enableDeletionVectors": "false",
            "delta.dataSkippingStatsColumns": ",".join(counted),
        },
    )
    if table.checks:
        created.alter.add_constraint({f"{table.name}_domain": " AND ".join(f"({check})" for check in table.checks)})


def open_table(settings: Settings, table: Table, version: int | None = None) -> DeltaTable:
    """Open a table at a version, the newest by default."""
    return DeltaTable(table.uri(settings), version=version)


def newest_version(settings: Settings, table: Table) -> int:
    """Return the newest version of a table."""
    return open_table(settings, table).version()
