"""From where each query reads: landing from the marks of the tables, scoring from the first event without an outcome.

So a lost checkpoint loses nothing, repeats no landing, and repeats only scores that were not landed yet.
"""

from collections.abc import Iterable, Mapping

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from runtime.lake import REALTIME_SCORES, REJECTED_EVENTS, Table
from runtime.settings import Settings
from runtime.tables import open_table
from runtime.topics import EVENTS, consumer
from streaming.checkpoints import (
    Kept,
    Offsets,
    Origin,
    TopicsRecreatedError,
    position,
    read_origin,
    refuse_expired,
    write_origin,
)
from streaming.marks import Marks

NO_OFFSETS = np.empty(0, np.int64)


def kept(settings: Settings, topic: str) -> Kept:
    """Ask Kafka what it has of a topic."""
    with consumer(settings, topic) as reader:
        places = sorted(reader.assignment())
        begins, ends = reader.beginning_offsets(places), reader.end_offsets(places)
    return Kept(
        {place.partition: begins[place] for place in places}, {place.partition: ends[place] for place in places}
    )


def landing_start(
    settings: Settings, topic_ids: Mapping[str, str], marks: Mapping[str, Iterable[Marks]]
) -> dict[str, Offsets]:
    """Return from where each topic is landed: the lowest mark of the tables that it is read for.

    Args:
        settings: Where Kafka is.
        topic_ids: Id of each topic by name.
        marks: The marks of the tables of each topic. A place with no mark begins with what Kafka has.

    Raises:
        CheckpointError: Kafka's retention deleted what comes next.
    """
    start: dict[str, Offsets] = {}
    for topic, of_tables in marks.items():
        there = kept(settings, topic)
        lowest = {
            partition: min(table.get((topic_ids[topic], partition), 0) for table in of_tables)
            for partition in there.begins
        }
        refuse_expired(topic, {partition: offset for partition, offset in lowest.items() if offset}, there)
        start[topic] = {partition: offset or there.begins[partition] for partition, offset in lowest.items()}
    return start


def starting_offsets(start: Mapping[str, Offsets]) -> str:
    """Write offsets as Spark's `startingOffsets` reads them."""
    return msgspec.json.encode(
        {topic: {str(p): o for p, o in offsets.items()} for topic, offsets in start.items()}
    ).decode()


def scoring_start(settings: Settings, topic_id: str) -> str:
    """Return the `startingOffsets` of the scoring query; a checkpoint that is there and sound goes before.

    Raises:
        CheckpointError: The checkpoint is damaged, or Kafka does not have what comes next.
        TopicsRecreatedError: It is of another topic of the same name.
    """
    there, origin = kept(settings, EVENTS), read_origin(settings)
    if origin is not None and origin.topic_id != topic_id:
        raise TopicsRecreatedError.of(EVENTS, origin.topic_id, topic_id)
    floor = origin.floor if origin else {}
    start = position(settings, there) or unscored(settings, topic_id, there, floor)
    refuse_expired(EVENTS, {partition: offset for partition, offset in start.items() if offset}, there)
    if origin is None:
        write_origin(settings, Origin(topic_id, {}))
    return starting_offsets(
        {EVENTS: {partition: start.get(partition, 0) or begin for partition, begin in there.begins.items()}}
    )


def unscored(settings: Settings, topic_id: str, there: Kept, floor: Offsets) -> Offsets:
    """Return per partition the first offset from its floor on that has no outcome in the lake; 0 where none has one."""
    decided = [outcomes_of(settings, table, topic_id) for table in (REALTIME_SCORES, REJECTED_EVENTS)]
    return {
        partition: first_gap(
            np.concatenate([each.get(partition, NO_OFFSETS) for each in decided]), floor.get(partition, 0)
        )
        for partition in there.begins
    }


def first_gap(offsets: np.ndarray[tuple[int], np.dtype[np.int64]], floor: int) -> int:
    """Return the first missing offset after the lowest known one or from the floor on; the floor when none is known.

    >>> first_gap(np.array([3, 5, 4, 4, 8]), 0)
    6
    """
    known = np.unique(offsets[offsets >= floor])
    if not known.size or (floor and known[0] > floor):
        return floor
    steps = np.flatnonzero(np.diff(known) > 1)
    return int(known[steps[0]] if steps.size else known[-1]) + 1


def outcomes_of(
    settings: Settings, table: Table, topic_id: str
) -> dict[int, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Return, by partition, the offsets of the events of a topic that a table has outcomes of."""
    if not DeltaTable.is_deltatable(table.uri(settings)):
        return {}
    columns = ["source_topic_id", "source_partition", "source_offset"]
    opened = open_table(settings, table).to_pyarrow_dataset()
    rows = opened.to_table(columns, filter=pc.field("source_topic_id") == topic_id)
    places: pa.Array = rows["source_partition"]
    return {
        partition: rows.filter(pc.equal(places, partition))["source_offset"].to_numpy()
        for partition in pc.unique(places).to_pylist()
    }
