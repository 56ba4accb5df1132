"""The tables of the lake in one place: name, columns, keys, checks and owner. No Spark is needed to read this."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from features.catalogue import NAMES
from features.profile import RAW_COLUMNS
from features.score import FULL, RiskLevel
from runtime.settings import Settings

Owner = Literal["landing", "batch"]


@dataclass(frozen=True, slots=True)
class Table:
    """One Delta table.

    Attributes:
        name: Folder below the lake.
        columns: (name, Spark SQL type) in order.
        keys: Columns that are never null and carry file statistics; the others carry none, which halves the write.
        owner: The one process that writes it: local-disk Delta is not safe with two.
        checks: SQL conditions every row must meet, the last line of defence.
        partitioned_by: Partition columns.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    keys: tuple[str, ...]
    owner: Owner
    checks: tuple[str, ...] = ()
    partitioned_by: tuple[str, ...] = ()

    def uri(self, settings: Settings) -> str:
        """Where the table is."""
        return f"{settings.lake_uri.rstrip('/')}/{self.name}"

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(name for name, _ in self.columns)

    @property
    def ddl(self) -> str:
        """The columns as Spark SQL reads them."""
        return ", ".join(f"{name} {kind}{' NOT NULL' if name in self.keys else ''}" for name, kind in self.columns)


def arrow_schema(columns: Sequence[tuple[str, str]]) -> pa.Schema:
    """Return columns as Arrow sees them; instants are microseconds in UTC."""
    types = {
        "STRING": pa.string(),
        "BINARY": pa.binary(),
        "BOOLEAN": pa.bool_(),
        "INT": pa.int32(),
        "BIGINT": pa.int64(),
        "FLOAT": pa.float32(),
        "DOUBLE": pa.float64(),
        "DATE": pa.date32(),
        "TIMESTAMP": pa.timestamp("us", tz="UTC"),
        "ARRAY<STRING>": pa.list_(pa.string()),
    }
    return pa.schema([(name, types[kind]) for name, kind in columns])


RAW_TYPES: tuple[tuple[str, str], ...] = tuple(
    (column.name, "BIGINT" if column.kind == "count" else "BOOLEAN") for column in RAW_COLUMNS
)
PROVENANCE: tuple[tuple[str, str], ...] = (
    ("topic_id", "STRING"),
    ("partition", "INT"),
    ("offset", "BIGINT"),
    ("appended_at", "TIMESTAMP"),
)
"""Where a message stood in Kafka. The topic's id, not its name: a topic made anew starts at offset 0 again."""
SOURCE: tuple[tuple[str, str], ...] = (
    ("source_topic_id", "STRING"),
    ("source_partition", "INT"),
    ("source_offset", "BIGINT"),
)
"""Where the event stood that a score or a reject was made from."""
EVENT_IDENTITY: tuple[tuple[str, str], ...] = (
    ("kol_id", "STRING"),
    ("event_id", "STRING"),
    ("event_time", "TIMESTAMP"),
    ("body_hash", "STRING"),
)
SCORE_COLUMNS: tuple[tuple[str, str], ...] = (
    *EVENT_IDENTITY,
    *RAW_TYPES,
    ("hundredths", "INT"),
    ("trust_score", "DOUBLE"),
    ("is_trustworthy", "BOOLEAN"),
    ("confidence", "DOUBLE"),
    ("risk_level", "STRING"),
    ("prediction_source", "STRING"),
    ("model_sha", "STRING"),
    ("promotion_seq", "BIGINT"),
    ("model_version", "STRING"),
    ("timestamp", "TIMESTAMP"),
    ("missing", "ARRAY<STRING>"),
    ("out_of_range", "ARRAY<STRING>"),
)
SCORE_KEYS = ("kol_id", "event_id", "event_time", "body_hash", "hundredths", "trust_score", "risk_level", "model_sha")
LEVELS = ", ".join(f"'{level}'" for level in RiskLevel)
SCORE_CHECKS = (
    f"hundredths BETWEEN 0 AND {FULL}",
    # Not hundredths / 100: Spark divides whole numbers to fractions, deltalake to whole numbers.
    "abs(trust_score * 100 - hundredths) < 0.000001",
    "confidence BETWEEN 0.5 AND 1",
    f"risk_level IN ({LEVELS})",
)
COUNT_CHECKS = tuple(f"({name} IS NULL OR {name} >= 0)" for name, kind in RAW_TYPES if kind == "BIGINT")
REJECTED_COLUMNS: tuple[tuple[str, str], ...] = (
    ("topic", "STRING"),
    *SOURCE,
    ("reason", "STRING"),
    ("field", "STRING"),
    ("detail", "STRING"),
    ("value_head", "BINARY"),
    ("value_bytes", "BIGINT"),
    ("value_sha256", "STRING"),
    ("rejected_at", "TIMESTAMP"),
)

ARRIVAL: tuple[tuple[str, str], ...] = (("disposition", "STRING"), ("conflict", "BOOLEAN"), ("landing", "BIGINT"))
"""What an event was when it arrived (`features.disposition`), and in the how-manieth landing: the order of arrival is
that of (landing, partition, offset). Null in rows of before there were these columns; they arrived before all."""
EVENTS = Table(
    "events",
    (*PROVENANCE, *EVENT_IDENTITY, *RAW_TYPES, ("ignored_fields", "INT"), *ARRIVAL),
    keys=("topic_id", "partition", "offset", "kol_id", "event_time"),
    owner="landing",
    checks=COUNT_CHECKS,
)
REJECTED_EVENTS = Table(
    "rejected_events",
    (*PROVENANCE, *REJECTED_COLUMNS),
    keys=("topic_id", "partition", "offset", "reason"),
    owner="landing",
)
REALTIME_SCORES = Table(
    "realtime_scores",
    (*PROVENANCE, *SOURCE, *SCORE_COLUMNS),
    keys=("topic_id", "partition", "offset", *SCORE_KEYS),
    owner="landing",
    checks=SCORE_CHECKS,
)
SHADOW_SCORES = Table(
    "shadow_scores",
    REALTIME_SCORES.columns,
    keys=REALTIME_SCORES.keys,
    owner="landing",
    checks=SCORE_CHECKS,
)
"""What the version in Staging says of the same events."""
KOL_FEATURES = Table(
    "kol_features",
    (("score_date", "DATE"), *EVENT_IDENTITY, *((name, "FLOAT") for name in NAMES)),
    keys=("score_date", "kol_id"),
    owner="batch",
    partitioned_by=("score_date",),
)
TRUST_SCORES = Table(
    "trust_scores",
    (("score_date", "DATE"), *SCORE_COLUMNS),
    keys=("score_date", *SCORE_KEYS),
    owner="batch",
    checks=SCORE_CHECKS,
    partitioned_by=("score_date",),
)
TABLES: tuple[Table, ...] = (EVENTS, REJECTED_EVENTS, REALTIME_SCORES, SHADOW_SCORES, KOL_FEATURES, TRUST_SCORES)
