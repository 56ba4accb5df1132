"""How many events a second: the stream over a backlog, and a plain loop of one Python process over the same events."""

import itertools
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from benchmarks.stream_home import System
from benchmarks.stream_load import Load, ends, fast_producer, make_topic, messages, send_backlog
from features.score import Provenance
from registry.model import cached_model
from runtime.topics import EVENTS, SCORES
from streaming.live import Scorer, Scorers
from streaming.outcomes import Message as Event
from streaming.outcomes import outcomes

WARM_UP_SHARE = 0.1
"""Of the backlog: the first micro-batch loads the model in every worker."""
LOOP_EVENTS = 100_000
LOOP_AT_ONCE = 2_000
LOOP_TOPIC = "bench.loop"


@dataclass(frozen=True, slots=True)
class Backlog:
    """What became of a backlog.

    Attributes:
        per_second: Events scored per second after the first tenth, by the broker's clock.
        memory_mb: Largest memory seen of driver, workers and broker.
    """

    per_second: float
    memory_mb: dict[str, float]


def backlog(system: System, count: int) -> Backlog:
    """Stop the stream, send a backlog, start the stream and wait until all of it is scored."""
    system.stop_stream()
    start = ends(system.settings, SCORES)
    send_backlog(system.settings, Load(f"backlog-{time.time_ns()}"), count)
    system.start_stream()
    memory: dict[str, float] = {}
    appended: list[int] = []
    looked = 0.0
    for message in itertools.islice(messages(system.settings, SCORES, start), count):
        appended.append(appended_at(message))
        if time.monotonic() - looked > 1:
            looked = time.monotonic()
            memory = {name: max(mb, memory.get(name, 0.0)) for name, mb in system.memory_mb().items()}
    return Backlog(rate(sorted(appended)), memory)


def rate(appended: list[int]) -> float:
    """Return events per second from when they were appended (ms, ascending), without the first tenth."""
    first = int(len(appended) * WARM_UP_SHARE)
    seconds = (appended[-1] - appended[first]) / 1000
    return round((len(appended) - first - 1) / seconds, 1) if seconds else 0.0


def appended_at(message: Message) -> int:
    """Return when the broker appended a message, ms since 1970."""
    kind, at = message.timestamp()
    if kind == TIMESTAMP_NOT_AVAILABLE:
        text = "the broker gives its messages no time"
        raise ValueError(text)
    return int(at)


def plain_loop(system: System, count: int) -> float:
    """Read, score and write events in this process while the stream rests; return events per second."""
    settings = system.settings
    system.stop_stream()
    make_topic(settings, LOOP_TOPIC)
    start = ends(settings, EVENTS)
    send_backlog(settings, Load(f"loop-{time.time_ns()}"), count)
    model = cached_model(system.package, settings.engine)
    scorers = Scorers(Scorer(model, system.activation.maker()))
    client = fast_producer(settings, **{"queue.buffering.max.messages": LOOP_AT_ONCE * 100})
    began = time.perf_counter()
    found = itertools.islice(messages(settings, EVENTS, start), count)
    while part := list(itertools.islice(found, LOOP_AT_ONCE)):
        for outcome in outcomes([_event(message) for message in part], scorers, at=datetime.now(UTC)):
            client.produce(LOOP_TOPIC, key=outcome.key, value=outcome.value)
        client.poll(0)
    client.flush()
    seconds = time.perf_counter() - began
    system.start_stream()
    return round(count / seconds, 1)


def _event(message: Message) -> Event:
    place = Provenance("loop", message.partition() or 0, message.offset() or 0)
    return Event(message.value(), EVENTS, place, datetime.fromtimestamp(appended_at(message) / 1000, UTC))
