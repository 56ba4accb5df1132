"""The stream follows Production by itself, and what is in Staging is scored in its shadow."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from features.catalogue import Matrix
from features.event import encode_event
from features.instant import format_instant
from features.profile import Profiles
from features.score import Provenance, Score, decode_score
from registry.model import unpack
from registry.shelf import ACTIVATIONS, Activation, Shelf, Staged
from runtime.lake import REALTIME_SCORES, SHADOW_SCORES
from runtime.settings import Settings
from runtime.tables import open_table
from runtime.topics import EVENTS, SCORES, topic_ids
from runtime.topics import SHADOW_SCORES as SHADOW_TOPIC
from streaming.live import SEEN_BY_ALL, LiveModel, Scorer, Scorers, in_force
from streaming.outcomes import Message, outcomes
from streaming.scoring import start_scoring
from tests.support_cli import kol
from tests.support_events import Values, encoded_events, event_of, varied_values
from tests.support_model import tiny_package, tiny_shelf
from tests.support_stream import land_all, messages_of, renew_topics, send

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
LATER = timedelta(hours=1)
EACH = 200
FOLLOWS_SECONDS = 10.0


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """A shelf with one model in Production."""
    opened = Shelf.at(tmp_path)
    tiny_shelf(opened)
    return opened


class NoNumbers:
    """The engine of a model that gives no numbers, as one whose training went wrong."""

    name = "lightgbm"

    def margins(self, matrix: Matrix) -> NDArray[np.float32]:
        """Give NaN for every row."""
        return np.full(len(matrix), np.nan, dtype=np.float32)


def promote(shelf: Shelf, seed: int, seq: int) -> Activation:
    """Put another model on the shelf and in Production."""
    return tiny_shelf(shelf, seed=seed, promotion_seq=seq)


def live_model(shelf: Shelf) -> LiveModel:
    """What a query that starts now gives its workers."""
    activation = shelf.production()
    return LiveModel(shelf.package(activation.sha), activation.maker(), shelf.folder, "lightgbm")


def written(shelf: Shelf) -> datetime:
    return datetime.fromtimestamp((shelf.folder / ACTIVATIONS).stat().st_mtime, UTC)


def test_a_micro_batch_follows_a_promotion_as_soon_as_every_worker_can_see_it(shelf: Shelf) -> None:
    live = live_model(shelf)
    newer = promote(shelf, seed=2, seq=2)
    before, after = (written(shelf) + SEEN_BY_ALL + timedelta(milliseconds=shift) for shift in (-50, 50))
    assert live.at(before).production.maker == live.maker
    assert live.at(after).production.maker == newer.maker()


def test_a_rollback_brings_the_first_model_back_under_its_new_number(shelf: Shelf) -> None:
    first = shelf.production()
    live = live_model(shelf)
    promote(shelf, seed=2, seq=2)
    back = Activation(first.sha, 3, first.name, first.version, format_instant(NOW))
    shelf.activate(back)
    assert live.at(written(shelf) + LATER).production.maker == back.maker()


def test_a_model_that_cannot_be_used_is_passed_over(shelf: Shelf) -> None:
    live = live_model(shelf)
    newer = promote(shelf, seed=2, seq=2)
    (shelf.folder / newer.sha / "model.txt").write_text("damaged")
    assert live.at(written(shelf) + LATER).production.maker == live.maker


def test_without_a_shelf_the_broadcast_model_goes_on(shelf: Shelf, tmp_path: Path) -> None:
    activation = shelf.production()
    lost = LiveModel(shelf.package(activation.sha), activation.maker(), tmp_path / "elsewhere", "lightgbm")
    assert lost.at(NOW).production.maker == activation.maker()


def test_before_a_list_is_seen_by_all_the_activation_before_is_in_force(shelf: Shelf) -> None:
    first = shelf.production()
    second = promote(shelf, seed=2, seq=2)
    at = 1_000_000_000
    moment = datetime.fromtimestamp(1, UTC)
    assert in_force((first, second), at, moment) == first
    assert in_force((first, second), at, moment + SEEN_BY_ALL) == second
    assert in_force((first,), at, moment) == first
    assert in_force((), at, moment) is None


def test_staging_falls_as_a_shadow_and_is_taken_away_again(shelf: Shelf) -> None:
    live = live_model(shelf)
    staged = Staged(shelf.put(tiny_package(seed=3)), "trust-score-lightgbm-optuna", 9)
    shelf.stage(staged)
    shadow = live.at(datetime.now(UTC) + LATER).shadow
    assert shadow is not None
    assert shadow.maker == staged.maker()
    shelf.stage(None)
    assert live.at(datetime.now(UTC) + LATER).shadow is None


def test_a_shadow_never_harms_production(shelf: Shelf) -> None:
    model = unpack(tiny_package(), "lightgbm")
    production = Scorer(model, shelf.production().maker())
    broken = Scorer(dataclasses.replace(model, engine=NoNumbers()), production.maker)
    values = [value for _, value in encoded_events(varied_values(5, seed=1), at=NOW)]
    messages = [Message(value, EVENTS, Provenance("T", 0, offset), NOW) for offset, value in enumerate(values)]
    alone = outcomes(messages, Scorers(production), at=NOW)
    assert outcomes(messages, Scorers(production, broken), at=NOW) == alone
    assert all(outcome.shadow for outcome in outcomes(messages, Scorers(production, production), at=NOW))


@pytest.fixture
def query(kafka_settings: Settings, spark: SparkSession) -> Iterator[StreamingQuery]:
    """A scoring query that runs with the first model."""
    renew_topics(kafka_settings)
    activation = tiny_shelf(Shelf.at(kafka_settings.shelf))
    started = start_scoring(spark, kafka_settings, activation, topic_ids(kafka_settings)[EVENTS])
    yield started
    started.stop()


def scores_of(settings: Settings, topic: str = SCORES) -> list[Score]:
    return [decode_score(value) for value in messages_of(settings, topic)]


def send_events(settings: Settings, first: int) -> None:
    """Send `EACH` events whose numbers begin at `first`."""
    values = varied_values(first + EACH, seed=4)[first:]
    at = datetime.now(UTC)
    send(settings, [(key, value) for key, value in numbered(values, first, at)])


def numbered(values: list[Values], first: int, at: datetime) -> Iterator[tuple[bytes, bytes]]:
    for number, row in enumerate(values, first):
        event = event_of(row, number, at=at)
        yield event.kol_id.encode(), encode_event(event)


@pytest.mark.jvm
def test_a_running_query_follows_promotion_staging_and_rollback_and_loses_nothing(
    kafka_settings: Settings, spark: SparkSession, query: StreamingQuery
) -> None:
    shelf = Shelf.at(kafka_settings.shelf)
    first = shelf.production()
    send_events(kafka_settings, 0)
    query.processAllAvailable()
    second = promote(shelf, seed=2, seq=2)
    staged = Staged(first.sha, first.name, first.version)
    shelf.stage(staged)
    changed = monotonic()
    sent = EACH
    while {score.model_sha for score in scores_of(kafka_settings)} != {first.sha, second.sha}:
        assert monotonic() - changed < FOLLOWS_SECONDS, "the query did not follow the promotion"
        send_events(kafka_settings, sent)
        sent += EACH
        query.processAllAvailable()
    scores = scores_of(kafka_settings)
    assert Counter(score.event_id for score in scores) == Counter(f"e{number:06}" for number in range(sent))
    assert_one_version_per_micro_batch(scores)

    shadows = scores_of(kafka_settings, SHADOW_TOPIC)
    assert {score.model_version for score in shadows} == {staged.maker().model_version}
    by_first = first_model_says(shelf, scores)
    assert all(by_first[score.event_id] == score.hundredths for score in shadows)
    land_all(spark, kafka_settings)
    landed = {table.name: open_table(kafka_settings, table).count() for table in (REALTIME_SCORES, SHADOW_SCORES)}
    assert landed == {"realtime_scores": sent, "shadow_scores": len(shadows)}
    assert_the_report_compares_the_same_events(kafka_settings, staged, scores, shadows)


def assert_the_report_compares_the_same_events(
    settings: Settings, staged: Staged, scores: list[Score], shadows: list[Score]
) -> None:
    told = kol("model", "shadow-report", "--json", settings=settings).json
    answered = {score.event_id: score for score in scores}
    flips = {score.kol_id for score in shadows if score.risk_level != answered[score.event_id].risk_level}
    distances = [abs(score.hundredths - answered[score.event_id].hundredths) for score in shadows]
    traffic = told["traffic"]
    assert told["shadow"] == staged.maker().model_version
    assert (traffic["events"], traffic["kols"], traffic["kols_that_flip"]) == (len(shadows), len(shadows), len(flips))
    assert traffic["drift"]["mean_distance"] == pytest.approx(np.mean(distances) / 100, abs=0.001)
    assert told["cost"]["shadow"] > 0


def assert_one_version_per_micro_batch(scores: list[Score]) -> None:
    """In each partition the versions change once, and all scores of a moment are of one version."""
    for partition in {score.provenance.partition for score in scores if score.provenance}:
        mine = [score for score in scores if score.provenance and score.provenance.partition == partition]
        in_order = [score.promotion_seq for score in sorted(mine, key=place)]
        assert in_order == sorted(in_order)


def place(score: Score) -> int:
    return score.provenance.offset if score.provenance else -1


def first_model_says(shelf: Shelf, scores: list[Score]) -> dict[str, int]:
    """Score the same profiles with the model that is in Staging now."""
    staged = shelf.staged()
    assert staged is not None
    profiles = Profiles.of_rows([score.values() for score in scores])
    hundredths = shelf.load(staged.sha).score(profiles).hundredths.tolist()
    return dict(zip((score.event_id for score in scores), hundredths, strict=True))
