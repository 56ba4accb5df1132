"""A damaged checkpoint of the scoring query: exact recovery, or a stop that names the command that mends it."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kafka import TopicPartition
from pyspark.sql import SparkSession

from features.event import Event
from registry.shelf import Activation, Shelf
from runtime.settings import Settings
from runtime.topics import EVENTS, SCORES, admin, topic_ids
from streaming import checkpoints
from streaming.checkpoints import CheckpointError, move_aside, position
from streaming.rebuild import rebuild_in
from streaming.starting import kept, landing_start
from tests.conftest import NewSettings
from tests.support_ledger import as_messages, balanced, copied_home, differing, mixed_events
from tests.support_model import tiny_shelf
from tests.support_stream import land_all, messages_of, renew_topics, score_all, send

pytestmark = pytest.mark.jvm
COUNT = 60
Home = tuple[Settings, Activation]


@pytest.fixture(scope="module")
def home(module_settings: Settings, spark: SparkSession) -> Home:
    """Score three batches and land them; keep the checkpoint of the first one beside."""
    renew_topics(module_settings)
    activation = tiny_shelf(Shelf.at(module_settings.shelf))
    for batch in range(3):
        send(module_settings, as_messages(events(batch)))
        score_all(spark, module_settings, activation)
        if batch == 0:
            shutil.copytree(folder_of(module_settings), module_settings.home / "old")
    land_all(spark, module_settings)
    return module_settings, activation


@pytest.fixture
def copy(home: Home, new_settings: NewSettings) -> Settings:
    """Return a copy that a test may harm."""
    settings = copied_home(home[0], new_settings)
    shutil.copytree(home[0].home / "old", settings.home / "old")
    return settings


def events(batch: int) -> list[Event]:
    return mixed_events(COUNT // 3, at=datetime.now(UTC).replace(year=2025), seed=batch)


def folder_of(settings: Settings) -> Path:
    return Path(settings.checkpoint_uri) / "scoring"


def newest(folder: Path, log: str) -> Path:
    """Return the newest file of a log."""
    return max((path for path in (folder / log).iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def remove(path: Path) -> None:
    path.unlink()
    path.with_name(f".{path.name}.crc").unlink()


def flip(path: Path) -> None:
    """Change one digit, so that it is sound JSON still."""
    text = path.read_text()
    last = max(text.rindex(digit) for digit in "0123456789" if digit in text)
    path.write_text(text[:last] + str((int(text[last]) + 1) % 10) + text[last + 1 :])


def restore_old(settings: Settings) -> None:
    shutil.rmtree(folder_of(settings))
    shutil.copytree(settings.home / "old", folder_of(settings))


def leave_scraps(settings: Settings) -> None:
    for log in ("offsets", "commits"):
        (folder_of(settings) / log / ".9.0a1b.tmp").write_bytes(b"v1")
        (folder_of(settings) / log / "..9.0a1b.tmp.crc").write_bytes(b"crc")


def take_that_of_landing(settings: Settings) -> None:
    shutil.rmtree(folder_of(settings))
    shutil.copytree(Path(settings.checkpoint_uri) / "landing", folder_of(settings))


Harm = Callable[[Settings], object]
STOPS: dict[str, Harm] = {
    "offsets cut": lambda home: newest(folder_of(home), "offsets").write_bytes(b"v1\n{"),
    "offsets zeroed": lambda home: newest(folder_of(home), "offsets").write_bytes(bytes(500)),
    "offsets flipped": lambda home: flip(newest(folder_of(home), "offsets")),
    "offsets deleted": lambda home: remove(newest(folder_of(home), "offsets")),
    "commit cut": lambda home: newest(folder_of(home), "commits").write_bytes(b""),
    "metadata cut": lambda home: (folder_of(home) / "metadata").write_bytes(b'{"id":'),
    "metadata deleted": lambda home: remove(folder_of(home) / "metadata"),
    "newer version": lambda home: newest(folder_of(home), "offsets").write_bytes(b"v9\n{}\n{}"),
    "of the other query": take_that_of_landing,
}
RECOVERIES: dict[str, Harm] = {
    "newest commit deleted": lambda home: remove(newest(folder_of(home), "commits")),
    "an offsets file in the middle deleted": lambda home: remove(folder_of(home) / "offsets" / "1"),
    "scraps of a crash": leave_scraps,
    "an older copy restored": restore_old,
    "lost": lambda home: shutil.rmtree(folder_of(home)),
}


@pytest.mark.parametrize("harm", STOPS)
def test_a_damaged_checkpoint_stops_the_start_and_names_the_command(harm: str, copy: Settings) -> None:
    there = kept(copy, EVENTS)
    assert position(copy, there) == there.ends
    STOPS[harm](copy)
    with pytest.raises(CheckpointError, match=r"\./kol stream rebuild"):
        position(copy, there)


def test_sabotaged_start_that_looks_at_no_checksum_takes_a_flipped_file_for_sound(
    copy: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip(newest(folder_of(copy), "commits"))
    there = kept(copy, EVENTS)
    with pytest.raises(CheckpointError, match="checksum"):
        position(copy, there)
    monkeypatch.setattr(checkpoints, "_refuse_flipped", lambda *_: None)
    assert position(copy, there) == there.ends


@pytest.mark.long
@pytest.mark.parametrize("harm", RECOVERIES)
def test_from_what_is_normal_after_a_crash_scoring_goes_on_and_loses_nothing(
    harm: str, copy: Settings, home: Home, spark: SparkSession
) -> None:
    RECOVERIES[harm](copy)
    send(copy, as_messages(events(7)))
    score_all(spark, copy, home[1])
    land_all(spark, copy)
    assert differing(balanced(copy)) == []


def test_a_rebuilt_stream_scores_every_event_and_none_twice(copy: Settings, home: Home, spark: SparkSession) -> None:
    score_all(spark, copy, home[1])
    STOPS["offsets cut"](copy)
    send(copy, as_messages(events(8)))
    done = rebuild_in(spark, copy, accept_loss=False)
    assert done.aside is not None
    assert Path(done.aside, "metadata").exists()
    before = len(messages_of(copy, SCORES))
    score_all(spark, copy, home[1])
    assert len(messages_of(copy, SCORES)) == before + COUNT // 3
    land_all(spark, copy)
    assert differing(balanced(copy)) == []


def test_what_retention_deleted_stops_both_queries_until_the_loss_is_accepted(
    copy: Settings, home: Home, spark: SparkSession
) -> None:
    score_all(spark, copy, home[1])
    land_all(spark, copy)
    ends = kept(copy, EVENTS).ends
    send(copy, as_messages(events(9)))
    with admin(copy) as client:
        client.delete_records({TopicPartition(EVENTS, number): end + 2 for number, end in ends.items()})
    there, ids = kept(copy, EVENTS), topic_ids(copy)
    marks = {(ids[EVENTS], number): end for number, end in ends.items()}
    with pytest.raises(CheckpointError, match="--accept-loss"):
        landing_start(copy, ids, {EVENTS: [marks]})
    with pytest.raises(CheckpointError, match="--accept-loss"):
        position(copy, there)
    with pytest.raises(CheckpointError, match="--accept-loss"):
        rebuild_in(spark, copy, accept_loss=False)
    done = rebuild_in(spark, copy, accept_loss=True)
    assert done.given_up == {EVENTS: dict.fromkeys(ends, 2)}
    assert done.start == there.begins
    score_all(spark, copy, home[1])
    land_all(spark, copy)
    lost = differing(balanced(copy))
    assert {line.what for line in lost} == {"events deleted by retention against the lake"}
    assert sum(line.missing for line in lost) == 2 * len(ends)
    assert move_aside(f"{copy.checkpoint_uri}/nothing") is None
