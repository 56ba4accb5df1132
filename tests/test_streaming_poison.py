"""Poison of every kind among good events, through the real stream: exact counts, and good rows as without it."""

import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from time import monotonic

import pytest
import structlog
from pyspark.sql import SparkSession

from features.event import encode_event
from features.rejection import decode_rejection
from features.score import Maker, Provenance, Score, decode_score
from registry.model import unpack
from registry.shelf import Shelf
from runtime.broker import Broker
from runtime.lake import REJECTED_EVENTS
from runtime.settings import Settings
from runtime.tables import open_table
from runtime.topics import EVENTS, REJECTED, SCORES, topic_ids
from streaming.live import Scorer, Scorers
from streaming.outcomes import Message, outcomes
from streaming.rows import rejected_row
from streaming.scoring import start_scoring
from tests.conftest import NewSettings
from tests.support_events import event_of, varied_values
from tests.support_model import tiny_package, tiny_shelf
from tests.support_poison import ACCEPTED, LARGEST_MESSAGE, POISONS, REFUSED, Poison
from tests.support_stream import Messages, land_all, messages_of, renew_topics, send

EACH = 5
GOOD_PER_BAD = 94 / 6
RUNS = 3
LONG_EVENTS = 200_000
"""Good events in a run; the bad ones come on top."""
SMALL = tuple(poison for poison in REFUSED if len(poison.data) < 10_000)
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.kind)
def test_each_kind_passes_all_stations_of_the_stream(poison: Poison) -> None:
    message = Message(poison.data, EVENTS, Provenance("T", 0, 1), NOW)
    (outcome,) = outcomes([message], Scorers(Scorer(unpack(tiny_package()), Maker("abc", 1, "v1"))), at=NOW)
    if poison.verdict == ACCEPTED:
        assert 0 <= decode_score(outcome.value).hundredths <= 10_000
        return
    row = rejected_row(Message(outcome.value, REJECTED, Provenance("R", 0, 1), NOW))
    assert row is not None
    assert decode_rejection(outcome.value).reason == row[8] == poison.verdict
    assert len(outcome.value) < LARGEST_MESSAGE


def good_events(count: int) -> list[tuple[bytes | None, bytes | None]]:
    """Return good messages, one KOL each."""
    at = datetime.now(UTC)
    events = [event_of(row, number, at=at) for number, row in enumerate(varied_values(count, seed=13))]
    return [(event.kol_id.encode(), encode_event(event)) for event in events]


def mixed(good: Messages, bad: Messages) -> Messages:
    """Mix good and bad messages."""
    every = [*good, *bad]
    random.Random(5).shuffle(every)
    return every


def content(values: list[bytes]) -> dict[str, bytes]:
    """Return all that scores say, by event, but for when and from where in the topic they were made."""
    scores = [decode_score(value) for value in values]
    return {score.event_id: without_place(score) for score in scores if score.kol_id.startswith("test:k")}


def without_place(score: Score) -> bytes:
    """Write what a score says."""
    names = [name for name in score.__struct_fields__ if name not in {"timestamp", "provenance"}]
    return repr([getattr(score, name) for name in names]).encode()


@dataclass(frozen=True, slots=True)
class Run:
    """What the stream made of some messages."""

    settings: Settings
    seconds: float
    scores: dict[str, bytes]
    rejects: Counter[str]


def run(spark: SparkSession, settings: Settings, messages: Messages) -> Run:
    """Send messages to empty topics and score them all in one query that must not fail."""
    renew_topics(settings)
    send(settings, messages)
    activation = tiny_shelf(Shelf.at(settings.shelf))
    query = start_scoring(spark, settings, activation, topic_ids(settings)[EVENTS])
    began = monotonic()
    query.processAllAvailable()
    seconds = monotonic() - began
    assert query.exception() is None
    query.stop()
    rejects = Counter(decode_rejection(value).reason for value in messages_of(settings, REJECTED))
    return Run(settings, seconds, content(messages_of(settings, SCORES)), rejects)


def scores_without_a_stream(settings: Settings, messages: Messages) -> dict[str, bytes]:
    """Return what the same events get where no stream and no poison is near."""
    activation = Shelf.at(settings.shelf).production()
    scorers = Scorers(Scorer(unpack(tiny_package()), activation.maker()))
    arrived = [Message(value, EVENTS, Provenance("T", 0, 0), datetime.now(UTC)) for _, value in messages]
    return content([outcome.value for outcome in outcomes(arrived, scorers, at=NOW)])


def counted(poisons: tuple[Poison, ...], each: int) -> Counter[str]:
    """Return how many of each verdict there must be."""
    return Counter({verdict: each * count for verdict, count in Counter(p.verdict for p in poisons).items()})


@pytest.mark.jvm
def test_poison_is_counted_exactly_and_changes_no_good_row(
    spark: SparkSession, new_settings: NewSettings, broker: Broker
) -> None:
    good = good_events(round(len(POISONS) * EACH * GOOD_PER_BAD))
    bad: Messages = [(None, poison.data) for poison in POISONS for _ in range(EACH)]
    poisoned = run(spark, new_settings(kafka_servers=broker.servers), mixed(good, bad))
    expected = counted(POISONS, EACH)
    accepted = expected.pop(ACCEPTED)
    assert poisoned.rejects == expected
    assert poisoned.scores == scores_without_a_stream(poisoned.settings, good)
    assert len(messages_of(poisoned.settings, SCORES)) == len(good) + accepted
    land_all(spark, poisoned.settings)
    landed = open_table(poisoned.settings, REJECTED_EVENTS).to_pyarrow_table(columns=["reason"])
    assert Counter(landed["reason"].to_pylist()) == expected


@pytest.mark.jvm
@pytest.mark.long
def test_poison_costs_at_most_a_tenth_of_the_throughput(
    spark: SparkSession, new_settings: NewSettings, broker: Broker
) -> None:
    good = good_events(LONG_EVENTS)
    each = round(LONG_EVENTS / GOOD_PER_BAD / len(SMALL))
    bad: Messages = [(None, poison.data) for poison in SMALL for _ in range(each)]
    rates: dict[str, list[float]] = {"clean": [], "poisoned": []}
    for _ in range(RUNS):
        clean = run(spark, new_settings(kafka_servers=broker.servers), good)
        poisoned = run(spark, new_settings(kafka_servers=broker.servers), mixed(good, bad))
        assert poisoned.rejects == counted(SMALL, each)
        assert poisoned.scores == clean.scores
        rates["clean"].append(len(good) / clean.seconds)
        rates["poisoned"].append((len(good) + each * len(SMALL)) / poisoned.seconds)
    structlog.get_logger().info("poison", each=each, kinds=len(SMALL), events_per_second=rates)
    assert median(rates["poisoned"]) >= 0.9 * median(rates["clean"])
