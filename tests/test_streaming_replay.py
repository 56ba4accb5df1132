"""Refused events sent again through the one entrance, on a real broker: the same bytes, marked, and none lost."""

import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from features.instant import format_instant
from runtime.settings import Settings
from runtime.tables import create_tables
from runtime.topics import EVENTS, consumer, end_offsets
from tests.support_cli import Ran, kol
from tests.support_poison import LARGEST_MESSAGE, spelled
from tests.support_rejects import land_rejects, rejects_of
from tests.support_stream import renew_topics, send

pytestmark = pytest.mark.jvm

BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
"""When the events were refused: what was in the future then is not now."""
EARLY = spelled(event_time=f'"{format_instant(datetime(2026, 1, 2, tzinfo=UTC))}"').encode()
HUGE = b"x" * LARGEST_MESSAGE
REFUSED = (EARLY, b"garbage", b"", HUGE)


@pytest.fixture
def home(kafka_settings: Settings) -> Settings:
    """A broker with four events that were refused, and a lake that says so."""
    renew_topics(kafka_settings)
    create_tables(kafka_settings, "landing")
    send(kafka_settings, [(b"k", data or None) for data in REFUSED])
    land_rejects(kafka_settings, rejects_of(kafka_settings, BEFORE))
    return kafka_settings


def rejected(settings: Settings, *words: str) -> Ran:
    """Run `./kol stream rejected` on the home and the broker of some settings; nobody is at the keyboard."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO())
        return kol("--set", f"kafka_servers={settings.kafka_servers}", "stream", "rejected", *words, settings=settings)


def sent_again(settings: Settings) -> dict[str, bytes | None]:
    """Return what was sent again: place of the refused event, and the bytes."""
    found: dict[str, bytes | None] = {}
    wanted = sum(end_offsets(settings, EVENTS).values())
    count = 0
    with consumer(settings, EVENTS) as reader:
        while count < wanted:
            for records in reader.poll(timeout_ms=5_000).values():
                count += len(records)
                for record in records:
                    found |= {place.decode(): record.value for name, place in record.headers if name == "kol-replay-of"}
    return found


def places(settings: Settings) -> list[str]:
    listed = rejected(settings, "list", "--json")
    return sorted(place for row in listed.json for place in row["examples"])


def test_the_bytes_that_were_refused_go_through_the_entrance_again_and_say_so(home: Settings) -> None:
    ended = rejected(home, "replay", "--yes", "--json")
    assert ended.out, ended.err
    assert (ended.code, ended.json) == (
        0,
        {"sent": 4, "accepted": 1, "gone": [], "foreign": [], "dry_run": False},
    ), ended.err
    again = sent_again(home)
    assert sorted(again) == places(home)
    assert sorted(map(digest, again.values())) == sorted(map(digest, REFUSED))


def digest(data: bytes | None) -> str:
    return hashlib.sha256(data or b"").hexdigest()


def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(home: Settings) -> None:
    ended = rejected(home, "replay", "--dry-run", "--json")
    assert (ended.code, ended.json["sent"], ended.json["accepted"]) == (0, 4, 1)
    assert not sent_again(home)


def test_nobody_said_yes_so_nothing_is_sent(home: Settings) -> None:
    ended = rejected(home, "replay")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert not sent_again(home)


def test_one_place_or_one_reason_is_sent_alone(home: Settings) -> None:
    assert rejected(home, "replay", "--reason", "future_time", "--yes").code == 0
    assert list(sent_again(home).values()) == [EARLY]
    (garbage,) = (row["examples"][0] for row in rejected(home, "list", "--reason", "unparsable", "--json").json)
    assert rejected(home, "replay", garbage, "--yes").code == 0
    assert sent_again(home)[garbage] == b"garbage"


def test_what_only_a_head_is_left_of_is_refused_by_name_and_the_rest_is_sent(home: Settings, tmp_path: Path) -> None:
    (huge,) = (row["examples"][0] for row in rejected(home, "list", "--reason", "too_long", "--json").json)
    renew_topics(home)
    ended = rejected(home, "replay", "--yes", "--json")
    assert (ended.code, ended.json["sent"], ended.json["gone"]) == (1, 3, [huge])
    assert "gone from Kafka" in ended.err
    assert huge in ended.err
    assert len(sent_again(home)) == 3


def test_a_place_of_no_reject_is_named_before_anything_is_sent(home: Settings) -> None:
    ended = rejected(home, "replay", places(home)[0], "nosuchtopic:0:1", "--yes")
    assert ended.code == 1
    assert "no rejected event of nosuchtopic:0:1" in ended.err
    assert not sent_again(home)
