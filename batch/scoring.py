"""Features and scores of profiles in Spark: raw columns to Python, rows of the batch tables back."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa
from pyspark.core.broadcast import Broadcast
from pyspark.sql import DataFrame

from features.catalogue import NAMES, feature_matrix
from features.profile import RAW_NAMES, Profiles, missing_fields
from features.score import Maker, result_fields
from registry.engines import EngineKind
from registry.model import Scored, cached_model
from registry.package import Package
from runtime.lake import EVENT_IDENTITY, KOL_FEATURES, TRUST_SCORES, Table, arrow_schema

IDENTITY = tuple(name for name, _ in EVENT_IDENTITY)
Batches = Iterable[pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class NightlyModel:
    """What the workers need to score: the broadcast package, how to name it, and which engine runs it."""

    package: Broadcast[Package]
    maker: Maker
    engine: EngineKind


def features_of(profiles: DataFrame, score_date: date) -> DataFrame:
    """Compute the 29 features; rows of `kol_features`."""
    return profiles.mapInArrow(feature_rows(score_date), spark_types(KOL_FEATURES))


def scores_of(profiles: DataFrame, model: NightlyModel, *, score_date: date, at: datetime) -> DataFrame:
    """Score; rows of `trust_scores`."""
    return profiles.mapInArrow(score_rows(model, score_date, at), spark_types(TRUST_SCORES))


def spark_types(table: Table) -> str:
    """Return a table's columns the way `mapInArrow` wants them: nullability is the table's business."""
    return ", ".join(f"{name} {kind}" for name, kind in table.columns)


def feature_rows(score_date: date) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    """Build the function that Spark maps over Arrow batches of profiles; an unknown feature is null."""
    schema = arrow_schema(KOL_FEATURES.columns)

    def rows(batches: Batches) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            matrix = feature_matrix(read_profiles(batch))
            columns = [pa.array(matrix[:, position], from_pandas=True) for position in range(len(NAMES))]
            yield pa.RecordBatch.from_arrays([*identity(batch, score_date), *columns], schema=schema)

    return rows


def score_rows(model: NightlyModel, score_date: date, at: datetime) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    """Build the function that Spark maps over Arrow batches of profiles.

    The model is unpacked once per worker process (`registry.model.cached_model`).
    """
    schema = arrow_schema(TRUST_SCORES.columns)

    def rows(batches: Batches) -> Iterator[pa.RecordBatch]:
        ready = cached_model(model.package.value, model.engine)
        for batch in batches:
            scored = ready.score(read_profiles(batch))
            raw = [batch.column(name) for name in RAW_NAMES]
            columns = [*identity(batch, score_date), *raw, *result_columns(scored, batch, model.maker, at)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return rows


def read_profiles(batch: pa.RecordBatch) -> Profiles:
    """Take the raw columns out of an Arrow batch; null is unknown."""
    return Profiles.of_columns(
        {name: batch.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False) for name in RAW_NAMES}
    )


def identity(batch: pa.RecordBatch, score_date: date) -> list[pa.Array]:
    """Return the partition column and the event's identity."""
    dates = pa.repeat(pa.scalar(score_date, pa.date32()), batch.num_rows)
    return [dates, *(batch.column(name) for name in IDENTITY)]


def result_columns(scored: Scored, batch: pa.RecordBatch, maker: Maker, at: datetime) -> list[pa.Array]:
    """Return the columns of the result in the order of the table, from `hundredths` on."""
    rows = batch.num_rows
    results = [result_fields(hundredths) for hundredths in scored.hundredths.tolist()]
    raw = zip(*(batch.column(name).to_pylist() for name in RAW_NAMES), strict=True)
    return [
        pa.array([result["hundredths"] for result in results], pa.int32()),
        pa.array([result["trust_score"] for result in results], pa.float64()),
        pa.array([result["is_trustworthy"] for result in results], pa.bool_()),
        pa.array([result["confidence"] for result in results], pa.float64()),
        pa.array([result["risk_level"].value for result in results], pa.string()),
        pa.repeat("batch", rows),
        pa.repeat(maker.model_sha, rows),
        pa.repeat(pa.scalar(maker.promotion_seq, pa.int64()), rows),
        pa.repeat(maker.model_version, rows),
        pa.repeat(pa.scalar(at, pa.timestamp("us", tz="UTC")), rows),
        pa.array([list(missing_fields(values)) for values in raw], pa.list_(pa.string())),
        pa.array([list(scored.out_of_range(row)) for row in range(rows)], pa.list_(pa.string())),
    ]
