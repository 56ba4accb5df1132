"""Checks of the data: the tables, what is published, the views."""

from functools import partial

import pyarrow as pa
from deltalake import DeltaTable

from cli.doctor.finding import Check, Found
from features.catalogue import contract_hash
from runtime.lake import TABLES, Table, arrow_schema
from runtime.publication import read_publication
from runtime.settings import Settings

MAKERS = {"landing": "./kol up", "batch": "./kol batch run"}
"""The command that makes a table, by its owner."""


def data_checks() -> tuple[Check, ...]:
    """Return the checks of the data."""
    tables = [Check(f"table {table.name}", partial(look_at_table, table), MAKERS[table.owner]) for table in TABLES]
    return (
        *tables,
        Check("published run", look_at_publication, "./kol batch run"),
        Check("views", look_at_views, "./kol down && ./kol up"),
    )


def look_at_table(table: Table, settings: Settings) -> Found:
    """See whether a table is there and has the columns it is described with."""
    uri, maker = table.uri(settings), MAKERS[table.owner]
    if not DeltaTable.is_deltatable(uri):
        return Found.note("not there yet", maker)
    opened = DeltaTable(uri)
    differences = schema_differences(pa.schema(opened.schema().to_arrow()), arrow_schema(table.columns))
    found = f"version {opened.version()}, {len(table.columns)} columns"
    if differences:
        cause = f"its columns are not as described: {'; '.join(differences)}"
        return Found.fail(found, cause=cause, mend=f"mv {uri} {uri}.old && {maker}")
    return Found.ok(found)


def schema_differences(there: pa.Schema, wanted: pa.Schema) -> list[str]:
    """Say which columns are missing, of another type, or more than wanted."""
    missing = [f"no {name}" for name in wanted.names if name not in there.names]
    more = [f"{name} is not described" for name in there.names if name not in wanted.names]
    other = [
        f"{field.name} is {there.field(field.name).type}, not {field.type}"
        for field in wanted
        if field.name in there.names and there.field(field.name).type != field.type
    ]
    return [*missing, *other, *more]


def look_at_publication(settings: Settings) -> Found:
    """See which nightly run is published, and whether its features are those of this version."""
    published = read_publication(settings)
    if published is None:
        return Found.note("no nightly run yet", "./kol batch run")
    found = f"{published.run_id}: {published.kols} KOLs up to {published.cutoff[:19]}Z"
    if published.contract != contract_hash():
        cause = "it was made with other features than this version has"
        return Found.fail(found, cause=cause, mend="./kol batch run")
    return Found.ok(found)


def look_at_views(settings: Settings) -> Found:
    """See what the views hold and what their keeper complains of."""
    from serving.lmdb_reader import LmdbReader

    reader = LmdbReader.open(settings)
    try:
        layers = reader.layers()
    finally:
        reader.close()
    if layers.keeper is None:
        return Found.note("not there yet", "./kol up")
    problems = [state.problem for state in (layers.keeper, layers.realtime) if state is not None and state.problem]
    run = layers.batch.run_id if layers.batch else "no nightly run"
    found = f"{run}; {layers.realtime.lag if layers.realtime else 0} scores wait"
    if problems:
        return Found.warn(found, cause="; ".join(problems), mend="./kol down && ./kol up")
    return Found.ok(found)
