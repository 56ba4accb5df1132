"""Starting a query again that ended because Kafka was away for longer than its clients wait.

Spark asks Kafka for its offsets once and waits a minute for the answer, so a longer outage ends a query. Its place is
kept by checkpoint and tables: it goes on there as soon as Kafka is back, and nobody has to be woken.
"""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog
from kafka.errors import KafkaError
from pyspark.sql.streaming.query import StreamingQuery

from runtime.broker import BrokerError
from runtime.failure import HandledError
from runtime.settings import Settings
from runtime.topics import TopicsError, topic_ids
from streaming.checkpoints import refuse_other_topics

KAFKAS = re.compile(
    r"org\.apache\.kafka\.|kafka\.errors\.|\b(TopicsError|BrokerError)\b|\bKafka\w*Exception\b|not available in Kafka"
)
"""What the reason says when Kafka is in it: errors of its two clients, ours, and Spark's words for lost messages."""
WITHOUT_REASON = "without a reason"
"""Spark loses the reason of a query whose thread dies of reading a long one (a Java stack in a Python error)."""
MOST_IN_VAIN = 5
"""Starts in a row without one finished micro-batch; after that it is not Kafka's absence that is wrong."""
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 15.0
LONGEST_REASON = 300


class StreamStoppedError(HandledError):
    """A query of the stream ended by itself; the message has the reason that Spark gives."""


@dataclass(frozen=True, slots=True)
class Revival:
    """How the queries of one stream are started again.

    Attributes:
        settings: Where Kafka is.
        topic_ids: The topics that the stream reads and writes; others of the same names are refused.
        starts: What starts each query, by its name.
        told: Set when the stream shall end.
        in_vain: Starts since the last finished micro-batch, by query.
    """

    settings: Settings
    topic_ids: Mapping[str, str]
    starts: Mapping[str, Callable[[], StreamingQuery]]
    told: threading.Event
    in_vain: dict[str, int] = field(default_factory=dict)

    def again(self, ended: StreamingQuery) -> StreamingQuery:
        """Start an ended query again, as soon as Kafka answers; return the ended one when told to stop meanwhile.

        Raises:
            StreamStoppedError: It did not end for Kafka's sake, or again and again without getting on.
            CheckpointError: Kafka no longer has what comes next.
            TopicsRecreatedError: A topic is not the one that it was.
        """
        name, reason = ended.name or "", str(ended.exception() or WITHOUT_REASON)
        self.in_vain[name] = 1 if ended.lastProgress else self.in_vain.get(name, 0) + 1
        if not (KAFKAS.search(reason) or reason == WITHOUT_REASON) or self.in_vain[name] > MOST_IN_VAIN:
            raise StreamStoppedError(f"the query {name!r} stopped: {reason}")
        log = structlog.get_logger().bind(query=name)
        log.warning("query ended, it goes on when Kafka answers", reason=reason[:LONGEST_REASON])
        pause = FIRST_PAUSE_SECONDS
        while not self.told.wait(pause):
            try:
                refuse_other_topics(self.topic_ids, topic_ids(self.settings))
                fresh = self.starts[name]()
            except (BrokerError, TopicsError, KafkaError) as error:
                log.warning("Kafka is away", reason=str(error)[:LONGEST_REASON])
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                log.info("query started again")
                return fresh
        return ended
