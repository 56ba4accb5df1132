"""How the views lie on disk: LMDB files, memory-mapped, shared by all processes of the machine, safe after a crash.

`HOME/views/realtime/` holds the newest streamed scores, the offsets up to which they were read, the state of the
layers and the name of the batch view in use; so one transaction over it fixes the generation of both views.
`HOME/views/batch-RUN-vVERSION.mdb` is a batch view: built aside, renamed, never written again.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lmdb

from features.scrutiny import is_identifier
from runtime.failure import HandledError
from serving.views import BatchView

SCORES = b"scores"
OFFSETS = b"offsets"
STATE = b"state"
BATCH = b"batch"
REALTIME = b"realtime"
KEEPER = b"keeper"

MOST_READERS = 512
"""Reader slots in the lock file, one per thread that reads; a full table would refuse the next worker."""

Environment = Any
"""LMDB's environment; the package's types are not read here."""


class ViewNameError(HandledError):
    """A run has a name that is no file name."""


def realtime_folder(views: Path) -> Path:
    """Where the realtime view is."""
    return views / "realtime"


def realtime_inode(views: Path) -> int | None:
    """Return what tells the realtime view's file from one made later under its name; None when there is none."""
    try:
        return (realtime_folder(views) / "data.mdb").stat().st_ino
    except FileNotFoundError:
        return None


def batch_file(views: Path, view: BatchView) -> Path:
    """Where a batch view is.

    Raises:
        ViewNameError: The run's name could lead elsewhere.
    """
    if "/" in view.name or not is_identifier(view.name):
        raise ViewNameError(f"{view.run_id!r} cannot name a view; a run's name has no slash and at most 100 characters")
    return views / f"{view.name}.mdb"


def open_realtime(views: Path, map_gb: int, *, readonly: bool) -> Environment:
    """Open the realtime view; a process may have it open once.

    Raises:
        lmdb.Error: It is not there (readonly) or cannot be made.
    """
    folder = realtime_folder(views)
    return lmdb.open(
        str(folder),
        map_size=map_gb * 2**30,
        max_dbs=3,
        max_readers=MOST_READERS,
        readonly=readonly,
        create=not readonly,
    )


def open_batch(path: Path) -> Environment:
    """Open a batch view for reading. It never changes, so no lock is needed."""
    return lmdb.open(str(path), subdir=False, readonly=True, create=False, lock=False, max_spare_txns=1)


def write_batch(path: Path, map_gb: int, chunks: Iterable[list[tuple[bytes, bytes]]]) -> int:
    """Write a batch view; it is on disk, whole, when this returns.

    Args:
        path: The file to make.
        map_gb: Its largest size, GB.
        chunks: (key, value) in ascending order of keys, over all chunks.

    Returns:
        How many rows it has.

    Raises:
        lmdb.KeyExistsError: The keys do not ascend.
    """
    rows = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with lmdb.open(str(path), subdir=False, map_size=map_gb * 2**30, lock=False, sync=False) as environment:
        for chunk in chunks:
            with environment.begin(write=True) as transaction, transaction.cursor() as cursor:
                _, added = cursor.putmulti(chunk, overwrite=False, append=True)
            if added != len(chunk):
                raise lmdb.KeyExistsError(f"{len(chunk) - added} keys stand twice or out of order in {path.name}")
            rows += added
        environment.sync(True)  # noqa: FBT003 - LMDB's signature
    return rows
