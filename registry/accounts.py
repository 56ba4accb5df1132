"""Labelled accounts to train on and to replay: where they come from, and the reader of their CSV."""

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.profile import Column, Profiles
from registry.cells import READERS, CellError, RefusedRow
from registry.masking import Rows, taken
from registry.synthetic import synthetic_csv
from runtime.failure import HandledError
from runtime.settings import ROOT, Settings

SHARED_DATASET = ROOT.parent / "shared" / "data" / "twitter_human_bots_train.csv"
FETCHED_DATASET = Path("data", "twitter_human_bots.csv")
"""Where `./kol data fetch` puts the file, below HOME."""

SHOWN_REFUSALS = 3


class AccountsError(HandledError):
    """Labelled accounts cannot be used; the message says what was there and what is needed."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """Labelled accounts as columns.

    Attributes:
        ids: Unique ids.
        profiles: Raw profiles as of the crawl; `has_url` is unknown.
        labels: 1.0 untrustworthy (`bot` upstream), 0.0 trustworthy (`human`).
        created_at: Creation of the account, UTC.
        digest: SHA-256 of the CSV.
        synthetic: Whether they were generated.
        origin: Where they come from, in words.
        refused: Rows that are not among them, and why.
    """

    ids: NDArray[np.str_]
    profiles: Profiles
    labels: Column
    created_at: NDArray[np.datetime64]
    digest: str
    synthetic: bool
    origin: str
    refused: tuple[RefusedRow, ...]

    def __len__(self) -> int:
        """Count the accounts."""
        return len(self.ids)

    def take(self, rows: Rows) -> "Accounts":
        """Return some of the accounts, by position or by mask."""
        return replace(
            self,
            ids=self.ids[rows],
            profiles=taken(self.profiles, rows),
            labels=self.labels[rows],
            created_at=self.created_at[rows],
        )


@dataclass(frozen=True, slots=True)
class AccountsSource:
    """Where labelled accounts come from: a file, or the generator when there is none."""

    path: Path | None

    @property
    def synthetic(self) -> bool:
        """Whether the accounts are generated."""
        return self.path is None

    def describe(self) -> str:
        """Say where they come from."""
        return "SYNTHETIC DATA (generated, no real accounts)" if self.path is None else str(self.path)

    def read(self) -> bytes:
        """Return the CSV.

        Raises:
            AccountsError: The file cannot be read.
        """
        if self.path is None:
            return synthetic_csv()
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise AccountsError(f"cannot read the accounts in {self.path}: {error.strerror}") from error

    def load(self) -> Accounts:
        """Read and check the accounts.

        Raises:
            AccountsError: See `read_accounts`.
        """
        return read_accounts(self.read(), origin=self.describe(), synthetic=self.synthetic)


def find_accounts(settings: Settings) -> AccountsSource:
    """Choose the labelled accounts: those given, else the shared, else the fetched, else generated ones.

    Raises:
        AccountsError: A file was given and is not there.
    """
    if settings.dataset is not None:
        if not settings.dataset.is_file():
            raise AccountsError(f"there is no file {settings.dataset}; --dataset takes a CSV of labelled accounts")
        return AccountsSource(settings.dataset)
    places = (SHARED_DATASET, settings.home.resolve() / FETCHED_DATASET)
    return AccountsSource(next((place for place in places if place.is_file()), None))


def read_accounts(content: bytes, *, origin: str, synthetic: bool) -> Accounts:
    """Read the CSV of labelled accounts, with the upstream's column names; further columns are ignored.

    A row with a bad or empty cell, an unknown label or an id that was there before is refused. Unknown may be only
    favourites_count, verified and default_profile_image (empty cell); an empty description means no bio.

    Raises:
        AccountsError: It is no CSV in UTF-8, a column is missing, or no rows of both labels are usable.
    """
    rows, refused = _read_rows(content, origin)
    columns = dict(zip(READERS, zip(*rows, strict=True), strict=True)) if rows else {}
    if len(set(columns.get("account_type", ()))) < 2:
        shown = "; ".join(map(str, refused[:SHOWN_REFUSALS])) or "none"
        raise AccountsError(f"{origin} has {len(rows)} usable accounts, not of both labels; refused rows: {shown}")
    return Accounts(
        ids=np.array(columns["id"]),
        profiles=_profiles(columns),
        labels=np.array(columns["account_type"]),
        created_at=np.array(columns["created_at"], dtype="datetime64[s]"),
        digest=hashlib.sha256(content).hexdigest(),
        synthetic=synthetic,
        origin=origin,
        refused=tuple(refused),
    )


def _profiles(columns: Mapping[str, Sequence[Any]]) -> Profiles:
    """Turn upstream columns into raw profiles. Ages stay as of the crawl; no upstream column tells of a URL."""
    bio_length = np.array(columns["description"], dtype=np.float64)
    return Profiles(
        followers_count=np.array(columns["followers_count"]),
        following_count=np.array(columns["friends_count"]),
        post_count=np.array(columns["statuses_count"]),
        favorites_count=np.array(columns["favourites_count"]),
        account_age_days=np.array(columns["account_age_days"]),
        verified=np.array(columns["verified"]),
        has_bio=(bio_length > 0).astype(np.float64),
        has_url=np.full(len(bio_length), np.nan),
        has_profile_image=1.0 - np.array(columns["default_profile_image"]),
        bio_length=bio_length,
    )


def _read_rows(content: bytes, origin: str) -> tuple[list[list[Any]], list[RefusedRow]]:
    """Return the good rows in the order of `READERS`, and the refused ones."""
    good: list[list[Any]] = []
    refused: list[RefusedRow] = []
    first_lines: dict[str, int] = {}
    for line, cells in _cells(content, origin):
        row = _read_row(line, cells)
        if isinstance(row, list) and row[0] in first_lines:
            row = RefusedRow(line, "id", row[0], f"the account of line {first_lines[row[0]]} has it already")
        if isinstance(row, RefusedRow):
            refused.append(row)
        else:
            first_lines[row[0]] = line
            good.append(row)
    return good, refused


def _read_row(line: int, cells: dict[str, str] | RefusedRow) -> list[Any] | RefusedRow:
    """Read one row's cells; the first bad one refuses it."""
    if isinstance(cells, RefusedRow):
        return cells
    row: list[Any] = []
    for name, read in READERS.items():
        try:
            row.append(read(cells[name]))
        except CellError as error:
            return RefusedRow(line, name, cells[name], str(error))
    return row


def _cells(content: bytes, origin: str) -> Iterator[tuple[int, dict[str, str] | RefusedRow]]:
    """Yield each row's first line and its needed cells by name."""
    line = 1
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = next(reader, [])
        positions = _positions(header, origin)
        line = reader.line_num + 1
        for cells in reader:
            if len(cells) == len(header):
                yield line, {name: cells[position] for name, position in positions.items()}
            elif cells:
                why = f"the row has {len(cells)} cells, the header {len(header)}"
                yield line, RefusedRow(line, "row", ",".join(cells), why)
            line = reader.line_num + 1
    except UnicodeDecodeError as error:
        raise AccountsError(f"{origin} is not UTF-8 at byte {error.start}; save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise AccountsError(f"{origin} is no CSV from line {line} on: {error}") from error


def _positions(header: list[str], origin: str) -> dict[str, int]:
    """Find the needed columns."""
    missing = [name for name in READERS if header.count(name) != 1]
    if missing:
        raise AccountsError(
            f"{origin} needs the columns {', '.join(missing)}, each once; there are: {', '.join(header) or 'none'}"
        )
    return {name: header.index(name) for name in READERS}
