"""The landing query: events, scores and rejects from their topics into Delta, each message exactly once.

Workers decode, the driver writes: so it can leave out what the tables hold already, and say of each event what it was
when it arrived. A batch is small enough for that (`max_offsets_per_trigger`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from features.disposition import Ruling
from features.instant import format_instant
from features.score import Provenance
from runtime.lake import ARRIVAL, REALTIME_SCORES, REJECTED_EVENTS, Table, arrow_schema
from runtime.lake import EVENTS as EVENTS_TABLE
from runtime.lake import SHADOW_SCORES as SHADOW_TABLE
from runtime.landed import Landed, advance_landed
from runtime.settings import Settings
from runtime.tables import create_tables
from runtime.topics import EVENTS, NAMES, REJECTED, SCORES, SHADOW_SCORES, spark_kafka_options, topic_ids
from streaming.checkpoints import forget, refuse_other_topics
from streaming.marks import Marks, above, append, high_water_marks
from streaming.outcomes import Message
from streaming.rows import Row, event_row, rejected_row, score_row
from streaming.seen import COUNTER, State, arrivals, open_seen
from streaming.starting import kept, landing_start, starting_offsets

QUERY = "landing"
COLUMNS = ("topic", "value", "partition", "offset", "timestamp")
PLACE = ("topic_id", "partition", "offset")
REACHED = "reached"
REACHED_SCHEMA = pa.schema([("topic", pa.string()), ("partition", pa.int32()), ("next", pa.int64())])


@dataclass(frozen=True, slots=True)
class Landing:
    """Which topics are read for a table, and how a message becomes a row of it."""

    table: Table
    topics: tuple[str, ...]
    read: Callable[[Message], Row | None]

    @property
    def full_schema(self) -> pa.Schema:
        """The columns of the table."""
        return arrow_schema(self.table.columns)

    @property
    def schema(self) -> pa.Schema:
        """What is read from a message; what an event was when it arrived is found out later."""
        return arrow_schema([column for column in self.table.columns if column not in ARRIVAL])


LANDINGS = (
    Landing(EVENTS_TABLE, (EVENTS,), event_row),
    Landing(REALTIME_SCORES, (SCORES,), score_row),
    Landing(SHADOW_TABLE, (SHADOW_SCORES,), score_row),
    Landing(REJECTED_EVENTS, (SCORES, SHADOW_SCORES, REJECTED), rejected_row),
)


def landed_rows(topic_ids: Mapping[str, str]) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Build the function that Spark maps over Arrow batches of messages.

    It gives (table, rows): the rows of each table as an Arrow stream, and under `reached` where the messages end.
    """

    def rows(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            read = list(read_messages(batch, topic_ids))
            tables = {landing.table.name: rows_of(landing, read) for landing in LANDINGS}
            packed = {name: packed_rows(each) for name, each in ({**tables, REACHED: reached(read)}).items()}
            yield pa.RecordBatch.from_pydict({"table": list(packed), "rows": list(packed.values())})

    return rows


def rows_of(landing: Landing, messages: Iterable[Message]) -> pa.RecordBatch:
    """Read the rows of one table from the messages of its topics."""
    read = (landing.read(message) for message in messages if message.topic in landing.topics)
    schema = landing.schema
    columns = list(zip(*(row for row in read if row is not None), strict=True)) or [()] * len(schema)
    arrays = [pa.array(column, type=kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def reached(messages: Iterable[Message]) -> pa.RecordBatch:
    """Return the next offset to land per topic and partition of some messages."""
    ends: dict[tuple[str, int], int] = {}
    for message in messages:
        place = message.topic, message.provenance.partition
        ends[place] = max(ends.get(place, 0), message.provenance.offset + 1)
    rows = [{"topic": topic, "partition": partition, "next": end} for (topic, partition), end in ends.items()]
    return pa.RecordBatch.from_pylist(rows, schema=REACHED_SCHEMA)


def packed_rows(rows: pa.RecordBatch) -> bytes:
    """Write rows as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_batch(rows)
    return bytes(sink.getvalue())


def read_messages(batch: pa.RecordBatch, topic_ids: Mapping[str, str]) -> Iterator[Message]:
    """Turn one Arrow batch of Kafka rows into messages."""
    columns = (batch.column(name).to_pylist() for name in COLUMNS)
    for topic, value, partition, offset, at in zip(*columns, strict=True):
        yield Message(value, topic, Provenance(topic_ids[topic], partition, offset), at.astimezone(UTC))


def collect(messages: DataFrame, topic_ids: Mapping[str, str]) -> dict[str, pa.Table]:
    """Let the workers decode a micro-batch; return the rows of each table, and where the batch ends."""
    packed = messages.select(*COLUMNS).mapInArrow(landed_rows(topic_ids), "table STRING, rows BINARY").toArrow()
    parts: dict[str, list[pa.Table]] = {}
    for name, rows in zip(packed["table"].to_pylist(), packed["rows"].to_pylist(), strict=True):
        parts.setdefault(name, []).append(pa.ipc.open_stream(rows).read_all())
    return {name: pa.concat_tables(tables) for name, tables in parts.items()}


@dataclass(frozen=True, slots=True)
class Lander:
    """What landing knows between two micro-batches: which topics it reads, and how far each table is."""

    settings: Settings
    topic_ids: Mapping[str, str]
    marks: Mapping[str, Marks]

    def land(self, messages: DataFrame, _: int) -> None:
        """Write one micro-batch to its tables, then say how far landing is.

        What a table holds already is left out, so that a batch may be run again, or cut otherwise, at any time.

        Raises:
            TopicsRecreatedError: A topic is not the one that it was at the start.
        """
        refuse_other_topics(self.topic_ids, topic_ids(self.settings))
        found = collect(messages, self.topic_ids)
        if not found:
            return
        ends: dict[str, dict[int, int]] = {}
        for row in found[REACHED].to_pylist():
            of_topic = ends.setdefault(row["topic"], {})
            of_topic[row["partition"]] = max(of_topic.get(row["partition"], 0), row["next"])
        for landing in LANDINGS:
            self.fill(landing, found[landing.table.name], ends)
        advance_landed(self.settings, Landed(dict(self.topic_ids), ends, format_instant(datetime.now(UTC))))

    def fill(self, landing: Landing, rows: pa.Table, ends: Mapping[str, Mapping[int, int]]) -> None:
        """Add to one table what it does not hold yet."""
        marks = self.marks[landing.table.name]
        reached = {
            (self.topic_ids[topic], partition): end
            for topic in landing.topics
            for partition, end in ends.get(topic, {}).items()
            if end > marks.get((self.topic_ids[topic], partition), 0)
        }
        if not reached:
            return
        fresh = above(rows, marks)
        if landing.table is EVENTS_TABLE:
            self.rule_and_append(fresh, reached)
        else:
            append(self.settings, landing.table, fresh, reached)
        marks.update(reached)

    def rule_and_append(self, rows: pa.Table, reached: Marks) -> None:
        """Add events with what each was when it arrived; the index learns of them when they are in the table."""
        with open_seen(self.settings) as (seen, state):
            number = state.landing + 1
            arrived = rows.sort_by([(name, "ascending") for name in PLACE])
            rulings, learned = seen.rule(arrivals(arrived))
            append(self.settings, EVENTS_TABLE, ruled(arrived, rulings, number), reached, **{COUNTER: number})
            seen.keep(learned, State(state.table_id, number))


def marks_of(settings: Settings, landing: Landing, topic_ids: Mapping[str, str]) -> Marks:
    """Return how far a table is in each partition of its topics."""
    places = [(topic_ids[topic], partition) for topic in landing.topics for partition in kept(settings, topic).begins]
    return high_water_marks(settings, landing.table, places)


def ruled(rows: pa.Table, rulings: Sequence[Ruling], number: int) -> pa.Table:
    """Write beside each event what it was and in which landing it arrived."""
    values: dict[str, list[object]] = {
        "disposition": [ruling.disposition.value for ruling in rulings],
        "conflict": [ruling.conflict for ruling in rulings],
        "landing": [number] * len(rulings),
    }
    for field in arrow_schema(ARRIVAL):
        rows = rows.append_column(field, pa.array(values[field.name], field.type))
    return rows


def start_landing(
    spark: SparkSession, settings: Settings, topic_ids: Mapping[str, str], *, until_caught_up: bool = False
) -> StreamingQuery:
    """Start the landing query, where the tables end. Its checkpoint serves it while it runs and no longer.

    Args:
        spark: The session.
        settings: Where everything is; how often to land.
        topic_ids: Id of each topic by name, for the provenance of every row.
        until_caught_up: Land what is there and end, instead of going on.

    Raises:
        CheckpointError: Kafka's retention deleted what comes next.
    """
    create_tables(settings, "landing")
    marks = {landing.table.name: marks_of(settings, landing, topic_ids) for landing in LANDINGS}
    lander = Lander(settings, topic_ids, marks)
    of_topic = {name: [marks[each.table.name] for each in LANDINGS if name in each.topics] for name in NAMES}
    start = landing_start(settings, topic_ids, of_topic)
    checkpoint = f"{settings.checkpoint_uri}/{QUERY}"
    forget(checkpoint)
    trigger = (
        {"availableNow": True}
        if until_caught_up
        else {"processingTime": f"{settings.landing_interval_seconds} seconds"}
    )
    messages = (
        spark.readStream.format("kafka")
        .options(**spark_kafka_options(settings))
        .option("subscribe", ",".join(NAMES))
        .option("startingOffsets", starting_offsets(start))
        .option("failOnDataLoss", "true")
        .option("maxOffsetsPerTrigger", settings.max_offsets_per_trigger)
        .load()
    )
    return (
        messages.writeStream.foreachBatch(lander.land)
        .option("checkpointLocation", checkpoint)
        .queryName(QUERY)
        .trigger(**trigger)
        .start()
    )
