"""Both queries on a real broker, real Spark and real Delta: one outcome per event, landed exactly once."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from features.rejection import decode_rejection
from features.score import decode_score
from registry.shelf import Activation, Shelf
from runtime.lake import EVENTS as EVENTS_TABLE
from runtime.lake import REALTIME_SCORES, REJECTED_EVENTS
from runtime.landed import read_landed
from runtime.settings import Settings
from runtime.tables import newest_version, open_table
from runtime.topics import EVENTS, REJECTED, SCORES, end_offsets, topic_ids
from tests.support_events import BAD_EVENTS, encoded_events, varied_values
from tests.support_model import tiny_shelf
from tests.support_stream import land_all, messages_of, renew_topics, score_all, send

pytestmark = pytest.mark.jvm
GOOD_COUNT = 600


@pytest.fixture(scope="module")
def at() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def home(module_settings: Settings, spark: SparkSession, at: datetime) -> tuple[Settings, Activation]:
    """Send good and bad events, score and land them."""
    renew_topics(module_settings)
    activation = tiny_shelf(Shelf.at(module_settings.shelf))
    send(module_settings, encoded_events(varied_values(GOOD_COUNT, seed=11), at=at))
    send(module_settings, [(None, value) for value, _ in BAD_EVENTS])
    score_all(spark, module_settings, activation)
    land_all(spark, module_settings)
    return module_settings, activation


def test_every_event_ends_in_exactly_one_place(home: tuple[Settings, Activation]) -> None:
    settings, activation = home
    scores = [decode_score(value) for value in messages_of(settings, SCORES)]
    rejects = [decode_rejection(value) for value in messages_of(settings, REJECTED)]
    provenances = [*(score.provenance for score in scores), *(reject.provenance for reject in rejects)]
    places = [(place.partition, place.offset) for place in provenances if place]
    ends = end_offsets(settings, EVENTS)
    assert sorted(places) == [(partition, offset) for partition in ends for offset in range(ends[partition])]
    assert Counter(reject.reason for reject in rejects) == Counter(reason for _, reason in BAD_EVENTS)
    assert {score.model_sha for score in scores} == {activation.sha}


def test_the_lake_holds_every_message_once(home: tuple[Settings, Activation]) -> None:
    settings, _ = home
    for table, count in ((EVENTS_TABLE, GOOD_COUNT), (REALTIME_SCORES, GOOD_COUNT), (REJECTED_EVENTS, len(BAD_EVENTS))):
        rows = open_table(settings, table).to_pyarrow_table()
        keys = set(zip(*(rows[name].to_pylist() for name in ("topic_id", "partition", "offset")), strict=True))
        assert (len(rows), len(keys)) == (count, count), table.name


def test_landing_says_how_far_it_is(home: tuple[Settings, Activation]) -> None:
    settings, _ = home
    landed = read_landed(settings)
    assert landed is not None
    assert landed.topic_ids == topic_ids(settings)
    assert landed.positions == {topic: end_offsets(settings, topic) for topic in (EVENTS, SCORES, REJECTED)}


def test_a_batch_that_is_run_again_after_a_crash_lands_nothing_twice(
    home: tuple[Settings, Activation], spark: SparkSession
) -> None:
    settings, _ = home
    before = {table.name: newest_version(settings, table) for table in (EVENTS_TABLE, REALTIME_SCORES, REJECTED_EVENTS)}
    commits = Path(settings.checkpoint_uri) / "landing" / "commits"
    last = max((path for path in commits.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    last.unlink()
    last.with_name(f".{last.name}.crc").unlink()
    land_all(spark, settings)
    rows = {
        table.name: len(open_table(settings, table).to_pyarrow_table(columns=["offset"]))
        for table in (EVENTS_TABLE, REALTIME_SCORES, REJECTED_EVENTS)
    }
    assert rows == {"events": GOOD_COUNT, "realtime_scores": GOOD_COUNT, "rejected_events": len(BAD_EVENTS)}
    assert last.exists()
    assert before == {
        table.name: newest_version(settings, table) for table in (EVENTS_TABLE, REALTIME_SCORES, REJECTED_EVENTS)
    }
