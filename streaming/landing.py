"""The landing query: events, scores and rejects from their topics into Delta, each message exactly once."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from features.instant import format_instant
from features.score import Provenance
from runtime.lake import EVENTS as EVENTS_TABLE
from runtime.lake import REALTIME_SCORES, REJECTED_EVENTS, Table, arrow_schema
from runtime.lake import SHADOW_SCORES as SHADOW_TABLE
from runtime.landed import Landed, advance_landed
from runtime.settings import Settings
from runtime.tables import create_tables
from runtime.topics import EVENTS, NAMES, REJECTED, SCORES, SHADOW_SCORES, spark_kafka_options
from streaming.outcomes import Message
from streaming.rows import Row, event_row, rejected_row, score_row

QUERY = "landing"
COLUMNS = ("topic", "value", "partition", "offset", "timestamp")


@dataclass(frozen=True, slots=True)
class Landing:
    """Which topics are read for a table, and how a message becomes a row of it."""

    table: Table
    topics: tuple[str, ...]
    read: Callable[[Message], Row | None]


LANDINGS = (
    Landing(EVENTS_TABLE, (EVENTS,), event_row),
    Landing(REALTIME_SCORES, (SCORES,), score_row),
    Landing(SHADOW_TABLE, (SHADOW_SCORES,), score_row),
    Landing(REJECTED_EVENTS, (SCORES, SHADOW_SCORES, REJECTED), rejected_row),
)


def landed_rows(
    landing: Landing, topic_ids: Mapping[str, str]
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Build the function that Spark maps over Arrow batches of messages: messages in, rows of the table out."""
    schema = arrow_schema(landing.table.columns)

    def rows(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            read = (landing.read(message) for message in read_messages(batch, topic_ids))
            columns = list(zip(*(row for row in read if row is not None), strict=True)) or [()] * len(schema)
            arrays = [pa.array(column, type=kind) for column, kind in zip(columns, schema.types, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return rows


def read_messages(batch: pa.RecordBatch, topic_ids: Mapping[str, str]) -> Iterator[Message]:
    """Turn one Arrow batch of Kafka rows into messages."""
    columns = (batch.column(name).to_pylist() for name in COLUMNS)
    for topic, value, partition, offset, at in zip(*columns, strict=True):
        yield Message(value, topic, Provenance(topic_ids[topic], partition, offset), at.astimezone(UTC))


def land_batch(messages: DataFrame, batch_id: int, settings: Settings, topic_ids: Mapping[str, str]) -> None:
    """Write one micro-batch to its tables, then say how far landing is.

    A batch that is run again after a crash is skipped by Delta, table by table: it knows the query's id and the batch.
    """
    spark = messages.sparkSession
    query_id = spark.sparkContext.getLocalProperty("sql.streaming.queryId")
    messages.persist()
    for landing in LANDINGS:
        types = ", ".join(f"{name} {kind}" for name, kind in landing.table.columns)
        wanted = messages.where(F.col("topic").isin(*landing.topics)).select(*COLUMNS)
        rows = wanted.mapInArrow(landed_rows(landing, topic_ids), types)
        (
            rows.write.format("delta")
            .mode("append")
            .option("txnAppId", query_id)
            .option("txnVersion", batch_id)
            .save(landing.table.uri(settings))
        )
    advance_landed(settings, Landed(dict(topic_ids), reached(messages), format_instant(datetime.now(UTC))))
    messages.unpersist()


def reached(messages: DataFrame) -> dict[str, dict[int, int]]:
    """Return the next offset to land per topic and partition of a batch."""
    last = messages.groupBy("topic", "partition").agg(F.max("offset").alias("offset")).collect()
    positions: dict[str, dict[int, int]] = {}
    for row in last:
        positions.setdefault(row["topic"], {})[row["partition"]] = row["offset"] + 1
    return positions


def start_landing(
    spark: SparkSession, settings: Settings, topic_ids: Mapping[str, str], *, until_caught_up: bool = False
) -> StreamingQuery:
    """Start the landing query.

    Args:
        spark: The session.
        settings: Where everything is; how often to land.
        topic_ids: Id of each topic by name, for the provenance of every row.
        until_caught_up: Land what is there and end, instead of going on.
    """
    create_tables(settings, "landing")
    trigger = (
        {"availableNow": True}
        if until_caught_up
        else {"processingTime": f"{settings.landing_interval_seconds} seconds"}
    )
    messages = (
        spark.readStream.format("kafka")
        .options(**spark_kafka_options(settings))
        .option("subscribe", ",".join(NAMES))
        .option("startingOffsets", "earliest")
        .option("failOnDataLoss", "true")
        .option("maxOffsetsPerTrigger", settings.max_offsets_per_trigger)
        .load()
    )
    return (
        messages.writeStream.foreachBatch(lambda batch, batch_id: land_batch(batch, batch_id, settings, topic_ids))
        .option("checkpointLocation", f"{settings.checkpoint_uri}/{QUERY}")
        .queryName(QUERY)
        .trigger(**trigger)
        .start()
    )
