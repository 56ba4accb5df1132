"""Scores, a published Delta table and views for tests of the serving layer: written without Spark or Kafka."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from features.catalogue import contract_hash
from features.event import Event
from features.instant import format_instant
from features.profile import RAW_COLUMNS
from features.reference import TRUSTWORTHY
from features.score import Maker, Score, Source, Verdict, realtime_score
from runtime.lake import SCORE_COLUMNS, TRUST_SCORES
from runtime.publication import Published, write_publication
from runtime.settings import Settings
from serving.batch_view import RESULT_NAMES, build_batch_view, results
from serving.lmdb_writer import LmdbWriter
from serving.views import BatchView, KeeperState, RealtimeState

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MAKER = Maker("a" * 64, 1, "trust-score-lightgbm-optuna-Production-v1")
ARROW_TYPES = {
    "STRING": pa.string(),
    "BIGINT": pa.int64(),
    "INT": pa.int32(),
    "BOOLEAN": pa.bool_(),
    "DOUBLE": pa.float64(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    "ARRAY<STRING>": pa.list_(pa.string()),
}


def a_score(kol_id: str = "twitter:nasa", at: datetime = NOON, **changes: object) -> Score:
    """Return a valid score of an event at a moment; `changes` are fields of `Score`."""
    profile = msgspec.structs.asdict(TRUSTWORTHY)
    event = Event(event_id=f"e-{at.isoformat()}", event_time=at, kol_id=kol_id, **profile)
    return msgspec.structs.replace(realtime_score(event, Verdict(9_000, (), MAKER), at=at), **changes)


def from_batch(score: Score) -> Score:
    """Return the same score as the nightly run makes it."""
    source: Source = "batch"
    return msgspec.structs.replace(score, prediction_source=source)


def score_table(scores: Sequence[Score]) -> pa.Table:
    """Return scores as rows of `trust_scores`."""
    rows = [msgspec.structs.asdict(score) for score in scores]
    columns: dict[str, pa.Array] = {"score_date": pa.array([NOON.date()] * len(rows), pa.date32())}
    for name, kind in SCORE_COLUMNS:
        values = [row[name] for row in rows]
        if kind == "TIMESTAMP":
            values = [datetime.fromisoformat(value) for value in values]
        columns[name] = pa.array(values, ARROW_TYPES[kind])
    return pa.table(columns)


def publish_table(settings: Settings, table: pa.Table, run_id: str = "run-1", **changes: object) -> Published:
    """Write a table as one version of `trust_scores` and publish it; `changes` are fields of `Published`."""
    uri = TRUST_SCORES.uri(settings)
    write_deltalake(uri, table, mode="overwrite", partition_by=["score_date"])
    facts: dict[str, Any] = {
        "run_id": run_id,
        "cutoff": format_instant(NOON),
        "score_date": NOON.date().isoformat(),
        "tables": {TRUST_SCORES.name: DeltaTable(uri).version()},
        "model_sha": MAKER.model_sha,
        "promotion_seq": MAKER.promotion_seq,
        "contract": contract_hash(),
        "kols": table.num_rows,
        "published_at": format_instant(NOON),
    }
    published = Published(**{**facts, **changes})
    write_publication(settings, published)
    return published


def fill_views(settings: Settings, batch: Sequence[Score], realtime: Sequence[Score], now: datetime) -> None:
    """Write both views as a keeper that has caught up at `now` leaves them, and let go of them."""
    published = publish_table(settings, score_table(batch), cutoff=format_instant(now))
    writer = LmdbWriter.open(settings)
    build_batch_view(settings, published)
    writer.publish_batch(BatchView.of(published))
    writer.apply(realtime, {("topic", 0): len(realtime)})
    writer.note_realtime(RealtimeState(polled_at=now, caught_up_at=now))
    writer.note_keeper(KeeperState(now, pending=False))
    writer.close()


def many_scores(rows: int, maker: Maker = MAKER) -> pa.Table:
    """Return a table of `trust_scores` with as many KOLs as asked for, made from whole columns."""
    chance = np.random.default_rng(rows)
    hundredths = chance.integers(0, 10_001, rows)
    same = {"body_hash": "0123456789abcdef", "prediction_source": "batch", **msgspec.structs.asdict(maker)}
    counts = {
        column.name: pa.array(chance.integers(0, 1_000_000, rows))
        if column.kind == "count"
        else pa.array(chance.integers(0, 2, rows).astype(bool))
        for column in RAW_COLUMNS
    }
    moments = pa.array(NOON.timestamp() * 1e6 - chance.integers(0, 86_400_000_000, rows), pa.int64())
    instants = moments.cast(pa.timestamp("us", tz="UTC"))
    ids = pa.array([f"twitter:{number:09d}" for number in chance.permutation(rows)])
    columns = {
        "score_date": pa.array([NOON.date()] * rows, pa.date32()),
        "kol_id": ids,
        "event_id": ids,
        "event_time": instants,
        "timestamp": instants,
        "hundredths": pa.array(hundredths, pa.int32()),
        **{name: pa.array(results()[name][hundredths]) for name in RESULT_NAMES},
        **counts,
        **{name: pa.array([value] * rows) for name, value in same.items()},
        "missing": pa.array([[]] * rows, pa.list_(pa.string())),
        "out_of_range": pa.array([[]] * rows, pa.list_(pa.string())),
    }
    return pa.table({name: columns[name] for name in TRUST_SCORES.column_names})


def later(seconds: float) -> datetime:
    """Return a moment after noon."""
    return NOON + timedelta(seconds=seconds)
