"""Refused events in the lake, without a JVM: counted once, chosen, and shown without moving a terminal."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest

from features.refusal import Reason
from features.score import Provenance
from runtime.settings import Settings
from runtime.tables import create_tables
from runtime.topics import EVENTS
from streaming.outcomes import Message
from streaming.rejects import (
    REMEDIES,
    Choice,
    Place,
    RejectedPlaceError,
    find_reject,
    printable,
    read_counts,
    read_rejects,
)
from tests.support_cli import kol
from tests.support_poison import REFUSED
from tests.support_rejects import land_rejects

NOW = datetime(2026, 11, 1, tzinfo=UTC)
REASONS = [poison.verdict for poison in REFUSED]


@pytest.fixture
def lake(settings: Settings) -> Settings:
    """A lake with every kind of poison, refused one second apart, and the first of them landed twice."""
    create_tables(settings, "landing")
    land_rejects(settings, [*messages(), messages()[0]])
    return settings


def messages() -> list[Message]:
    return [
        Message(poison.data, EVENTS, Provenance("T", offset % 2, offset), NOW + timedelta(seconds=offset))
        for offset, poison in enumerate(REFUSED)
    ]


def test_every_reject_is_counted_once_by_its_reason(lake: Settings) -> None:
    counts = {count.reason: count for count in read_counts(lake, Choice())}
    assert {reason: count.events for reason, count in counts.items()} == {r: REASONS.count(r) for r in REASONS}
    assert counts["empty"].examples == ("T:0:0",)
    assert counts["empty"].first == counts["empty"].last == NOW


def test_rejects_are_chosen_by_reason_time_and_place(lake: Settings) -> None:
    def offsets(choice: Choice) -> list[int]:
        return sorted(rejected.place.offset for rejected in read_rejects(lake, choice))

    assert offsets(Choice()) == list(range(len(REFUSED)))
    assert offsets(Choice(reason="negative")) == [n for n, reason in enumerate(REASONS) if reason == "negative"]
    assert offsets(Choice(since=NOW + timedelta(seconds=100))) == list(range(100, len(REFUSED)))
    assert offsets(Choice(places=(Place("T", 1, 7), Place("T", 1, 8)))) == [7]


def test_a_lake_without_rejects_has_none(settings: Settings) -> None:
    assert read_counts(settings, Choice()) == []
    with pytest.raises(RejectedPlaceError, match="no rejected event of T:0:0"):
        find_reject(settings, Place("T", 0, 0))


@pytest.mark.parametrize("words", ["", "T", "T:0", "T:0:-1", "T:x:1", "T:0:1:2", "T:\u0660:1"])
def test_words_that_are_no_place_are_refused(words: str) -> None:
    with pytest.raises(RejectedPlaceError, match="is no place"):
        Place.read(words)


@pytest.mark.parametrize("offset", range(len(REFUSED)))
def test_no_kind_of_bytes_moves_the_terminal_when_it_is_shown(offset: int, lake_of_all: Settings) -> None:
    shown = kol("stream", "rejected", "show", f"T:{offset % 2}:{offset}", settings=lake_of_all)
    assert shown.code == 0, shown.err
    assert shown.out.replace("\n", "").isprintable()
    assert len(shown.out) < 12_000
    assert f"reason       {REASONS[offset]}\n" in shown.out


@pytest.fixture(scope="module")
def lake_of_all(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The same lake for tests that only read it."""
    from runtime.settings import load_settings

    settings = load_settings({"home": Path(tmp_path_factory.mktemp("rejects"))})
    create_tables(settings, "landing")
    land_rejects(settings, messages())
    return settings


def test_list_and_show_print_json(lake_of_all: Settings) -> None:
    listed = kol("stream", "rejected", "list", "--reason", "empty", "--json", settings=lake_of_all)
    assert [(row["reason"], row["events"], row["examples"]) for row in listed.json] == [("empty", 1, ["T:0:0"])]
    shown = kol("stream", "rejected", "show", "T:1:3", "--json", settings=lake_of_all).json
    assert (shown["begins_with"], shown["value_base64"], shown["whole"]) == ("garbage", "Z2FyYmFnZQ==", True)
    assert shown["what_to_do"]


def test_the_table_of_reasons_is_shown_to_people(lake_of_all: Settings) -> None:
    shown = kol("stream", "rejected", "list", settings=lake_of_all)
    assert shown.code == 0
    assert all(reason in shown.out for reason in set(REASONS))


@pytest.mark.parametrize("words", [("--reason", "nonsense"), ("--since", "yesterday")])
def test_a_wrong_choice_is_a_handled_error(words: tuple[str, str], lake_of_all: Settings) -> None:
    assert kol("stream", "rejected", "list", *words, settings=lake_of_all).code == 1


def test_every_reason_has_a_remedy() -> None:
    assert set(REMEDIES) == set(get_args(Reason))


def test_what_cannot_be_seen_is_escaped() -> None:
    assert printable("\x1b]0;x\x07 \x9b1m \u202e é\n".encode()) == "\\x1b]0;x\\x07 \\x9b1m \\u202e é\\n"
    assert printable(b"\xff\x00") == "\\xff\\x00"
