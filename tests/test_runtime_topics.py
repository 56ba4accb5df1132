"""The topics are made as the design says, and the clients of the project are safe by default."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.admin import ConfigResource
from kafka.errors import MessageSizeTooLargeError

from runtime import topics
from runtime.clock import utc_now
from runtime.processes import free_port
from runtime.settings import Settings
from runtime.topics import (
    EVENTS,
    NAMES,
    TopicsError,
    admin,
    client_options,
    consumer,
    create_topics,
    end_offsets,
    offsets_at,
    producer,
    spark_kafka_options,
    topic_ids,
)

NUMBERS = count()


@pytest.fixture
def topic(kafka_settings: Settings) -> str:
    """Make a topic of two partitions for one test."""
    name = f"test.topics.{next(NUMBERS)}"
    options = {"message.timestamp.type": "LogAppendTime"}
    with admin(kafka_settings) as client:
        client.create_topics({name: {"num_partitions": 2, "replication_factor": 1, "configs": options}})
        client.wait_for_topics([name])
    return name


def send(settings: Settings, topic: str, *values: bytes, **options: int) -> list[Any]:
    with producer(settings) as writer:
        return [writer.send(topic, value=value, **options).get(10) for value in values]


@pytest.mark.jvm
def test_the_topics_are_created_once(kafka_settings: Settings) -> None:
    assert set(create_topics(kafka_settings)) <= set(NAMES)
    before = topic_ids(kafka_settings)
    assert create_topics(kafka_settings) == []
    assert topic_ids(kafka_settings) == before


@pytest.mark.jvm
def test_a_topic_has_the_options_of_the_design(kafka_settings: Settings) -> None:
    create_topics(kafka_settings)
    with admin(kafka_settings) as client:
        found = client.describe_configs([ConfigResource("topic", EVENTS)])
        partitions = client.describe_topics([EVENTS])[0]["partitions"]
    wanted = {
        "cleanup.policy": "delete",
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": str(8 * 24 * 3600 * 1000),
        "max.message.bytes": str(2**20),
    }
    values = {name: config["value"] for name, config in found["topic"][EVENTS].items()}
    assert wanted.items() <= values.items()
    assert len(partitions) == kafka_settings.topic_partitions


@pytest.mark.jvm
def test_ids_are_written_as_kafka_writes_them(kafka_settings: Settings) -> None:
    create_topics(kafka_settings)
    ids = topic_ids(kafka_settings)
    assert set(ids) == set(NAMES)
    assert len(set(ids.values())) == len(NAMES)
    assert {len(text) for text in ids.values()} == {22}


@pytest.mark.jvm
def test_ends_are_counted_per_partition(kafka_settings: Settings, topic: str) -> None:
    assert end_offsets(kafka_settings, topic) == {0: 0, 1: 0}
    send(kafka_settings, topic, b"a", b"b", partition=1)
    assert end_offsets(kafka_settings, topic) == {0: 0, 1: 2}


@pytest.mark.jvm
def test_offsets_of_a_moment_are_those_of_the_brokers_clock(kafka_settings: Settings, topic: str) -> None:
    years_ago = int(datetime(2016, 1, 1, tzinfo=UTC).timestamp() * 1000)
    first, second = send(kafka_settings, topic, b"a", b"b", partition=0, timestamp_ms=years_ago)
    assert first.timestamp > years_ago
    between = datetime.fromtimestamp((first.timestamp + 1) / 1000, UTC)
    expected = 1 if second.timestamp > first.timestamp else 2
    assert offsets_at(kafka_settings, topic, between) == {0: expected, 1: 0}
    assert offsets_at(kafka_settings, topic, between - timedelta(days=1)) == {0: 0, 1: 0}
    assert offsets_at(kafka_settings, topic, utc_now() + timedelta(days=1)) == {0: 2, 1: 0}


@pytest.mark.jvm
def test_a_reader_begins_at_the_beginning_or_where_it_is_told(kafka_settings: Settings, topic: str) -> None:
    send(kafka_settings, topic, b"a", b"b", b"c", partition=0)
    for start, values in ((None, [b"a", b"b", b"c"]), ({0: 2}, [b"c"])):
        with consumer(kafka_settings, topic, start, consumer_timeout_ms=1500) as reader:
            assert [message.value for message in reader] == values


@pytest.mark.jvm
def test_what_was_not_committed_is_not_read(kafka_settings: Settings, topic: str) -> None:
    with producer(kafka_settings, transactional_id=topic) as writer:
        writer.init_transactions()
        for value, end in ((b"kept", writer.commit_transaction), (b"dropped", writer.abort_transaction)):
            writer.begin_transaction()
            writer.send(topic, value=value, partition=0)
            writer.flush()
            end()
    with consumer(kafka_settings, topic, consumer_timeout_ms=1500) as reader:
        assert [message.value for message in reader] == [b"kept"]


@pytest.mark.jvm
def test_a_reader_of_a_topic_that_is_not_there_says_so(kafka_settings: Settings) -> None:
    with pytest.raises(TopicsError, match=r"no topic 'kol\.nothing'.*\./kol up"):
        consumer(kafka_settings, "kol.nothing")


@pytest.mark.jvm
def test_a_message_of_more_than_a_mebibyte_is_refused(kafka_settings: Settings) -> None:
    create_topics(kafka_settings)
    with pytest.raises(MessageSizeTooLargeError):
        send(kafka_settings, EVENTS, b"x" * 2**20)


@pytest.mark.jvm
def test_a_producer_waits_for_all_copies_and_does_not_repeat_itself(kafka_settings: Settings) -> None:
    with producer(kafka_settings) as writer:
        assert isinstance(writer, KafkaProducer)
        assert (writer.config["acks"], writer.config["enable_idempotence"]) == (-1, True)


def test_servers_that_do_not_answer_are_named(
    new_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "BOOTSTRAP_SECONDS", 0.2)
    address = f"127.0.0.1:{free_port()}"
    with (
        pytest.raises(TopicsError, match=f"Kafka at {address} does not answer"),
        admin(new_settings(kafka_servers=address)),
    ):
        pass


SASL = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.jaas.config": 'org.acme.ScramLoginModule required username="kol" password="7\\"=";',
    "ssl.truststore.type": "PEM",
    "ssl.truststore.location": "/etc/kol/ca.pem",
    "request.timeout.ms": "5000",
}


def test_java_names_become_those_of_the_python_client(new_settings: Callable[..., Settings]) -> None:
    assert client_options(new_settings(kafka_servers="a:1,b:2", kafka_options=SASL)) == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "kol",
        "sasl_plain_password": '7"=',
        "ssl_cafile": "/etc/kol/ca.pem",
        "request_timeout_ms": 5000,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ssl.truststore.type", "JKS"),
        ("ssl.truststore.password", "x"),
        ("sasl.jaas.config", "a module"),
        ("nonsense", "1"),
    ],
)
def test_an_option_the_python_client_has_not_is_refused(
    new_settings: Callable[..., Settings], name: str, value: str
) -> None:
    with pytest.raises(TopicsError, match=f"no '{name}'"):
        client_options(new_settings(kafka_servers="a:1", kafka_options={name: value}))


def test_spark_gets_the_java_names_as_they_are(new_settings: Callable[..., Settings]) -> None:
    given = {f"kafka.{name}": value for name, value in SASL.items()}
    found = spark_kafka_options(new_settings(kafka_servers="a:1,b:2", kafka_options=SASL))
    assert found == {"kafka.bootstrap.servers": "a:1,b:2", **given}
