"""Raw profiles in files, CSV, JSON lines or Parquet: every row becomes one JSON object for the strict decoder.

CSV has no types, so a cell is read by its column's kind and an odd one stays the text it is, for the decoder to
refuse. An empty cell, a null and a Parquet NaN are unknown. Nothing else is guessed. Files with the column names of
the public labelled accounts are read as profiles, too.
"""

import csv
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from features.profile import RAW_COLUMNS
from runtime.failure import HandledError

WHOLE = re.compile(r"-?(0|[1-9]\d{0,30})", re.ASCII)
KINDS = {column.name: column.kind for column in RAW_COLUMNS}
ROWS_AT_ONCE = 4096
UPSTREAM = {
    "id": "kol_id",
    "friends_count": "following_count",
    "statuses_count": "post_count",
    "favourites_count": "favorites_count",
}
"""Columns of the public labelled accounts that say the same under another name."""


class ProfileFileError(HandledError):
    """The file cannot be read as profiles; the message says what it is and what is wanted."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a file: its number (the first is 1) and its fields as one JSON object, unchecked."""

    row: int
    data: bytes


def read_records(path: Path) -> Iterator[Record]:
    """Yield the rows of a file by its ending: .csv, .jsonl or .ndjson, .parquet.

    Raises:
        ProfileFileError: It is not there, has another ending, or breaks off.
    """
    readers: dict[str, Callable[[Path], Iterator[bytes]]] = {
        ".csv": csv_objects,
        ".jsonl": json_objects,
        ".ndjson": json_objects,
        ".parquet": parquet_objects,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ProfileFileError(f"{path} ends in {path.suffix!r}; profiles come as {', '.join(readers)}")
    try:
        for row, data in enumerate(reader(path), start=1):
            yield Record(row, data)
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise ProfileFileError(f"cannot read profiles from {path}: {error}") from error


def csv_objects(path: Path) -> Iterator[bytes]:
    """Read CSV with a header, in UTF-8."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, restkey="", restval="", strict=True)
        upstream = "friends_count" in (reader.fieldnames or ())
        for cells in reader:
            named = as_profile(cells) if upstream else cells
            fields = {name: cell_value(name, cell) for name, cell in named.items() if name}
            yield json.dumps(fields, ensure_ascii=False).encode()


def cell_value(name: str, cell: str) -> int | bool | str | None:
    """Read one CSV cell by its column's kind.

    >>> cell_value("post_count", "12"), cell_value("verified", "True"), cell_value("bio_length", "")
    (12, True, None)
    >>> cell_value("post_count", "1e3")
    '1e3'
    """
    if cell == "":
        return None
    kind = KINDS.get(name)
    if kind == "count" and WHOLE.fullmatch(cell):
        return int(cell)
    if kind == "flag" and cell.lower() in {"true", "false"}:
        return cell.lower() == "true"
    return cell


def as_profile(cells: Mapping[str, str]) -> dict[str, str]:
    """Rename the columns of the public labelled accounts; only the length of a description counts."""
    renamed = {UPSTREAM.get(name, name): cell for name, cell in cells.items()}
    description = renamed.pop("description", None)
    if description is not None:
        renamed |= {"has_bio": str(bool(description)), "bio_length": str(len(description))}
    default_image = renamed.pop("default_profile_image", "")
    opposite = {"true": "false", "false": "true"}
    return renamed | {"has_profile_image": opposite.get(default_image.lower(), default_image)}


def json_objects(path: Path) -> Iterator[bytes]:
    """Read JSON lines; the bytes go to the decoder as they are."""
    with path.open("rb") as file:
        yield from (line.strip() for line in file if line.strip())


def parquet_objects(path: Path) -> Iterator[bytes]:
    """Read Parquet."""
    for batch in pq.ParquetFile(path).iter_batches(ROWS_AT_ONCE):
        for row in batch.to_pylist():
            fields = {name: plain_value(name, value) for name, value in row.items()}
            yield json.dumps(fields, ensure_ascii=False).encode()


def plain_value(name: str, value: object) -> object:
    """Turn one Parquet value into JSON's types; whole numbers that were kept as floats beside NaN are whole numbers."""
    if not isinstance(value, float):
        return value if isinstance(value, str | int | bool | None) else str(value)
    if math.isnan(value):
        return None
    return int(value) if KINDS.get(name) == "count" and value.is_integer() else value
