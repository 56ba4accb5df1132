"""The audit: lines are added and never changed, and it says what was in Production when."""

import msgspec
import pytest

from features.instant import parse_instant
from registry.audit import AUDIT_PREFIX, AuditError, Entry, next_line, read_audit, tampered_lines
from registry.promotion import PRODUCTION_TAG, History, Promotion

MODEL = "trust-score-lightgbm-optuna"


def entry(minute: int, deed: str = "stage") -> Entry:
    return Entry(f"2026-01-01T00:{minute:02d}:00.000000Z", "me@here", deed, MODEL, 1, "abc", "None", "Staging")


def promotion(seq: int, version: int, minute: int, *, forced: bool = False) -> Promotion:
    return Promotion(
        seq=seq,
        after=seq - 1 or None,
        name=MODEL,
        version=version,
        sha=f"sha{version}",
        kind="promote",
        at=f"2026-01-01T00:{minute:02d}:00.000000Z",
        by="me@here",
        why="better",
        forced=forced,
        came_from="Staging",
    )


def tags_of(*entries: Entry) -> dict[str, str]:
    tags: dict[str, str] = {}
    for one in entries:
        name, text = next_line(tags, one)
        assert name not in tags
        tags[name] = text
    return tags


def with_promotions(tags: dict[str, str], *promotions: Promotion) -> dict[str, str]:
    records = {one.record_tag: one.encode() for one in promotions}
    return {**tags, **records, PRODUCTION_TAG: promotions[-1].truth}


def test_lines_are_numbered_and_read_in_the_order_of_time() -> None:
    tags = tags_of(entry(1), entry(5, "validate"))
    assert sorted(tags) == ["audit.000001", "audit.000002"]
    told = read_audit(with_promotions(tags, promotion(1, 7, 3)))
    assert [one.deed for one in told] == ["stage", "promote", "validate"]


def test_a_promotion_tells_of_the_version_that_it_archives() -> None:
    told = read_audit(with_promotions({}, promotion(1, 7, 1), promotion(2, 8, 2, forced=True)))
    assert [(one.deed, one.version, one.went_to) for one in told] == [
        ("promote", 7, "Production"), ("promote (forced)", 8, "Production"), ("archive", 7, "Archived")
    ]  # fmt: skip


@pytest.mark.parametrize("edit", ["changed", "removed"])
def test_a_line_that_was_changed_or_removed_afterwards_shows(edit: str) -> None:
    tags = tags_of(entry(1), entry(2), entry(3))
    assert tampered_lines(tags) == ()
    if edit == "changed":
        tags["audit.000002"] = tags["audit.000002"].replace("me@here", "you@there")
    else:
        del tags["audit.000002"]
    assert tampered_lines(tags) == ("audit.000003",)


def test_a_line_that_cannot_be_read_is_named() -> None:
    with pytest.raises(AuditError, match=r"the audit's line 'audit.000001' is '\{\}'"):
        read_audit({f"{AUDIT_PREFIX}000001": "{}"})


def test_production_at_a_time_is_the_last_promotion_before_it() -> None:
    history = History.of_tags(with_promotions({}, promotion(1, 7, 10), promotion(2, 8, 20)))
    found = [history.at(parse_instant(f"2026-01-01T00:{minute}:00Z")) for minute in ("09", "10", "19", "20", "59")]
    assert [one and one.version for one in found] == [None, 7, 7, 8, 8]


def test_a_record_of_an_earlier_release_of_this_system_is_read() -> None:
    old = msgspec.json.decode(promotion(1, 7, 1).encode())
    for added in ("came_from", "metrics", "verdict"):
        del old[added]
    tags = {"promotion.000001": msgspec.json.encode(old).decode(), PRODUCTION_TAG: promotion(1, 7, 1).truth}
    assert read_audit(tags)[0].came_from == ""
