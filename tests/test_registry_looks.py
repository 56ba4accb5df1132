"""Looks at the locked holdout: each one on record, counted for its accounts."""

from datetime import UTC, datetime
from pathlib import Path

from registry.looks import LOOKS, looks, record_look

FIGURES = {"roc_auc": 0.94, "ece15": 0.01, "brier": 0.08, "prevalence": 0.33}


def noon() -> datetime:
    return datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_looks_are_counted_for_each_set_of_accounts(tmp_path: Path) -> None:
    assert [record_look(tmp_path, "a", data, FIGURES) for data in ("one", "one", "two", "one")] == [1, 2, 1, 3]


def test_a_look_says_when_who_what_and_which_figures(tmp_path: Path) -> None:
    record_look(tmp_path, "sha", "data", FIGURES, clock=noon)
    (look,) = looks(tmp_path)
    assert (look.at, look.sha, look.dataset_sha256) == ("2026-01-31T12:00:00.000000Z", "sha", "data")
    assert look.figures == {"roc_auc": 0.94, "ece15": 0.01, "brier": 0.08}
    assert "@" in look.by


def test_what_was_written_stays_as_it_was(tmp_path: Path) -> None:
    record_look(tmp_path, "a", "data", FIGURES)
    before = (tmp_path / LOOKS).read_bytes()
    record_look(tmp_path, "b", "data", FIGURES)
    assert (tmp_path / LOOKS).read_bytes().startswith(before)


def test_a_line_that_a_crash_cut_short_is_left_out(tmp_path: Path) -> None:
    record_look(tmp_path, "a", "data", FIGURES)
    with (tmp_path / LOOKS).open("ab") as file:
        file.write(b'{"at": "2026\n')
    assert record_look(tmp_path, "b", "data", FIGURES) == 2


def test_before_the_first_look_there_is_none(tmp_path: Path) -> None:
    assert looks(tmp_path) == ()
