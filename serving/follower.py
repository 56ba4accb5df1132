"""Follows `kol.scores` into the realtime view, from the offsets stored there; newest wins, whatever comes twice."""

import threading
import time
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError
from msgspec.structs import replace

from features.instant import format_instant, parse_instant
from features.score import Score, ScoreDomainError, decode_score
from features.scrutiny import is_identifier
from runtime.broker import BrokerError
from runtime.clock import Clock
from runtime.settings import Settings
from runtime.topics import SCORES, TopicsError, consumer, topic_ids
from serving.views import RealtimeState, ViewWriter

POLL_MS = 200
MOST_RECORDS = 5_000
"""Messages per transaction while catching up."""
PROBE_EVERY = timedelta(seconds=1)
"""How often the broker is asked where the topic ends; the least age of `caught_up_at`."""
IDENTITY_EVERY = timedelta(seconds=10)
"""How often the topic is asked for its id: one made anew starts at offset 0 again."""
ANSWER_MS = 5_000
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 15.0

Ends = dict[TopicPartition, int]
FETCH: dict[str, object] = {"fetch_max_wait_ms": 100, "max_partition_fetch_bytes": 4 * 2**20}


class TopicReplacedError(Exception):
    """The topic was deleted and made again while it was followed."""


class Follower:
    """Reads scores from Kafka and puts them into the realtime view until it is told to stop."""

    def __init__(self, settings: Settings, writer: ViewWriter, clock: Clock) -> None:
        self._settings = settings
        self._writer = writer
        self._clock = clock
        self._state = RealtimeState()
        self._ends: Ends = {}
        self._target: tuple[datetime, Ends] | None = None

    def run(self, stop: threading.Event) -> None:
        """Follow the topic; when Kafka is away, keep what is there, say so, and try again with growing pauses."""
        delay = FIRST_DELAY_SECONDS
        while not stop.is_set():
            started = time.monotonic()
            try:
                self._follow(stop)
            except (KafkaError, TopicsError, BrokerError, TopicReplacedError, OSError) as error:
                self._note_problem(str(error))
            if time.monotonic() - started > LONGEST_DELAY_SECONDS:
                delay = FIRST_DELAY_SECONDS
            stop.wait(delay)
            delay = min(2 * delay, LONGEST_DELAY_SECONDS)

    def _follow(self, stop: threading.Event) -> None:
        """Follow one topic over one connection."""
        topic_id = self._topic_id()
        start = self._writer.offsets(topic_id)
        structlog.get_logger().info("following scores", topic_id=topic_id, offsets=start)
        probe_at = identity_at = self._clock()
        with closing(consumer(self._settings, SCORES, start, **FETCH)) as reader:
            while not stop.is_set():
                now = self._clock()
                if now >= identity_at:
                    self._check_identity(topic_id)
                    identity_at = now + IDENTITY_EVERY
                if now >= probe_at:
                    self._probe(reader, now)
                    probe_at = now + PROBE_EVERY
                self._take(topic_id, reader.poll(timeout_ms=POLL_MS, max_records=MOST_RECORDS))
                self._note_progress(reader)

    def _topic_id(self) -> str:
        """Return the topic's id.

        Raises:
            TopicsError: It is not there (yet).
        """
        found = topic_ids(self._settings).get(SCORES)
        if found is None:
            raise TopicsError.missing(SCORES)
        return found

    def _check_identity(self, topic_id: str) -> None:
        """Start again when the topic is another one than before."""
        if self._topic_id() != topic_id:
            raise TopicReplacedError(f"{SCORES} was deleted and made again; reading the new one from its beginning")

    def _take(self, topic_id: str, records: dict[TopicPartition, list[Any]]) -> None:
        """Put one fetch into the view, with the offsets that follow it, in one transaction."""
        if not records:
            return
        scores: list[Score] = []
        for record in (record for batch in records.values() for record in batch):
            try:
                scores.append(accept_score(record.value))
            except ScoreDomainError as error:
                self._refuse(record, error)
        offsets = {(topic_id, place.partition): batch[-1].offset + 1 for place, batch in records.items()}
        self._writer.apply(scores, offsets)

    def _refuse(self, record: Any, error: ScoreDomainError) -> None:  # noqa: ANN401 - kafka-python has no types
        """Count and log a message that is no score; it is never shown."""
        self._state = replace(self._state, refused=self._state.refused + 1)
        place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        structlog.get_logger().error("message is no score", because=str(error), **place)

    def _probe(self, reader: Any, now: datetime) -> None:  # noqa: ANN401 - kafka-python has no types
        """Ask the broker where the topic ends; the view has caught up with `now` once it has passed all ends."""
        self._ends = reader.end_offsets(list(reader.assignment()), timeout_ms=ANSWER_MS)
        self._state = replace(self._state, polled_at=now, problem=None)
        if self._target is None:
            self._target = now, self._ends

    def _note_progress(self, reader: Any) -> None:  # noqa: ANN401 - kafka-python has no types
        """Write how far the view is, as often as there is a target to reach."""
        if self._target is None:
            return
        asked_at, ends = self._target
        if _lag(reader, ends) == 0:
            self._state = replace(self._state, caught_up_at=asked_at)
            self._target = None
        self._state = replace(self._state, lag=_lag(reader, self._ends))
        self._writer.note_realtime(self._state)

    def _note_problem(self, problem: str) -> None:
        """Say why nothing is followed at present; what was known stays known, and ages."""
        if problem != self._state.problem:
            structlog.get_logger().warning("not following scores", because=problem)
        self._state = replace(self._state, problem=problem)
        self._target = None
        self._writer.note_realtime(self._state)


def _lag(reader: Any, ends: Ends) -> int:  # noqa: ANN401 - kafka-python has no types
    """Return how many messages are between what was read and the ends."""
    return sum(max(0, end - reader.position(place)) for place, end in ends.items())


def accept_score(data: bytes | None) -> Score:
    """Read a message of `kol.scores` that may enter the view.

    Raises:
        ScoreDomainError: It is no score, its KOL cannot be a key, or its time is not spelled so that text order is
            time order: such a one could win for ever.
    """
    score = decode_score(data or b"")
    if not is_identifier(score.kol_id):
        raise ScoreDomainError(f"the score's kol_id {score.kol_id[:80]!r} is no identifier")
    try:
        canonical = format_instant(parse_instant(score.event_time))
    except ValueError as error:
        raise ScoreDomainError(f"the score of {score.kol_id!r} has no time: {error}") from error
    if canonical != score.event_time:
        raise ScoreDomainError(f"the score of {score.kol_id!r} spells its time {score.event_time!r}; send {canonical}")
    return score
