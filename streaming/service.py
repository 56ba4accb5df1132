"""The stream as a process: both queries in one Spark session, until it is told to stop or one of them fails."""

import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from features.instant import format_instant
from registry.shelf import Shelf
from runtime.locks import hold, refuse_if_held
from runtime.session import end_session, spark_session
from runtime.settings import Settings
from runtime.topics import EVENTS, create_topics, topic_ids
from streaming.landing import QUERY as LANDING
from streaming.landing import start_landing
from streaming.revival import Revival, StreamStoppedError
from streaming.scoring import QUERY as SCORING
from streaming.scoring import start_scoring
from streaming.status import StreamStatus, query_status, write_status

LOCK = "stream"
LOOK_SECONDS = 1
STOP_SECONDS = 30
"""How long a micro-batch may take to end before it is interrupted; its offsets are read again at the next start."""
STOP_LOOK_SECONDS = 0.02


def run_stream(settings: Settings) -> None:
    """Score and land until SIGTERM or SIGINT.

    Raises:
        LockedError: Another stream runs on this home.
        ShelfError: No model is in Production.
        ModelRefusedError: It was made for another feature contract, or is broken; nothing was started.
        StreamStoppedError: A query failed, and not because Kafka was away.
    """
    refuse_if_held(settings, LOCK)
    activation = Shelf.at(settings.shelf).production()
    Shelf.at(settings.shelf).package(activation.sha).verified_manifest()
    create_topics(settings)
    spark = spark_session(settings, LOCK)
    hold(spark, settings, LOCK)
    ids = topic_ids(settings)
    starts: dict[str, Callable[[], StreamingQuery]] = {
        SCORING: lambda: start_scoring(spark, settings, Shelf.at(settings.shelf).production(), ids[EVENTS]),
        LANDING: lambda: start_landing(spark, settings, ids),
    }
    queries = [start() for start in starts.values()]
    structlog.get_logger().info(
        "stream started", model_version=activation.maker().model_version, from_shelf=str(settings.shelf)
    )
    try:
        watch(spark, queries, Revival(settings, ids, starts, signalled()))
    finally:
        for query in queries:
            stop_between_batches(query)
        end_session(spark)
    structlog.get_logger().info("stream stopped")


def signalled() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set from now on."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    return told


def watch(spark: SparkSession, queries: list[StreamingQuery], revival: Revival) -> None:
    """Write the status every second until a signal comes; a query that ends is replaced, or ends the stream."""
    settings, shelf = revival.settings, Shelf.at(revival.settings.shelf)
    while not revival.told.is_set():
        for number, query in enumerate(queries):
            if not query.isActive:
                queries[number] = revival.again(query)
        statuses = tuple(query_status(query) for query in queries)
        model_version = shelf.production().maker().model_version
        write_status(settings, StreamStatus(format_instant(datetime.now(UTC)), model_version, statuses))
        spark.streams.resetTerminated()
        revival.told.wait(LOOK_SECONDS)


def stop_between_batches(query: StreamingQuery) -> None:
    """Stop a query when its micro-batch is done: interrupting one loses nothing, but it fails loudly in the log."""
    deadline = time.monotonic() + STOP_SECONDS
    while query.isActive and query.status["isTriggerActive"] and time.monotonic() < deadline:
        time.sleep(STOP_LOOK_SECONDS)
    query.stop()


def land_once(settings: Settings) -> None:
    """Land what the topics hold now, and end.

    Raises:
        LockedError: The stream runs, which lands by itself.
        StreamStoppedError: Landing failed.
    """
    refuse_if_held(settings, LOCK)
    create_topics(settings)
    spark = spark_session(settings, "land")
    try:
        land_in(spark, settings)
    finally:
        end_session(spark)


def land_in(spark: SparkSession, settings: Settings) -> None:
    """Land what the topics hold now, in a session that is there already; see `land_once`."""
    hold(spark, settings, LOCK)
    query = start_landing(spark, settings, topic_ids(settings), until_caught_up=True)
    query.awaitTermination()
    if error := query.exception():
        raise StreamStoppedError(f"landing stopped: {error}")
