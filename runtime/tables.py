"""Delta tables without a JVM: created as `runtime.lake` describes them, opened at a version, asked for their newest.

Spark writes the rows. Creating a table here takes a fifth of a second, with Spark three.
"""

import hashlib

import pyarrow as pa
from deltalake import DeltaTable, Schema

from runtime.lake import TABLES, Owner, Table, arrow_schema
from runtime.settings import Settings

CONSTRAINT = "delta.constraints."


def create_tables(settings: Settings, owner: Owner) -> None:
    """Create the tables of one owner that do not exist yet, with keys, checks and statistics on the keys only.

    A table that an older version of this project made gets the columns that it lacks; its rows have no value there.
    """
    for table in TABLES:
        if table.owner != owner:
            continue
        if DeltaTable.is_deltatable(table.uri(settings)):
            bring_up_to_date(open_table(settings, table), table)
        else:
            create_table(settings, table)


def bring_up_to_date(opened: DeltaTable, table: Table) -> None:
    """Add the columns that a table is described with and does not have, and check it as it is described now.

    Columns of `keys` cannot be added later.
    """
    there = {field.name for field in opened.schema().fields}
    described = Schema.from_arrow(arrow_schema([column for column in table.columns if column[0] not in there]))
    if described.fields:
        opened.alter.add_columns(described.fields)
    constraints = [name for name in opened.metadata().configuration if name.startswith(CONSTRAINT)]
    if table.checks and CONSTRAINT + checks_name(table) not in constraints:
        for name in constraints:
            opened.alter.drop_constraint(name.removeprefix(CONSTRAINT))
        add_checks(opened, table)


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
        add_checks(created, table)


def add_checks(opened: DeltaTable, table: Table) -> None:
    """Let every writer of a table refuse rows that break its checks."""
    opened.alter.add_constraint({checks_name(table): " AND ".join(f"({check})" for check in table.checks)})


def checks_name(table: Table) -> str:
    """Name the checks by what they say, so that other ones are told from them."""
    said = hashlib.blake2b(" AND ".join(table.checks).encode(), digest_size=4).hexdigest()
    return f"{table.name}_domain_{said}"


def open_table(settings: Settings, table: Table, version: int | None = None) -> DeltaTable:
    """Open a table at a version, the newest by default."""
    return DeltaTable(table.uri(settings), version=version)


def newest_version(settings: Settings, table: Table) -> int:
    """Return the newest version of a table."""
    return open_table(settings, table).version()
