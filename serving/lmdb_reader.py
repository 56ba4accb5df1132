"""Reads the LMDB views: microseconds a read, no other process involved."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import lmdb
import msgspec
import structlog

from features.score import Score, decode_score
from runtime.settings import Settings
from serving.lmdb_layout import (
    BATCH,
    KEEPER,
    REALTIME,
    SCORES,
    STATE,
    Environment,
    batch_file,
    open_batch,
    open_realtime,
    realtime_inode,
)
from serving.views import BatchView, Candidates, KeeperState, Layers, Reading, RealtimeState, ViewGoneError

LOOK_SECONDS = 1.0
"""How often a reader looks whether the file it reads is still the one in the folder."""
SWAP_TRIES = 5
"""How often a read starts again because the batch view was replaced between naming and opening it."""

State = TypeVar("State", BatchView, RealtimeState, KeeperState)


class LmdbReader:
    """Both views, read in one transaction over the realtime one, which also names the batch view in use.

    Open it in the process that reads, after any fork. Until the keeper has made the views, everything is unknown.
    """

    def __init__(self, views: Path, map_gb: int) -> None:
        self._views = views
        self._map_gb = map_gb
        self._realtime: Environment = None
        self._inode: int | None = None
        self._looked_at = 0.0
        self._scores: Any = None
        self._state: Any = None
        self._batch: Environment = None
        self._raw: dict[bytes, bytes | None] = {}
        self._layers = Layers()

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Open the views of these settings; they may still have to be made."""
        return cls(settings.views, settings.view_map_gb)

    def read(self, kol_ids: Sequence[str]) -> Reading:
        """Read both candidates of some KOLs from one generation of both views."""
        if not self._is_open():
            return Reading([Candidates(None, None) for _ in kol_ids], Layers())
        keys = [kol_id.encode() for kol_id in kol_ids]
        for _ in range(SWAP_TRIES):
            with self._realtime.begin(db=self._scores) as transaction:
                self._note(transaction)
                if self._batch is None and self._layers.batch is not None and not self._open_batch(self._layers.batch):
                    continue
                realtime = [transaction.get(key) for key in keys]
                return Reading(self._candidates(self._nightly(keys), realtime), self._layers)
        raise ViewGoneError(f"the batch view {self._layers.batch} is named but not there")

    def layers(self) -> Layers:
        """Read only the state of the layers."""
        return self.read(()).layers

    def close(self) -> None:
        """Close both views."""
        for environment in (self._batch, self._realtime):
            if environment is not None:
                environment.close()
        self._batch = self._realtime = None
        self._raw, self._layers = {}, Layers()

    def _is_open(self) -> bool:
        """Open the realtime view as soon as it is there, and again when its file was replaced."""
        now = time.monotonic()
        if self._realtime is not None and now - self._looked_at < LOOK_SECONDS:
            return True
        self._looked_at = now
        inode = realtime_inode(self._views)
        if inode != self._inode:
            self.close()
        if self._realtime is None and inode is not None:
            self._open_realtime(inode)
        return self._realtime is not None

    def _open_realtime(self, inode: int) -> None:
        """Open the realtime view, unless the keeper is only just making it."""
        try:
            self._realtime = open_realtime(self._views, self._map_gb, readonly=True)
            self._scores, self._state = self._realtime.open_db(SCORES), self._realtime.open_db(STATE)
        except lmdb.Error:
            self.close()
            return
        self._inode = inode
        self._realtime.reader_check()

    def _note(self, transaction: Any) -> None:  # noqa: ANN401 - LMDB's types are not read here
        """Take over what changed of the layers; decoding waits until a value is another one."""
        before = self._raw
        self._raw = {key: transaction.get(key, db=self._state) for key in (BATCH, REALTIME, KEEPER)}
        if self._raw == before:
            return
        if self._raw[BATCH] != before.get(BATCH) and self._batch is not None:
            self._batch.close()
            self._batch = None
        self._layers = Layers(
            _decoded(self._raw[BATCH], BatchView),
            _decoded(self._raw[REALTIME], RealtimeState),
            _decoded(self._raw[KEEPER], KeeperState),
        )

    def _open_batch(self, view: BatchView) -> bool:
        """Open the named batch view; False when it was removed meanwhile."""
        try:
            self._batch = open_batch(batch_file(self._views, view))
        except lmdb.Error as error:
            structlog.get_logger().warning("batch view is gone, looking again", view=view.name, because=str(error))
            return False
        return True

    def _nightly(self, keys: list[bytes]) -> list[bytes | None]:
        """Return the encoded nightly scores of some KOLs."""
        if self._batch is None:
            return [None] * len(keys)
        with self._batch.begin() as transaction:
            return [transaction.get(key) for key in keys]

    @staticmethod
    def _candidates(batch: list[bytes | None], realtime: list[bytes | None]) -> list[Candidates]:
        """Decode the pairs."""
        return [Candidates(_score(left), _score(right)) for left, right in zip(batch, realtime, strict=True)]


def _score(raw: bytes | None) -> Score | None:
    """Decode a stored score strictly, or pass on that there is none."""
    return None if raw is None else decode_score(raw)


def _decoded(raw: bytes | None, kind: type[State]) -> State | None:
    """Decode a state value, or pass on that there is none."""
    return None if raw is None else msgspec.json.decode(raw, type=kind)
