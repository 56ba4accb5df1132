"""The scoring query: `kol.events` through a pandas UDF with the broadcast model to `kol.scores` and `kol.rejected`."""

import functools
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import cast

import pandas as pd
from pyspark import TaskContext
from pyspark.core.broadcast import Broadcast
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.types import BinaryType, StringType, StructField, StructType

from features.score import Provenance
from registry.shelf import Activation, Shelf
from runtime.settings import Settings
from runtime.topics import EVENTS, REJECTED, SCORES, SHADOW_SCORES, spark_kafka_options
from streaming.isolation import decide_safely, watch_workers
from streaming.live import LiveModel
from streaming.outcomes import Message, Outcome, outcomes
from streaming.starting import scoring_start

QUERY = "scoring"
OUTCOME = StructType(
    [
        StructField("topic", StringType()),
        StructField("key", BinaryType()),
        StructField("value", BinaryType()),
        StructField("shadow", BinaryType()),
    ]
)


def scoring_udf(live: Broadcast[LiveModel], topic_id: str) -> Callable[..., Column]:
    """Build the UDF: (value, partition, offset, timestamp, time of the micro-batch) of events in, outcomes out.

    An outcome is (topic, key, value) and the value of the shadow score, null where there is none. Models are unpacked
    once per worker process, not once per task (`registry.model.cached_model`).
    """

    @pandas_udf(OUTCOME)  # type: ignore[call-overload,untyped-decorator]  # stubs lack Iterator[tuple[...]]
    def score(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.DataFrame]:
        for *message, times in batches:
            scorers = live.value.at(utc(times).iloc[0].to_pydatetime())
            now = datetime.now(UTC)
            decide = functools.partial(outcomes, scorers=scorers, at=now)
            yield kafka_rows(decide_safely(list(read_messages(message, topic_id)), decide, attempt=attempt(), at=now))

    return cast("Callable[..., Column]", score)


def attempt() -> int:
    """Return how often Spark has begun this task before; a worker died of it or hung, or an exception ended it."""
    task = TaskContext.get()
    return task.attemptNumber() if task else 0


def read_messages(batch: Sequence[pd.Series], topic_id: str) -> Iterator[Message]:
    """Turn the columns of one Arrow batch into messages."""
    values, partitions, offsets, times = batch
    columns = (values.tolist(), partitions.tolist(), offsets.tolist(), pd.DatetimeIndex(utc(times)).to_pydatetime())
    for value, partition, offset, at in zip(*columns, strict=True):
        yield Message(value, EVENTS, Provenance(topic_id, partition, offset), at)


def utc(times: pd.Series) -> pd.Series:
    """Return times with their zone; Spark gives them without, in the session's, which is UTC."""
    known: pd.Series = times.dt.tz_localize(UTC) if times.dt.tz is None else times.dt.tz_convert(UTC)
    return known


def kafka_rows(decided: list[Outcome]) -> pd.DataFrame:
    """Turn outcomes into columns; Spark's Kafka sink reads the topic of every row."""
    return pd.DataFrame(
        {
            "topic": [SCORES if outcome.scored else REJECTED for outcome in decided],
            "key": [outcome.key for outcome in decided],
            "value": [outcome.value for outcome in decided],
            "shadow": [outcome.shadow for outcome in decided],
        }
    )


def scored_events(events: DataFrame, live: Broadcast[LiveModel], topic_id: str) -> DataFrame:
    """Decide every event; returns `topic`, `key`, `value`, one row for the outcome and one for its shadow."""
    decide = scoring_udf(live, topic_id)
    # One value for all rows of a micro-batch; the query's log keeps it.
    outcome = decide("value", "partition", "offset", "timestamp", F.current_timestamp()).alias("outcome")
    answer = F.struct("outcome.topic", "outcome.key", "outcome.value")
    shadow = F.struct(F.lit(SHADOW_SCORES).alias("topic"), "outcome.key", F.col("outcome.shadow").alias("value"))
    messages = F.when(F.col("outcome.shadow").isNull(), F.array(answer)).otherwise(F.array(answer, shadow))
    return events.select(outcome).select(F.inline(messages))


def read_events(spark: SparkSession, settings: Settings, start: str) -> DataFrame:
    """Open the stream of `kol.events`, from the given offsets when there is no checkpoint yet; losses stop it."""
    return (
        spark.readStream.format("kafka")
        .options(**spark_kafka_options(settings))
        .option("subscribe", EVENTS)
        .option("startingOffsets", start)
        .option("failOnDataLoss", "true")
        .option("maxOffsetsPerTrigger", settings.max_offsets_per_trigger)
        .load()
    )


def start_scoring(spark: SparkSession, settings: Settings, activation: Activation, topic_id: str) -> StreamingQuery:
    """Start the scoring query with the model that an activation names; it follows the shelf from there.

    Progress is logged asynchronously: the sink is at-least-once either way, and batches take half the time.
    """
    watch_workers(spark)
    start = scoring_start(settings, topic_id)
    package = Shelf.at(settings.shelf).package(activation.sha)
    live = LiveModel(package, activation.maker(), settings.shelf, settings.engine)
    decided = scored_events(read_events(spark, settings, start), spark.sparkContext.broadcast(live), topic_id)
    return (
        decided.writeStream.format("kafka")
        .options(**spark_kafka_options(settings))
        .option("checkpointLocation", f"{settings.checkpoint_uri}/{QUERY}")
        .option("asyncProgressTrackingEnabled", "true")
        .queryName(QUERY)
        .start()
    )
