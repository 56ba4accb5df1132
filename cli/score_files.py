"""Files of scores, CSV, JSON lines or Parquet: there when they are complete, and not before."""

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Self

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from cli.score_rows import ScoredRow
from runtime.failure import HandledError

Write = Callable[[Sequence[ScoredRow]], None]
"""Adds rows to a file."""
SEPARATOR = ";"
"""Between the names in one CSV cell; field names have none."""
TYPES: dict[str, pa.DataType] = {
    "row": pa.int64(),
    "trust_score": pa.float64(),
    "hundredths": pa.int32(),
    "is_trustworthy": pa.bool_(),
    "confidence": pa.float64(),
    "missing": pa.list_(pa.string()),
    "out_of_range": pa.list_(pa.string()),
}
"""Arrow types of the columns that are no text."""


class ScoreFileError(HandledError):
    """Scores cannot be written there; the message says why."""

    @classmethod
    def ending(cls, out: Path) -> Self:
        """Say which endings there are."""
        return cls(f"--out {out} ends in {out.suffix!r}; scores are written as {', '.join(writers())}")

    @classmethod
    def same(cls, out: Path) -> Self:
        """Say that the input would be lost."""
        return cls(f"--out {out} is the file that is read; name another one")

    @classmethod
    def unwritable(cls, out: Path, error: OSError) -> Self:
        """Say what the system said."""
        return cls(f"cannot write {out}: {error.strerror}")


@contextmanager
def open_scores(out: Path, *, source: Path) -> Iterator[Write]:
    """Open a file of scores by its ending; it appears under its name, whole, when the block ends without an error.

    Args:
        out: Where it goes; one that is there is replaced.
        source: The file that is read meanwhile.

    Raises:
        ScoreFileError: The ending is unknown, it is the source, or the folder cannot be written.
    """
    writer = writers().get(out.suffix.lower())
    if writer is None:
        raise ScoreFileError.ending(out)
    if out.exists() and source.exists() and out.samefile(source):
        raise ScoreFileError.same(out)
    aside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with writer(aside) as write:
            yield write
        settle(aside, out)
    except OSError as error:
        raise ScoreFileError.unwritable(out, error) from error
    finally:
        aside.unlink(missing_ok=True)


def settle(aside: Path, out: Path) -> None:
    """Give a finished file its name, on disk before it is seen."""
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.replace(out)


def writers() -> dict[str, Callable[[Path], AbstractContextManager[Write]]]:
    """Return the writers by the ending of the file."""
    return {".csv": csv_scores, ".jsonl": json_scores, ".ndjson": json_scores, ".parquet": parquet_scores}


@contextmanager
def csv_scores(path: Path) -> Iterator[Write]:
    """Write CSV in UTF-8 with a header: unknown is an empty cell, true and false are words, names stand between `;`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(ScoredRow.__struct_fields__)
        yield lambda rows: lines.writerows(map(csv_cells, rows))


def csv_cells(row: ScoredRow) -> list[object]:
    """Write the values of one row as CSV cells."""
    return [csv_cell(value) for value in msgspec.structs.astuple(row)]


def csv_cell(value: object) -> object:
    """Write one value as a CSV cell.

    >>> csv_cell(True), csv_cell(("verified", "has_bio")), csv_cell(80.5)
    ('true', 'verified;has_bio', 80.5)
    """
    if isinstance(value, bool):
        return str(value).lower()
    return SEPARATOR.join(value) if isinstance(value, tuple) else value


@contextmanager
def json_scores(path: Path) -> Iterator[Write]:
    """Write one JSON object a line, every column in each; unknown is null."""
    encoder = msgspec.json.Encoder()
    with path.open("wb") as file:

        def write(rows: Sequence[ScoredRow]) -> None:
            file.write(encoder.encode_lines(rows))

        yield write


@contextmanager
def parquet_scores(path: Path) -> Iterator[Write]:
    """Write Parquet, a row group a chunk; unknown is null."""
    schema = pa.schema([(name, TYPES.get(name, pa.string())) for name in ScoredRow.__struct_fields__])
    with pq.ParquetWriter(path, schema) as file:
        yield lambda rows: file.write_table(pa.Table.from_pylist(msgspec.to_builtins(rows), schema))
