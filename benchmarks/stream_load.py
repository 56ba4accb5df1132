"""Load for the stream: a backlog as fast as it goes, a steady rate, and the scores that come of it."""

import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import numpy as np
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from features.event import Event, Profile, encode_event
from features.reference import TRUSTWORTHY
from runtime.broker import servers
from runtime.failure import HandledError
from runtime.settings import Settings
from runtime.topics import EVENTS, admin, end_offsets

KOLS = 50_000
SHAPES = 997
"""Different profiles; a prime, so that they do not go in step with the KOLs."""
QUEUE = 200_000
FULL_SECONDS = 0.05
FLUSH_SECONDS = 60
SILENT_SECONDS = 180.0
"""How long nothing may come before the stream counts as dead."""
AT_ONCE = 5_000
POLL_SECONDS = 0.2


class LoadError(HandledError):
    """The broker did not take the load, or no score came of it; the message says how far it went."""


class Load:
    """Makes events: varied profiles of many KOLs, each event with a number of its own."""

    def __init__(self, name: str, seed: int = 7) -> None:
        """Prepare profiles; `name` begins the id of every event, so that loads are told apart."""
        self.name = name
        chance = np.random.default_rng(seed)
        self.profiles = [varied(chance) for _ in range(SHAPES)]

    def event(self, number: int, at: datetime) -> tuple[bytes, bytes]:
        """Return key and value of event `number`."""
        event = event_of(self.profiles[number % SHAPES], f"{self.name}:{number}", f"bench:k{number % KOLS}", at)
        return event.kol_id.encode(), encode_event(event)

    def number(self, event_id: str) -> int | None:
        """Return which event of this load an id names, or None for one of another load."""
        name, _, number = event_id.partition(":")
        return int(number) if name == self.name else None


def varied(chance: np.random.Generator) -> Profile:
    """Draw a profile: counts over six orders of magnitude."""
    followers, following, posts, favourites = (int(10 ** chance.uniform(0, 6)) for _ in range(4))
    return Profile(
        followers_count=followers,
        following_count=following,
        post_count=posts,
        favorites_count=favourites,
        account_age_days=int(chance.integers(1, 5_000)),
        verified=bool(chance.integers(0, 2)),
        has_bio=TRUSTWORTHY.has_bio,
        has_url=bool(chance.integers(0, 2)),
        has_profile_image=bool(chance.integers(0, 2)),
        bio_length=int(chance.integers(1, 160)),
    )


def event_of(profile: Profile, event_id: str, kol_id: str, at: datetime) -> Event:
    """Make an event of a profile."""
    fields = {name: getattr(profile, name) for name in profile.__struct_fields__}
    return Event(event_id=event_id, event_time=at, kol_id=kol_id, **fields)


def fast_producer(settings: Settings, **options: str | float) -> Producer:
    """Return a producer of the C client: the load must cost less than what is measured."""
    return Producer({"bootstrap.servers": servers(settings), "acks": "all", "linger.ms": 1, **options})


def send_backlog(settings: Settings, load: Load, count: int) -> None:
    """Send events as fast as it goes, until the broker has all of them.

    Raises:
        LoadError: It has not after a minute.
    """
    client = fast_producer(settings, **{"linger.ms": 50, "queue.buffering.max.messages": QUEUE})
    at = datetime.now(UTC)
    for number in range(count):
        key, value = load.event(number, at)
        while not _taken(client, key, value):
            client.poll(FULL_SECONDS)
    if left := client.flush(FLUSH_SECONDS):
        raise LoadError(f"the broker has not taken {left} of {count} events")


def send_steadily(settings: Settings, load: Load, per_second: float, seconds: float) -> dict[int, float]:
    """Send at a rate; return when each event was handed to the client (`time.time`, by number).

    A sender that falls behind catches up, and its delay counts for the event: the time noted is when it was due.
    """
    client = fast_producer(settings)
    due: dict[int, float] = {}
    began = time.time()
    for number in range(int(per_second * seconds)):
        due[number] = began + number / per_second
        time.sleep(max(0.0, due[number] - time.time()))
        key, value = load.event(number, datetime.now(UTC))
        client.produce(EVENTS, key=key, value=value)
        client.poll(0)
    if left := client.flush(FLUSH_SECONDS):
        raise LoadError(f"the broker has not taken {left} events")
    return due


def messages(
    settings: Settings, topic: str, start: Mapping[int, int], told: threading.Event | None = None
) -> Iterator[Message]:
    """Yield the messages of a topic from the offsets of `start` on, as they come, until `told` is set.

    Raises:
        LoadError: Nothing came for three minutes.
    """
    reader = Consumer(
        {
            "bootstrap.servers": servers(settings),
            "group.id": "bench",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 5,
        }
    )
    reader.assign([TopicPartition(topic, partition, offset) for partition, offset in start.items()])
    heard = time.monotonic()
    try:
        while told is None or not told.is_set():
            found = [message for message in reader.consume(AT_ONCE, POLL_SECONDS) if message.error() is None]
            heard = time.monotonic() if found else heard
            if time.monotonic() - heard > SILENT_SECONDS:
                raise LoadError(f"nothing came on {topic} for {SILENT_SECONDS:.0f} s; see ./kol stream status")
            yield from found
    finally:
        reader.close()


def make_topic(settings: Settings, name: str) -> None:
    """Make a topic that only a bench writes to, unless it is there."""
    with admin(settings) as client:
        if name not in client.list_topics():
            client.create_topics({name: {"num_partitions": settings.topic_partitions, "replication_factor": 1}})
            client.wait_for_topics([name])


def ends(settings: Settings, topic: str) -> dict[int, int]:
    """Return where a topic ends now."""
    return end_offsets(settings, topic)


def _taken(client: Producer, key: bytes, value: bytes) -> bool:
    try:
        client.produce(EVENTS, key=key, value=value)
    except BufferError:  # the client's queue is full; it empties while polled
        return False
    client.poll(0)
    return True
