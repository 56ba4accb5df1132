"""The scoring query: `kol.events` through a pandas UDF with the broadcast model to `kol.scores` and `kol.rejected`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import pandas as pd
from pyspark.core.broadcast import Broadcast
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.types import BinaryType, StringType, StructField, StructType

from features.score import Maker, Provenance
from registry.engines import EngineKind
from registry.model import cached_model
from registry.package import Package
from runtime.settings import Settings
from runtime.topics import EVENTS, REJECTED, SCORES, spark_kafka_options
from streaming.outcomes import Message, Outcome, outcomes

QUERY = "scoring"
KAFKA_ROW = StructType(
    [StructField("topic", StringType()), StructField("key", BinaryType()), StructField("value", BinaryType())]
)


@dataclass(frozen=True, slots=True)
class ServingModel:
    """What the workers need to score: the broadcast package, how to name it, and which engine runs it."""

    package: Broadcast[Package]
    maker: Maker
    engine: EngineKind


def scoring_udf(model: ServingModel, topic_id: str) -> Callable[..., Column]:
    """Build the UDF: (value, partition, offset, timestamp) of events in, (topic, key, value) of outcomes out.

    The model is unpacked once per worker process, not once per task (`registry.model.cached_model`).
    """

    @pandas_udf(KAFKA_ROW)  # type: ignore[call-overload,untyped-decorator]  # stubs lack Iterator[tuple[...]]
    def score(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.DataFrame]:
        ready = cached_model(model.package.value, model.engine)
        for batch in batches:
            decided = outcomes(list(read_messages(batch, topic_id)), ready, model.maker, at=datetime.now(UTC))
            yield kafka_rows(decided)

    return cast("Callable[..., Column]", score)


def read_messages(batch: tuple[pd.Series, ...], topic_id: str) -> Iterator[Message]:
    """Turn the columns of one Arrow batch into messages."""
    values, partitions, offsets, times = batch
    appended = times.dt.tz_localize(UTC) if times.dt.tz is None else times.dt.tz_convert(UTC)
    for value, partition, offset, at in zip(values, partitions, offsets, appended, strict=True):
        yield Message(value, EVENTS, Provenance(topic_id, int(partition), int(offset)), at.to_pydatetime())


def kafka_rows(decided: list[Outcome]) -> pd.DataFrame:
    """Turn outcomes into the columns of Spark's Kafka sink, which reads the topic of every row."""
    return pd.DataFrame(
        {
            "topic": [SCORES if outcome.scored else REJECTED for outcome in decided],
            "key": [outcome.key for outcome in decided],
            "value": [outcome.value for outcome in decided],
        }
    )


def scored_events(events: DataFrame, model: ServingModel, topic_id: str) -> DataFrame:
    """Decide every event; returns `topic`, `key`, `value`."""
    outcome = scoring_udf(model, topic_id)("value", "partition", "offset", "timestamp")
    return events.select(outcome.alias("outcome")).select("outcome.topic", "outcome.key", "outcome.value")


def read_events(spark: SparkSession, settings: Settings) -> DataFrame:
    """Open the stream of `kol.events`, from the beginning when there is no checkpoint yet; losses stop it."""
    return (
        spark.readStream.format("kafka")
        .options(**spark_kafka_options(settings))
        .option("subscribe", EVENTS)
        .option("startingOffsets", "earliest")
        .option("failOnDataLoss", "true")
        .option("maxOffsetsPerTrigger", settings.max_offsets_per_trigger)
        .load()
    )


def start_scoring(spark: SparkSession, settings: Settings, model: ServingModel, topic_id: str) -> StreamingQuery:
    """Start the scoring query.

    Progress is logged asynchronously: the sink is at-least-once either way, and batches take half the time.
    """
    decided = scored_events(read_events(spark, settings), model, topic_id)
    return (
        decided.writeStream.format("kafka")
        .options(**spark_kafka_options(settings))
        .option("checkpointLocation", f"{settings.checkpoint_uri}/{QUERY}")
        .option("asyncProgressTrackingEnabled", "true")
        .queryName(QUERY)
        .start()
    )
