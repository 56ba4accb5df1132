"""Driving the real topics and queries from tests."""

from collections.abc import Iterable
from time import monotonic, sleep

from pyspark.sql import SparkSession

from registry.shelf import Activation
from runtime.settings import Settings
from runtime.topics import EVENTS, admin, consumer, create_topics, end_offsets, producer, topic_ids, topics
from streaming.landing import start_landing
from streaming.scoring import start_scoring

Messages = Iterable[tuple[bytes | None, bytes | None]]


def renew_topics(settings: Settings) -> None:
    """Delete the topics of earlier tests and make them anew, empty and with other ids."""
    names = {topic.name for topic in topics(settings)}
    with admin(settings) as client:
        if there := names & set(client.list_topics()):
            client.delete_topics(sorted(there))
        deadline = monotonic() + 20
        while names & set(client.list_topics()):
            assert monotonic() < deadline, "the broker did not delete the topics"
            sleep(0.1)
    create_topics(settings)


def send(settings: Settings, messages: Messages, topic: str = EVENTS) -> None:
    """Send (key, value) messages, creating the topics at first."""
    create_topics(settings)
    client = producer(settings)
    sent = [client.send(topic, key=key, value=value) for key, value in messages]
    client.flush()
    client.close()
    assert all(future.succeeded() for future in sent)


def score_all(spark: SparkSession, settings: Settings, activation: Activation) -> None:
    """Run the scoring query until it has decided every event."""
    query = start_scoring(spark, settings, activation, topic_ids(settings)[EVENTS])
    query.processAllAvailable()
    query.stop()


def land_all(spark: SparkSession, settings: Settings) -> None:
    """Run the landing query until everything is in the lake."""
    query = start_landing(spark, settings, topic_ids(settings), until_caught_up=True)
    query.awaitTermination()
    assert query.exception() is None


def messages_of(settings: Settings, topic: str) -> list[bytes]:
    """Read the values of a topic from its beginning to its end."""
    wanted = sum(end_offsets(settings, topic).values())
    found: list[bytes] = []
    with consumer(settings, topic) as reader:
        while len(found) < wanted:
            for records in reader.poll(timeout_ms=5_000).values():
                found.extend(record.value for record in records)
    return found
