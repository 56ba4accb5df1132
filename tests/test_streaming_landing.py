"""Landing on a real broker and real Delta: each message once whatever happens, and its books."""

import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from features.disposition import Arrival, rule
from features.instant import format_instant
from registry.shelf import Activation, Shelf
from runtime.lake import EVENTS as EVENTS_TABLE
from runtime.lake import REALTIME_SCORES, REJECTED_EVENTS, Table
from runtime.settings import Settings
from runtime.tables import create_tables, open_table
from runtime.topics import EVENTS, NAMES, REJECTED, SCORES, topic_ids
from streaming import landing
from streaming.checkpoints import TopicsRecreatedError
from streaming.seen import FOLDER, IDENTITY, ORDER, Seen, open_seen
from streaming.starting import landing_start, scoring_start
from tests.conftest import NewSettings
from tests.support_events import BAD_EVENTS
from tests.support_ledger import as_messages, balanced, copied_home, differing, mixed_events
from tests.support_model import tiny_shelf
from tests.support_stream import land_all, messages_of, renew_topics, score_all, send

pytestmark = pytest.mark.jvm
COUNT = 400
TABLES = (EVENTS_TABLE, REALTIME_SCORES, REJECTED_EVENTS)


@pytest.fixture(scope="module")
def home(module_settings: Settings, spark: SparkSession) -> tuple[Settings, Activation]:
    """Send events in two halves; score and land each."""
    renew_topics(module_settings)
    activation = tiny_shelf(Shelf.at(module_settings.shelf))
    events = mixed_events(COUNT, at=datetime.now(UTC).replace(year=2025), seed=5)
    for half in (events[: COUNT // 2], events[COUNT // 2 :]):
        send(module_settings, as_messages(half))
        score_all(spark, module_settings, activation)
        land_all(spark, module_settings)
    send(module_settings, [(None, value) for value, _ in BAD_EVENTS])
    score_all(spark, module_settings, activation)
    land_all(spark, module_settings)
    return module_settings, activation


@pytest.fixture
def copy(home: tuple[Settings, Activation], new_settings: NewSettings) -> Settings:
    """Return a copy that a test may harm."""
    return copied_home(home[0], new_settings)


def sizes(settings: Settings) -> dict[str, int]:
    """Count the rows of each table."""
    return {table.name: rows_of(settings, table).num_rows for table in TABLES}


def rows_of(settings: Settings, table: Table) -> pa.Table:
    return open_table(settings, table).to_pyarrow_table()


def test_every_landed_event_says_what_it_was(home: tuple[Settings, Activation]) -> None:
    rows = rows_of(home[0], EVENTS_TABLE).sort_by([(name, "ascending") for name in ORDER])
    rulings = rule(map(Arrival, *(rows[name].to_pylist() for name in IDENTITY)), {}, {})
    assert rows["disposition"].to_pylist() == [ruling.disposition for ruling in rulings]
    assert rows["conflict"].to_pylist() == [ruling.conflict for ruling in rulings]
    assert set(rows["landing"].to_pylist()) == {1, 2}
    counts = Counter(rows["disposition"].to_pylist())
    assert min(counts["new"], counts["duplicate"], counts["superseded"], sum(rows["conflict"].to_pylist())) > 10


def test_the_books_balance(home: tuple[Settings, Activation]) -> None:
    ledger = balanced(home[0])
    assert differing(ledger) == []
    outcomes = [line for line in ledger.lines if line.what == "kol.events against outcomes"]
    assert sum(line.found for line in outcomes) == COUNT + len(BAD_EVENTS)
    assert sum(ledger.dispositions.values()) - ledger.dispositions["conflict"] == COUNT


def test_without_checkpoint_and_index_nothing_lands_twice(
    copy: Settings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sizes(copy)
    shutil.rmtree(Path(copy.checkpoint_uri))
    shutil.rmtree(copy.home / FOLDER)
    land_all(spark, copy)
    assert sizes(copy) == before
    read_anew(copy, monkeypatch)
    land_all(spark, copy)
    assert sizes(copy) == before
    assert differing(balanced(copy)) == []


def test_sabotaged_landing_that_trusts_its_offsets_doubles_rows_and_the_ledger_says_so(
    copy: Settings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_anew(copy, monkeypatch)
    monkeypatch.setattr(landing, "high_water_marks", lambda *_: {})
    land_all(spark, copy)
    assert {line.what for line in differing(balanced(copy)) if line.double} >= {
        "rows of events",
        "rows of realtime_scores",
        "rows of rejected_events",
    }


def read_anew(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let landing read all topics from their beginning, as a checkpoint that lies would."""
    start = landing_start(settings, topic_ids(settings), {topic: [{}] for topic in NAMES})
    monkeypatch.setattr(landing, "landing_start", lambda *_: start)


def remove_index(folder: Path) -> None:
    shutil.rmtree(folder)


def cut_index(folder: Path) -> None:
    data = folder / "data.mdb"
    data.write_bytes(data.read_bytes()[: 3 * 4096])


def scramble_index(folder: Path) -> None:
    (folder / "data.mdb").write_bytes(b"\x5a" * 65_536)


def empty_index(folder: Path) -> None:
    (folder / "data.mdb").write_bytes(b"")


@pytest.mark.parametrize("harm", [remove_index, cut_index, scramble_index, empty_index])
def test_a_harmed_index_is_made_anew_from_the_table(
    harm: Callable[[Path], None], copy: Settings, home: tuple[Settings, Activation]
) -> None:
    harm(copy.home / FOLDER)
    assert content_of(copy) == content_of(home[0])


def test_an_index_that_is_behind_learns_the_rest(
    copy: Settings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(copy, as_messages(mixed_events(60, at=datetime.now(UTC).replace(year=2025), seed=6)))
    with monkeypatch.context() as crash:
        crash.setattr(Seen, "keep", killed)
        with pytest.raises(StreamingQueryException, match="killed"):
            land_all(spark, copy)
    send(copy, as_messages(mixed_events(30, at=datetime.now(UTC).replace(year=2025), seed=6)))
    land_all(spark, copy)
    assert rows_of(copy, EVENTS_TABLE).num_rows == COUNT + 90
    assert differing(balanced(copy, settled=False)) == []


def killed(*_: object) -> None:
    """Stand for a kill after the table was written."""
    raise OSError("killed")


def content_of(settings: Settings) -> tuple[list[tuple[bytes, bytes]], ...]:
    """Return all that an index holds."""
    with open_seen(settings) as (seen, _), seen.file.begin() as reading:
        return tuple(list(reading.cursor(database)) for database in (seen.bodies, seen.newest))


def lose_rows(settings: Settings) -> None:
    open_table(settings, EVENTS_TABLE).delete("offset < 2")


def double_rows(settings: Settings) -> None:
    from deltalake import write_deltalake

    rows = rows_of(settings, REALTIME_SCORES).slice(0, 3)
    write_deltalake(REALTIME_SCORES.uri(settings), rows, mode="append")


def relabel_rows(settings: Settings) -> None:
    open_table(settings, EVENTS_TABLE).update({"disposition": "'new'"}, predicate="disposition = 'superseded'")


def lose_rejects(settings: Settings) -> None:
    open_table(settings, REJECTED_EVENTS).delete("reason = 'empty'")


@pytest.mark.parametrize(
    ("harm", "what", "kind"),
    [
        (lose_rows, "scored events against table events", "missing"),
        (double_rows, "rows of realtime_scores", "double"),
        (relabel_rows, "dispositions in events", "wrong"),
        (lose_rejects, "kol.rejected against rejected_events", "missing"),
    ],
)
def test_the_ledger_finds_what_a_table_lacks_or_has_too_much(
    harm: Callable[[Settings], None], what: str, kind: str, copy: Settings
) -> None:
    harm(copy)
    assert any(getattr(line, kind) for line in differing(balanced(copy)) if line.what == what)


def test_events_that_are_not_scored_yet_wait_and_are_missing_only_when_all_is_settled(
    home: tuple[Settings, Activation], spark: SparkSession
) -> None:
    settings, activation = home
    send(settings, as_messages(mixed_events(20, at=datetime.now(UTC).replace(year=2025), seed=8)))
    waiting = balanced(settings, settled=False)
    assert differing(waiting) == []
    assert sum(line.waiting for line in waiting.lines if "outcomes" in line.what) >= 20
    assert sum(line.missing for line in balanced(settings).lines if "outcomes" in line.what) >= 20
    score_all(spark, settings, activation)
    land_all(spark, settings)
    assert differing(balanced(settings)) == []


def test_a_lost_scoring_checkpoint_scores_nothing_twice_that_is_in_the_lake(
    home: tuple[Settings, Activation], copy: Settings, spark: SparkSession
) -> None:
    before = len(messages_of(copy, SCORES))
    shutil.rmtree(Path(copy.checkpoint_uri))
    send(copy, as_messages(mixed_events(20, at=datetime.now(UTC).replace(year=2025), seed=9)))
    score_all(spark, copy, home[1])
    assert len(messages_of(copy, SCORES)) == before + 20
    land_all(spark, copy)
    assert differing(balanced(copy)) == []


def test_the_ledger_finds_scores_that_repeat_contradict_or_belong_to_nobody(
    copy: Settings, spark: SparkSession
) -> None:
    first, second = messages_of(copy, SCORES)[:2]
    later = format_instant(datetime.now(UTC)).encode()
    at = first.index(b'"timestamp":"') + len(b'"timestamp":"')
    again = first[:at] + later + first[at + len(later) :]
    send(copy, [(None, again)], topic=SCORES)
    lines = [line for line in balanced(copy, settled=False).lines if "outcomes" in line.what]
    assert (sum(line.repeated for line in lines), [line for line in lines if not line.balances]) == (1, [])
    send(copy, [(None, second.replace(b'"bio_length":', b'"bio_length_":'))], topic=SCORES)
    lines = [line for line in balanced(copy, settled=False).lines if "outcomes" in line.what]
    assert sum(line.double for line in lines) == 1
    send(copy, [(None, messages_of(copy, REJECTED)[0].replace(b'"offset":', b'"offset":9'))], topic=REJECTED)
    assert any("outcome" in example for line in differing(balanced(copy, settled=False)) for example in line.examples)


def test_a_topic_made_anew_stops_scoring_by_name_and_lands_beside_the_old_one(
    copy: Settings, spark: SparkSession
) -> None:
    before, old = sizes(copy)["events"], topic_ids(copy)[EVENTS]
    renew_topics(copy)
    with pytest.raises(TopicsRecreatedError, match=r"\./kol stream rebuild"):
        scoring_start(copy, topic_ids(copy)[EVENTS])
    send(copy, as_messages(mixed_events(10, at=datetime.now(UTC).replace(year=2025), seed=10)))
    create_tables(copy, "landing")
    land_all(spark, copy)
    ids = Counter(rows_of(copy, EVENTS_TABLE)["topic_id"].to_pylist())
    assert ids == {old: before, topic_ids(copy)[EVENTS]: 10}
