"""The batch view is exactly the published table: its version, its partition, its scores, and nothing that is none."""

from datetime import date

import pyarrow as pa
import pytest

from features.profile import RAW_NAMES
from features.score import Score, encode_score
from runtime.settings import Settings
from serving.batch_view import BatchViewError, acceptable, build_batch_view, encoded_chunks, read_scores
from serving.lmdb_layout import batch_file, open_batch
from serving.views import BatchView
from tests.support_views import NOON, a_score, from_batch, later, many_scores, publish_table, score_table

UNKNOWN: dict[str, None] = dict.fromkeys([name for name in RAW_NAMES if name.startswith(("has_", "bio", "fav", "ver"))])


def some_scores() -> list[Score]:
    nightly = [a_score(f"twitter:{number}", later(number)) for number in range(50)]
    nightly.append(a_score("twitter:unknown", NOON, missing=("verified", "has_bio"), **UNKNOWN))
    nightly.append(a_score("ümlaut:ä", out_of_range=("post_count",)))
    return [from_batch(score) for score in nightly]


def test_the_view_holds_the_published_scores_byte_for_byte(settings: Settings) -> None:
    published = publish_table(settings, score_table(some_scores()))
    assert build_batch_view(settings, published) == len(some_scores())
    environment = open_batch(batch_file(settings.views, BatchView.of(published)))
    with environment.begin() as transaction:
        found = dict(transaction.cursor())
    environment.close()
    assert found == {score.kol_id.encode(): encode_score(score) for score in some_scores()}


def test_a_version_written_later_is_not_seen(settings: Settings) -> None:
    published = publish_table(settings, score_table(some_scores()[:3]))
    publish_table(settings, score_table(some_scores()), "run-2")
    assert read_scores(settings, published).num_rows == 3


def test_another_days_partition_is_not_seen(settings: Settings) -> None:
    table = score_table(some_scores()[:2])
    dates = pa.array([date(2026, 3, 1), date(2026, 2, 28)], pa.date32())
    published = publish_table(settings, table.set_column(0, "score_date", dates))
    assert read_scores(settings, published)["kol_id"].to_pylist() == ["twitter:0"]


def test_a_partition_that_is_not_what_was_published_is_refused(settings: Settings) -> None:
    published = publish_table(settings, score_table(some_scores()), kols=99)
    with pytest.raises(BatchViewError, match="published 99 KOLs"):
        build_batch_view(settings, published)
    assert not list(settings.views.glob("batch-*"))


BAD: dict[str, dict[str, object]] = {
    "hundredths over 100": {"hundredths": 10_001},
    "no hundredths": {"hundredths": None},
    "score that is not the hundredths'": {"trust_score": 89.0},
    "NaN as score": {"trust_score": float("nan")},
    "risk word of another score": {"risk_level": "high"},
    "wrong side": {"is_trustworthy": False},
    "confidence of another score": {"confidence": 0.5},
    "name too long to be a key": {"kol_id": "x" * 129},
    "negative count": {"bio_length": -1},
    "required fact unknown": {"followers_count": None},
    "no event": {"event_id": None},
}


@pytest.mark.parametrize("case", BAD)
def test_a_row_that_is_no_score_is_left_out(case: str) -> None:
    table = score_table([from_batch(a_score("a")), from_batch(a_score("b"))])
    for name, value in BAD[case].items():
        column = table[name].to_pylist()
        table = table.set_column(table.column_names.index(name), name, pa.array([value, column[1]], table[name].type))
    assert acceptable(table.to_batches()[0]).tolist() == [False, True]
    assert [key for chunk in encoded_chunks(table) for key, _ in chunk] == [b"b"]


def test_many_generated_rows_all_become_scores() -> None:
    rows = [row for chunk in encoded_chunks(many_scores(50_000).sort_by("kol_id")) for row in chunk]
    assert len(rows) == 50_000
