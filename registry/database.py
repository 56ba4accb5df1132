"""A sqlite database that someone else's migrations make: made aside, fast, and there whole or not at all."""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine


@contextmanager
def one_maker(home: Path) -> Iterator[None]:
    """Let one process at a time make what is not in a folder yet."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".making.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_database(path: Path, migrate: Callable[[str], object]) -> None:
    """Make the database when there is none.

    Args:
        path: Where it belongs.
        migrate: Makes a database at the SQLAlchemy URI that it is given.
    """
    if path.exists():
        return
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)
    with _unsynced():
        migrate(f"sqlite:///{aside}")
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.rename(path)


@contextmanager
def _unsynced() -> Iterator[None]:
    """Let new connections not wait for the disk, and close them at the end: none may go on like this.

    MLflow's 60 migrations wait for the disk after each statement: 3 s of 5, on slow disks 9 s of 11.
    """
    opened: list[sqlite3.Connection] = []

    def hurry(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")
        opened.append(connection)

    event.listen(Engine, "connect", hurry)
    try:
        yield
    finally:
        event.remove(Engine, "connect", hurry)
        for connection in opened:
            connection.close()
