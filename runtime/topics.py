"""The topics: their names, how they are made, where they end, and the Kafka clients of this project."""

import base64
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar
from uuid import UUID

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, TopicAlreadyExistsError

from runtime.broker import servers
from runtime.failure import HandledError
from runtime.settings import Settings

C = TypeVar("C")

EVENTS = "kol.events"
SCORES = "kol.scores"
REJECTED = "kol.rejected"
SHADOW_SCORES = "kol.shadow_scores"
"""What the version in Staging says of the same events; callers are never answered from it."""
NAMES = (EVENTS, SCORES, REJECTED, SHADOW_SCORES)

MAX_MESSAGE_BYTES = 2**20
BOOTSTRAP_SECONDS = 10.0
"""How long a client waits for a broker that is starting again (an embedded one: 5 s after a kill)."""
CONNECT_SECONDS = 3.0
POLL_SECONDS = 0.1
READY_SECONDS = 30
LINGER_MS = 5

# Names that Java and kafka-python spell differently; the stores must be PEM files, kafka-python reads no JKS.
PYTHON_NAMES = {"ssl.truststore.location": "ssl_cafile", "ssl.keystore.location": "ssl_certfile"}
PEM_ONLY = ("ssl.truststore.type", "ssl.keystore.type")
JAAS = "sasl.jaas.config"
CHECK_HOST = "ssl.endpoint.identification.algorithm"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is created."""

    name: str
    partitions: int
    replicas: int
    options: Mapping[str, str]


class TopicsError(HandledError):
    """Kafka does not answer, a topic is missing or a client option is unknown; the message says what to do."""

    @classmethod
    def unreachable(cls, address: str, reason: str) -> Self:
        """Say which servers do not answer."""
        return cls(f"Kafka at {address} does not answer ({reason}); see './kol status', or check kafka_servers")

    @classmethod
    def missing(cls, name: str) -> Self:
        """Say which topic is not there."""
        return cls(f"there is no topic {name!r}; create the topics with: ./kol up")

    @classmethod
    def unknown_option(cls, name: str) -> Self:
        """Say which option kafka-python cannot be given."""
        return cls(
            f"kafka_options: the Python client has no {name!r}; use Java names, PEM stores and SASL PLAIN or SCRAM"
        )


def topics(settings: Settings) -> tuple[Topic, ...]:
    """Return the topics of the system.

    Time is the broker's (`LogAppendTime`): by their own time, events of years ago would be deleted at once. Nothing
    is compacted: a late write of an old event would remove a newer score.
    """
    retention = timedelta(days=settings.topic_retention_days)
    options = {
        "cleanup.policy": "delete",
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": str(retention // timedelta(milliseconds=1)),
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
    }
    return tuple(Topic(name, settings.topic_partitions, settings.topic_replicas, options) for name in NAMES)


def create_topics(settings: Settings) -> list[str]:
    """Create the topics that are not there, and wait until they can be used; those that are there stay as they are.

    Returns:
        The names of the topics that were made.
    """
    with admin(settings) as client:
        there = set(client.list_topics())
        made = [topic for topic in topics(settings) if topic.name not in there and _create(client, topic)]
        client.wait_for_topics([topic.name for topic in topics(settings)], timeout_ms=READY_SECONDS * 1000)
    return [topic.name for topic in made]


def topic_ids(settings: Settings) -> dict[str, str]:
    """Return the id of every topic of ours that exists, as Kafka's own tools print it (22 characters).

    A topic that was deleted and made again has another id: an offset means something only together with it.
    """
    with admin(settings) as client:
        there = set(client.list_topics())
        found = client.describe_topics([topic.name for topic in topics(settings) if topic.name in there])
    return {topic["name"]: _kafka_notation(UUID(topic["topic_id"])) for topic in found}


def end_offsets(settings: Settings, topic: str) -> dict[int, int]:
    """Return per partition the offset that the next committed message will have."""
    with consumer(settings, topic) as reader:
        ends = reader.end_offsets(list(reader.assignment()))
    return {place.partition: offset for place, offset in sorted(ends.items())}


def offsets_at(settings: Settings, topic: str, moment: datetime) -> dict[int, int]:
    """Return per partition the first offset that the broker wrote at or after `moment`; the end where there is none."""
    with consumer(settings, topic) as reader:
        places = sorted(reader.assignment())
        ends = reader.end_offsets(places)
        found = reader.offsets_for_times(dict.fromkeys(places, int(moment.timestamp() * 1000)))
    return {place.partition: found[place].offset if found[place] else ends[place] for place in places}


def producer(settings: Settings, **options: object) -> KafkaProducer:
    """Return a producer whose writes are acknowledged by all copies and not repeated by its own retries.

    Args:
        settings: Where Kafka is and how to log on.
        options: Further kafka-python options.
    """
    safe = {"acks": "all", "enable_idempotence": True, "linger_ms": LINGER_MS}
    return _connect(KafkaProducer, settings, {**safe, **options})


def consumer(
    settings: Settings, topic: str, start: Mapping[int, int] | None = None, **options: object
) -> KafkaConsumer:
    """Return a consumer of every partition of `topic`, without a group; it reads committed messages only.

    Args:
        settings: Where Kafka is and how to log on.
        topic: The topic to read.
        start: Offset to begin at per partition; the earliest kept one where none is given.
        options: Further kafka-python options.

    Raises:
        TopicsError: There is no such topic, or Kafka does not answer.
    """
    safe = {"group_id": None, "enable_auto_commit": False, "auto_offset_reset": "earliest"}
    reader = _connect(KafkaConsumer, settings, {**safe, "isolation_level": "read_committed", **options})
    numbers = reader.partitions_for_topic(topic)
    if not numbers:
        reader.close()
        raise TopicsError.missing(topic)
    places = [TopicPartition(topic, number) for number in sorted(numbers)]
    reader.assign(places)
    reader.seek_to_beginning(*places)
    for number, offset in (start or {}).items():
        reader.seek(TopicPartition(topic, number), offset)
    return reader


@contextmanager
def admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    """Open an administration client, and close it at the end.

    Raises:
        TopicsError: Kafka does not answer.
    """
    client = _connect(KafkaAdminClient, settings, {})
    try:
        yield client
    finally:
        client.close()


def client_options(settings: Settings) -> dict[str, Any]:
    """Return the connection options for kafka-python, from `kafka_servers` and the Java names in `kafka_options`.

    Raises:
        TopicsError: kafka-python has no such option.
    """
    options: dict[str, Any] = {"bootstrap_servers": servers(settings).split(",")}
    for name, secret in settings.kafka_options.items():
        options |= _python_option(name, secret.get_secret_value())
    return options


def spark_kafka_options(settings: Settings) -> dict[str, str]:
    """Return the connection options for Spark's Kafka reader and writer."""
    given = {f"kafka.{name}": secret.get_secret_value() for name, secret in settings.kafka_options.items()}
    return {"kafka.bootstrap.servers": servers(settings), **given}


