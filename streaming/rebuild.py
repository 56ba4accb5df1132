"""Going on from what the lake holds, when a checkpoint cannot be trusted or a topic was made anew."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import SparkSession

from runtime.locks import refuse_if_held
from runtime.session import end_session, spark_session
from runtime.settings import Settings
from runtime.tables import create_tables
from runtime.topics import EVENTS, create_topics, topic_ids
from streaming.checkpoints import (
    SCORING,
    CheckpointError,
    Offsets,
    Origin,
    move_aside,
    read_origin,
    refuse_expired,
    write_origin,
)
from streaming.landing import LANDINGS, marks_of
from streaming.marks import append
from streaming.service import LOCK, land_in
from streaming.starting import kept, unscored


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was done.

    Attributes:
        topic_id: The topic that is scored.
        start: The offset at which scoring goes on, by partition.
        aside: Where the old checkpoint is now, or None when there was none.
        given_up: Messages given up because Kafka no longer has them, by topic and partition.
    """

    topic_id: str
    start: Offsets
    aside: str | None
    given_up: dict[str, Offsets]


def rebuild(settings: Settings, *, accept_loss: bool) -> Rebuilt:
    """Land what the topics hold, put the checkpoint aside, and let scoring go on at the first event without an outcome.

    Raises:
        LockedError: The stream runs.
        CheckpointError: Kafka deleted what comes next, and the loss is not accepted.
    """
    refuse_if_held(settings, LOCK)
    create_topics(settings)
    spark = spark_session(settings, "rebuild")
    try:
        return rebuild_in(spark, settings, accept_loss=accept_loss)
    finally:
        end_session(spark)


def rebuild_in(spark: SparkSession, settings: Settings, *, accept_loss: bool) -> Rebuilt:
    """Rebuild in a session that is there already; see `rebuild`."""
    create_tables(settings, "landing")
    ids = topic_ids(settings)
    given_up = give_up_expired(settings, ids) if accept_loss else {}
    land_in(spark, settings)
    there, topic_id = kept(settings, EVENTS), ids[EVENTS]
    floor = known_floor(settings, topic_id)
    start = unscored(settings, topic_id, there, floor)
    expired = {partition: offset for partition, offset in start.items() if 0 < offset < there.begins[partition]}
    if expired and not accept_loss:
        refuse_expired(EVENTS, expired, there)
    floor |= {partition: there.begins[partition] for partition in expired}
    start = {partition: max(offset, there.begins[partition]) for partition, offset in start.items()}
    aside = move_aside(f"{settings.checkpoint_uri}/{SCORING}")
    write_origin(settings, Origin(topic_id, floor))
    return Rebuilt(topic_id, start, aside, given_up)


def known_floor(settings: Settings, topic_id: str) -> Offsets:
    """Return the floor of before, unless it was another topic's or cannot be read."""
    try:
        origin = read_origin(settings)
    except CheckpointError:
        return {}
    return dict(origin.floor) if origin is not None and origin.topic_id == topic_id else {}


def give_up_expired(settings: Settings, ids: Mapping[str, str]) -> dict[str, Offsets]:
    """Move the marks of the tables over what Kafka deleted before it was landed; return how many that were."""
    given_up: dict[str, Offsets] = {}
    for landing in LANDINGS:
        marks, reached = marks_of(settings, landing, ids), {}
        for topic in landing.topics:
            for partition, begin in kept(settings, topic).begins.items():
                mark = marks.get((ids[topic], partition), 0)
                if 0 < mark < begin:
                    reached[ids[topic], partition] = begin
                    given_up.setdefault(topic, {})[partition] = begin - mark
        if reached:
            append(settings, landing.table, pa.schema(landing.full_schema).empty_table(), reached)
    return given_up
