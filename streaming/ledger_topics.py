"""The ledger's own eyes on Kafka. It shares no code with the pipeline, so that it cannot share its faults."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

ANSWER_SECONDS = 20.0
AT_ONCE = 20_000
POLL_SECONDS = 1.0
SILENT_SECONDS = 60
END = KafkaError._PARTITION_EOF  # noqa: SLF001 - the library has no other name for it
RENAMED = {"ssl.truststore.location": "ssl.ca.location", "ssl.keystore.location": "ssl.certificate.location"}
DROPPED = ("ssl.truststore.type", "ssl.keystore.type")
QUIET = {"log_level": 0}
"""The library writes a line to stderr at each try to connect; errors are told once, by the caller."""
AS_KAFKA_PRINTS = str.maketrans("+/", "-_")
"""Kafka's tools print ids as URL-safe base64, this client does not."""
JAAS = "sasl.jaas.config"


class LedgerUnreadableError(Exception):
    """A topic or a table cannot be read, so nothing can be said."""


@dataclass(frozen=True, slots=True)
class Span:
    """What Kafka has of one partition: the first offset, and the one after the last."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Topics:
    """A door to Kafka.

    Attributes:
        options: Options of librdkafka.
    """

    options: Mapping[str, str]

    @classmethod
    def at(cls, servers: str, java_options: Mapping[str, str]) -> "Topics":
        """Open the door, with options named as Java names them."""
        options = {"bootstrap.servers": servers}
        for name, value in java_options.items():
            if name == JAAS:
                found = dict(re.findall(r'(username|password)="((?:[^"\\]|\\.)*)"', value))
                options |= {f"sasl.{key}": re.sub(r"\\(.)", r"\1", text) for key, text in found.items()}
            elif name == "ssl.endpoint.identification.algorithm" and not value:
                options[name] = "none"
            elif name not in DROPPED:
                options[RENAMED.get(name, name)] = value
        return cls(options)

    def ids(self, names: Sequence[str]) -> dict[str, str]:
        """Return the id of each topic that is there.

        Raises:
            LedgerUnreadableError: Kafka does not answer.
        """
        admin = AdminClient({**self.options, **QUIET})
        try:
            there = admin.list_topics(timeout=ANSWER_SECONDS).topics
        except KafkaException as error:
            raise LedgerUnreadableError(str(error)) from error
        wanted = [name for name in names if name in there]
        found = admin.describe_topics(TopicCollection(wanted), request_timeout=ANSWER_SECONDS)
        return {name: str(future.result().topic_id).translate(AS_KAFKA_PRINTS) for name, future in found.items()}

    def spans(self, topic: str) -> dict[int, Span]:
        """Return what Kafka has of each partition of a topic now."""
        reader = self._reader()
        try:
            numbers = reader.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic].partitions
            marks = {
                number: reader.get_watermark_offsets(TopicPartition(topic, number), timeout=ANSWER_SECONDS)
                for number in sorted(numbers)
            }
        finally:
            reader.close()
        return {number: Span(*mark) for number, mark in marks.items()}

    def read(self, topic: str, spans: Mapping[int, Span], report: Callable[[int], None]) -> Iterator[Message]:
        """Read every message within the spans.

        Raises:
            LedgerUnreadableError: Kafka says nothing for a minute.
        """
        open_ends = {number: span.end for number, span in spans.items() if span.end > span.begin}
        reader = self._reader()
        reader.assign([TopicPartition(topic, number, spans[number].begin) for number in open_ends])
        heard, count = time.monotonic(), 0
        try:
            while open_ends:
                messages = reader.consume(AT_ONCE, POLL_SECONDS)
                if messages:
                    heard = time.monotonic()
                elif time.monotonic() - heard > SILENT_SECONDS:
                    raise LedgerUnreadableError(f"Kafka is silent; {topic} was read up to message {count}")
                for message in messages:
                    if self._is_within(message, open_ends):
                        count += 1
                        yield message
                report(count)
        finally:
            reader.close()

    def _reader(self) -> Consumer:
        own = {"group.id": "kol-ledger", "enable.auto.commit": False, "auto.offset.reset": "error"}
        return Consumer(
            {**self.options, **QUIET, **own, "enable.partition.eof": True, "fetch.message.max.bytes": 2**22}
        )

    @staticmethod
    def _is_within(message: Message, open_ends: dict[int, int]) -> bool:
        """Tell whether a message belongs to its span; close the span at its end."""
        number, offset, error = message.partition(), message.offset(), message.error()
        if error is not None and error.code() != END:
            raise LedgerUnreadableError(f"{message.topic()}/{number} cannot be read: {KafkaException(error)}")
        end = open_ends.get(number or 0)
        if end is None or offset is None:
            return False
        if offset >= end - 1:
            del open_ends[number or 0]
        return error is None and offset < end
