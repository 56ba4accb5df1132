"""From the published Delta table to a batch view: columns are read, sorted and checked whole, rows made once."""

import functools
import os
from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from deltalake import DeltaTable
from numpy.typing import NDArray

from features.profile import RAW_COLUMNS, RAW_NAMES
from features.score import FULL, Score, encode_score, result_fields
from features.scrutiny import MOST_IDENTIFIER_BYTES
from runtime.failure import HandledError
from runtime.lake import SCORE_COLUMNS, TRUST_SCORES
from runtime.publication import Published
from runtime.settings import Settings
from serving.lmdb_layout import batch_file, write_batch
from serving.views import BatchView

CHUNK_ROWS = 20_000
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S"
"""Arrow writes the fraction with the seconds: six digits for microseconds, as `features.instant` does."""
RESULT_NAMES = ("trust_score", "is_trustworthy", "confidence", "risk_level")
COLUMNS = [name for name, _ in SCORE_COLUMNS]


class BatchViewError(HandledError):
    """The published table is not what its publication says; the view before stays in use."""


def build_batch_view(settings: Settings, published: Published) -> int:
    """Build the view of a published run beside the others; it is there whole or not at all.

    Returns:
        How many KOLs are in it.

    Raises:
        BatchViewError: The partition does not hold as many KOLs as were published.
    """
    view = BatchView.of(published)
    target = batch_file(settings.views, view)
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    scores = read_scores(settings, published)
    if scores.num_rows != published.kols:
        raise BatchViewError(
            f"run {published.run_id} published {published.kols} KOLs, its partition {published.score_date} holds "
            f"{scores.num_rows}; run ./kol batch run again"
        )
    rows = write_batch(aside, settings.view_map_gb, encoded_chunks(scores))
    aside.replace(target)
    return rows


def read_scores(settings: Settings, published: Published) -> pa.Table:
    """Read the scores of a published run at exactly the published version, sorted by KOL."""
    table = DeltaTable(TRUST_SCORES.uri(settings), version=published.tables[TRUST_SCORES.name])
    of_the_run = pc.field("score_date") == date.fromisoformat(published.score_date)
    return table.to_pyarrow_dataset().to_table(columns=COLUMNS, filter=of_the_run).sort_by("kol_id")


def encoded_chunks(scores: pa.Table) -> Iterator[list[tuple[bytes, bytes]]]:
    """Yield (key, encoded score) in the order of the table; rows that are no scores are counted, logged, left out."""
    refused = 0
    for batch in scores.to_batches(max_chunksize=CHUNK_ROWS):
        good = batch.filter(pa.array(acceptable(batch)))
        refused += batch.num_rows - good.num_rows
        if good.num_rows:
            yield [(score.kol_id.encode(), encode_score(score)) for score in scores_of(good)]
    if refused:
        structlog.get_logger().error("rows of trust_scores are no scores and were left out", rows=refused)


def acceptable(batch: pa.RecordBatch) -> NDArray[np.bool_]:
    """Mark the rows whose key can be one, whose required facts are there and whose words follow from their number."""
    hundredths = _filled(batch, "hundredths", -1)
    inside = (hundredths >= 0) & (hundredths <= FULL)
    length = pc.binary_length(batch["kol_id"]).fill_null(0).to_numpy(zero_copy_only=False)
    good: NDArray[np.bool_] = inside & (length > 0) & (length <= MOST_IDENTIFIER_BYTES)
    place = np.where(inside, hundredths, 0)
    for name in RESULT_NAMES:
        said = batch[name].to_numpy(zero_copy_only=False)
        good &= said == results()[name][place]
    for column in RAW_COLUMNS:
        if column.kind == "count":
            good &= _filled(batch, column.name, -1 if column.required else 0) >= 0
    good &= ~_any_null(batch, ("event_id", "event_time", "body_hash", "model_sha", "model_version", "timestamp"))
    return good


def scores_of(batch: pa.RecordBatch) -> Iterator[Score]:
    """Yield the scores of checked rows, tagged `batch`."""
    names = ("kol_id", "event_id", "body_hash", "model_sha", "promotion_seq", "model_version", *RAW_NAMES)
    plain = [batch[name].to_pylist() for name in names]
    times = [_texts(batch[name]) for name in ("event_time", "timestamp")]
    lists = [_name_lists(batch[name]) for name in ("missing", "out_of_range")]
    columns = zip(batch["hundredths"].to_pylist(), *times, *lists, zip(*plain, strict=True), strict=True)
    for hundredths, event_time, timestamp, missing, out_of_range, values in columns:
        fields: dict[str, Any] = dict(zip(names, values, strict=True))
        yield Score(
            event_time=event_time,
            timestamp=timestamp,
            missing=missing,
            out_of_range=out_of_range,
            prediction_source="batch",
            **fields,
            **result_fields(hundredths),
        )


def _texts(column: pa.Array) -> list[str]:
    """Write instants as `features.instant` writes them."""
    seconds = pc.strftime(column.cast(pa.timestamp("us", tz="UTC")), format=TIME_FORMAT)
    texts: list[str] = pc.binary_join_element_wise(seconds, "Z", "").to_pylist()
    return texts


def _name_lists(column: pa.Array) -> list[tuple[str, ...]]:
    """Return lists of names as tuples; no list is the empty one."""
    return [tuple(names) if names else () for names in column.to_pylist()]


def _filled(batch: pa.RecordBatch, name: str, filler: int) -> NDArray[np.int64]:
    """Return a column of whole numbers with nulls filled."""
    column: NDArray[np.int64] = batch[name].cast(pa.int64()).fill_null(filler).to_numpy(zero_copy_only=False)
    return column


def _any_null(batch: pa.RecordBatch, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Mark the rows in which one of the columns is null."""
    found = np.zeros(batch.num_rows, dtype=np.bool_)
    for name in names:
        found |= batch[name].is_null().to_numpy(zero_copy_only=False)
    return found


@functools.cache
def results() -> dict[str, NDArray[Any]]:
    """Return what follows from each of the 10,001 scores, by column and hundredths."""
    return {name: np.array([fields[name] for fields in map(result_fields, range(FULL + 1))]) for name in RESULT_NAMES}
