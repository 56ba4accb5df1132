"""What landing has seen: contents by event id and the newest event by KOL, in an LMDB file beside the lake.

The table `events` is the truth; this is an index of it, brought up to date from the table before it is asked and made
anew when it is missing, damaged or of another table. It is written after the table, so it can only be behind.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from deltalake import DeltaTable

from features.disposition import Arrival, Ruling, rule
from runtime.lake import EVENTS
from runtime.settings import Settings
from runtime.tables import open_table

FOLDER = "landing-index"
STATE = b"state"
ORDER = ["landing", "topic_id", "partition", "offset"]
"""The order of arrival. Landings of before there was this column have none, and come first."""
IDENTITY = ["kol_id", "event_id", "event_time", "body_hash"]
COUNTER = "landing"
"""The transaction of the table that counts landings."""
LANDINGS_AT_ONCE = 20
META_BYTES = 8192
"""Two meta pages at the start of an LMDB file; without them it cannot be opened."""


class State(msgspec.Struct, frozen=True):
    """Of which table the index is, and up to which landing."""

    table_id: str
    landing: int


@dataclass(frozen=True, slots=True)
class Seen:
    """The open index.

    Attributes:
        file: The LMDB environment.
        bodies: Event id -> the contents it came with, 8 bytes each.
        newest: KOL -> order key of its newest event.
    """

    file: lmdb.Environment
    bodies: Any
    newest: Any

    def state(self) -> State | None:
        """Return how far the index is, or None when it is new."""
        with self.file.begin() as reading:
            found = reading.get(STATE)
        return None if found is None else msgspec.json.decode(found, type=State)

    def rule(self, arrivals: Sequence[Arrival]) -> tuple[list[Ruling], "Learned"]:
        """Rule on events in order; nothing is kept until `keep` is called with what was learned."""
        ids = {arrival.event_id.encode() for arrival in arrivals}
        kols = {arrival.kol_id.encode() for arrival in arrivals}
        with self.file.begin() as reading:
            bodies = _read(reading.cursor(self.bodies), ids)
            newest = _read(reading.cursor(self.newest), kols)
        return rule(arrivals, bodies, newest), Learned(bodies, newest)

    def keep(self, learned: "Learned", state: State) -> None:
        """Write what was learned, and how far that is, at once."""
        with self.file.begin(write=True) as writing:
            _write(writing.cursor(self.bodies), learned.bodies)
            _write(writing.cursor(self.newest), learned.newest)
            writing.put(STATE, msgspec.json.encode(state))


@dataclass(frozen=True, slots=True)
class Learned:
    """What the index says of the ids and the KOLs of a batch after it."""

    bodies: dict[str, bytes]
    newest: dict[str, bytes]


@contextmanager
def open_seen(settings: Settings) -> Iterator[tuple[Seen, State]]:
    """Open the index, brought up to the newest landing of the table; a damaged one is made anew from it."""
    folder = settings.home.resolve() / FOLDER
    opened = open_table(settings, EVENTS)
    try:
        with _open(folder, settings.view_map_gb) as seen:
            catch_up(seen, opened)
    except DamagedError as error:
        structlog.get_logger().info("landing_index_made_anew", folder=str(folder), why=str(error))
        shutil.rmtree(folder)
    with _open(folder, settings.view_map_gb) as seen:
        yield seen, catch_up(seen, opened)


class DamagedError(Exception):
    """The index cannot be used; it is made anew."""


def catch_up(seen: Seen, opened: DeltaTable) -> State:
    """Take in the landings of the table that the index does not know.

    Raises:
        DamagedError: It is of another table, knows more than the table, or cannot be read.
    """
    table_id = str(opened.metadata().id)
    last = opened.transaction_version(COUNTER) or 0
    try:
        state = seen.state()
        if state is not None and (state.table_id != table_id or state.landing > last):
            raise DamagedError(f"it is of table {state.table_id} at landing {state.landing}, not {table_id} at {last}")
        reached = -1 if state is None else state.landing
        while reached < last:
            upto = min(reached + LANDINGS_AT_ONCE, last)
            _, learned = seen.rule(arrivals(landed(opened, reached, upto)))
            seen.keep(learned, State(table_id, upto))
            reached = upto
        return State(table_id, last)
    except (lmdb.Error, msgspec.DecodeError) as error:
        raise DamagedError(str(error)) from error


def landed(opened: DeltaTable, after: int, upto: int) -> pa.Table:
    """Return the events of some landings in the order of arrival."""
    number = pc.coalesce(pc.field("landing"), pc.scalar(0))
    columns = {name: pc.field(name) for name in [*IDENTITY, *ORDER]} | {"landing": number}
    wanted = (number > after) & (number <= upto)
    return opened.to_pyarrow_dataset().to_table(columns, filter=wanted).sort_by([(name, "ascending") for name in ORDER])


def arrivals(rows: pa.Table) -> list[Arrival]:
    """Turn rows into what the rule sees."""
    return [Arrival(*identity) for identity in zip(*(rows[name].to_pylist() for name in IDENTITY), strict=True)]


@contextmanager
def _open(folder: Path, map_gb: int) -> Iterator[Seen]:
    _refuse_truncated(folder / "data.mdb")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        file = lmdb.open(str(folder), map_size=map_gb * 2**30, max_dbs=2)
    except lmdb.Error as error:
        raise DamagedError(str(error)) from error
    try:
        _refuse_short(folder / "data.mdb", file)
        yield Seen(file, file.open_db(b"bodies"), file.open_db(b"newest"))
    except lmdb.Error as error:
        raise DamagedError(str(error)) from error
    finally:
        file.close()


def _refuse_truncated(path: Path) -> None:
    if path.exists() and path.stat().st_size < META_BYTES:
        raise DamagedError(f"{path} is cut off")


def _refuse_short(path: Path, file: lmdb.Environment) -> None:
    """Refuse a file that ends before its last page: to read beyond the end of a mapped file kills the process."""
    pages = file.info()["last_pgno"] + 1
    if path.stat().st_size < pages * file.stat()["psize"]:
        raise DamagedError(f"{path} is cut off")


def _read(cursor: lmdb.Cursor, keys: set[bytes]) -> dict[str, bytes]:
    return {bytes(key).decode(): bytes(value) for key, value in cursor.getmulti(sorted(keys))}


def _write(cursor: lmdb.Cursor, entries: dict[str, bytes]) -> None:
    encoded = sorted((key.encode(), value) for key, value in entries.items())
    cursor.putmulti(encoded)
