"""The LMDB views: newest wins in any order of arrival, reads never go back, views swap and vanish safely."""

import multiprocessing
import random
import shutil
from collections.abc import Iterator
from multiprocessing.synchronize import Event as EventType

import msgspec
import pytest

from features.instant import format_instant
from features.precedence import event_key
from features.score import Score, ScoreDomainError
from runtime.settings import Settings
from serving.batch_view import build_batch_view
from serving.lmdb_layout import SCORES, ViewNameError, batch_file, open_realtime
from serving.lmdb_reader import LmdbReader
from serving.lmdb_writer import LmdbWriter
from serving.merge import merge
from serving.views import BatchView, KeeperState, Layers, ViewGoneError, ViewsLostError
from tests.support_views import NOON, a_score, fill_views, from_batch, later, publish_table, score_table

KOLS = [f"twitter:{number}" for number in range(20)]


@pytest.fixture
def writer(settings: Settings) -> Iterator[LmdbWriter]:
    opened = LmdbWriter.open(settings)
    yield opened
    opened.close()


def stored(settings: Settings, kol_id: str = "twitter:nasa") -> Score | None:
    reader = LmdbReader.open(settings)
    found = reader.read([kol_id]).candidates[0].realtime
    reader.close()
    return found


def test_the_newest_score_wins_in_every_order_of_arrival(settings: Settings, writer: LmdbWriter) -> None:
    chance = random.Random(1)
    events = [a_score(at=later(seconds), event_id=name) for seconds in range(20) for name in ("a", "b")]
    chance.shuffle(events)
    for start in range(0, len(events), 7):
        writer.apply(events[start : start + 7], {})
    writer.close()
    assert stored(settings) == max(events, key=event_key)


def test_writing_the_same_scores_again_changes_nothing(writer: LmdbWriter) -> None:
    scores = [a_score(kol_id) for kol_id in KOLS]
    assert (writer.apply(scores, {}), writer.apply(scores, {})) == (len(KOLS), 0)


def test_a_later_promotion_replaces_the_score_of_the_same_event(settings: Settings, writer: LmdbWriter) -> None:
    later_one = a_score(promotion_seq=2)
    writer.apply([later_one], {})
    writer.apply([a_score()], {})
    writer.close()
    assert stored(settings) == later_one


def test_offsets_are_kept_by_topic_id_and_partition(writer: LmdbWriter) -> None:
    writer.apply([a_score()], {("old", 0): 7, ("new", 0): 3, ("new", 1): 4})
    assert (writer.offsets("new"), writer.offsets("other")) == ({0: 3, 1: 4}, {})


def test_without_a_keeper_there_is_nothing_to_answer_from(settings: Settings) -> None:
    reader = LmdbReader.open(settings)
    reading = reader.read(["twitter:nasa"])
    assert (reading.layers, reading.layers.can_answer) == (Layers(), False)


def test_one_read_gives_both_candidates_and_the_layers(settings: Settings) -> None:
    batch, realtime = from_batch(a_score()), a_score(at=later(1))
    fill_views(settings, [batch], [realtime], NOON)
    reader = LmdbReader.open(settings)
    reading = reader.read(["twitter:nasa", "twitter:nobody"])
    reader.close()
    assert (reading.candidates[0].batch, reading.candidates[0].realtime) == (batch, realtime)
    assert reading.candidates[1] == type(reading.candidates[1])(None, None)
    assert reading.layers.freshness.caught_up_at == NOON


def test_the_longest_name_is_a_key(settings: Settings) -> None:
    name = "ü" * 64
    fill_views(settings, [from_batch(a_score(name))], [a_score(name)], NOON)
    assert stored(settings, name) is not None


def test_a_stored_value_that_is_no_score_is_refused(settings: Settings, writer: LmdbWriter) -> None:
    writer.close()
    environment = open_realtime(settings.views, 1, readonly=False)
    with environment.begin(write=True, db=environment.open_db(SCORES)) as transaction:
        transaction.put(b"twitter:nasa", msgspec.json.encode({**msgspec.to_builtins(a_score()), "trust_score": 101}))
    environment.close()
    with pytest.raises(ScoreDomainError):
        stored(settings)


def test_a_named_batch_view_that_is_not_there_is_said_to_be_gone(settings: Settings) -> None:
    fill_views(settings, [from_batch(a_score())], [], NOON)
    next(settings.views.glob("batch-*.mdb")).unlink()
    reader = LmdbReader.open(settings)
    with pytest.raises(ViewGoneError):
        reader.read(["twitter:nasa"])
    reader.close()


def test_a_keeper_whose_views_were_removed_stops(settings: Settings, writer: LmdbWriter) -> None:
    shutil.rmtree(settings.views)
    with pytest.raises(ViewsLostError):
        writer.note_keeper(KeeperState(NOON, pending=False))


def test_a_reader_finds_views_that_were_made_anew(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.lmdb_reader.LOOK_SECONDS", 0.0)
    fill_views(settings, [], [a_score()], NOON)
    reader = LmdbReader.open(settings)
    assert reader.read(["twitter:nasa"]).candidates[0].realtime == a_score()
    shutil.rmtree(settings.views)
    assert not reader.layers().can_answer
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=fill_views, args=(settings, [], [a_score(at=later(9))], NOON))
    child.start()
    child.join()
    assert reader.read(["twitter:nasa"]).candidates[0].realtime == a_score(at=later(9))
    reader.close()


@pytest.mark.parametrize("run_id", ["../escape", "a\nb", "x" * 200])
def test_a_run_whose_name_is_no_file_name_gets_no_view(settings: Settings, run_id: str) -> None:
    with pytest.raises(ViewNameError):
        batch_file(settings.views, BatchView(run_id, 0, NOON, NOON, 1))


def write_rounds(settings: Settings, done: EventType) -> None:
    """Write shuffled scores, each round newer than the last, and swap in a batch view every few rounds."""
    chance = random.Random(5)
    writer = LmdbWriter.open(settings)
    for number in range(300):
        scores = [a_score(kol_id, later(chance.randint(0, number))) for kol_id in KOLS for _ in range(3)]
        writer.apply(scores, {("topic", 0): number})
        if number % 100 == 50:
            nightly = [from_batch(a_score(kol_id, later(number))) for kol_id in KOLS]
            published = publish_table(settings, score_table(nightly), f"run-{number}", cutoff=format_instant(NOON))
            build_batch_view(settings, published)
            writer.publish_batch(BatchView.of(published))
    writer.close()
    done.set()


def test_reads_beside_a_writer_never_go_back_in_event_order(settings: Settings) -> None:
    context = multiprocessing.get_context("spawn")
    done = context.Event()
    child = context.Process(target=write_rounds, args=(settings, done))
    child.start()
    reader, reads = LmdbReader.open(settings), 0
    newest: dict[str, tuple[str, str, str]] = {}
    while not done.is_set():
        for candidates in reader.read(KOLS).candidates:
            if merged := merge(candidates.batch, candidates.realtime):
                key = event_key(merged.winner)
                assert key >= newest.get(merged.winner.kol_id, key)
                newest[merged.winner.kol_id] = key
                reads += 1
    child.join()
    reader.close()
    assert child.exitcode == 0
    assert reads > 10_000