def _connect(client: Callable[..., C], settings: Settings, options: Mapping[str, object]) -> C:
    given = client_options(settings)
    # kafka-python leaves a thread and its sockets behind when it finds nobody, so look for an open port first.
    if not _wait_for_port(given["bootstrap_servers"]):
        raise TopicsError.unreachable(servers(settings), f"no connection in {BOOTSTRAP_SECONDS:g} s")
    try:
        return client(**given, bootstrap_timeout_ms=int(BOOTSTRAP_SECONDS * 1000), **options)
    except KafkaError as error:
        raise TopicsError.unreachable(servers(settings), str(error)) from error


def _wait_for_port(addresses: Sequence[str]) -> bool:
    deadline = time.monotonic() + BOOTSTRAP_SECONDS
    while not any(map(_is_open, addresses)):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _is_open(address: str) -> bool:
    host, _, port = address.strip().rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _kafka_notation(number: UUID) -> str:
    return base64.urlsafe_b64encode(number.bytes).rstrip(b"=").decode()


def _create(client: KafkaAdminClient, topic: Topic) -> bool:
    how = {"num_partitions": topic.partitions, "replication_factor": topic.replicas, "configs": dict(topic.options)}
    try:
        client.create_topics({topic.name: how})
    except TopicAlreadyExistsError:  # another process was faster
        return False
    return True


def _python_option(name: str, value: str) -> dict[str, Any]:
    if name == JAAS and (found := re.findall(r'(username|password)="((?:[^"\\]|\\.)*)"', value)):
        return {f"sasl_plain_{key}": re.sub(r"\\(.)", r"\1", text) for key, text in found}
    if name in PEM_ONLY and value.upper() == "PEM":
        return {}
    if name == CHECK_HOST:
        return {"ssl_check_hostname": value != ""}
    python_name = PYTHON_NAMES.get(name, name.replace(".", "_"))
    if python_name not in KafkaAdminClient.DEFAULT_CONFIG:
        raise TopicsError.unknown_option(name)
    return {python_name: int(value) if value.isdigit() and python_name.endswith("_ms") else value}
