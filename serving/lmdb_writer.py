"""Writes the LMDB views: the keeper's side."""

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import msgspec
from msgspec import Struct

from features.precedence import SOURCE_RANK, precedence
from features.score import Score, Source, encode_score
from runtime.settings import Settings
from serving.lmdb_layout import (
    BATCH,
    KEEPER,
    OFFSETS,
    REALTIME,
    SCORES,
    STATE,
    batch_file,
    open_realtime,
    realtime_folder,
    realtime_inode,
)
from serving.views import BatchView, KeeperState, Place, RealtimeState, ViewsLostError


class _Standing(Struct, frozen=True):
    """What of a stored score decides whether a newer one replaces it."""

    event_time: str
    event_id: str
    body_hash: str
    promotion_seq: int
    prediction_source: Source

    def precedence(self) -> tuple[tuple[str, str, str], int, int]:
        """Return the stored score's key in the order of `features.precedence`."""
        event = (self.event_time, self.event_id, self.body_hash)
        return event, self.promotion_seq, SOURCE_RANK[self.prediction_source]


class LmdbWriter:
    """The only writer of the views. Its methods may be called from several threads of the keeper."""

    def __init__(self, views: Path, map_gb: int) -> None:
        self._views = views
        realtime_folder(views).mkdir(parents=True, exist_ok=True)
        self._realtime = open_realtime(views, map_gb, readonly=False)
        self._inode = realtime_inode(views)
        # Readers that were killed hold their slot, and with it old pages, until somebody looks.
        self._realtime.reader_check()
        self._scores, self._offsets, self._state = (self._realtime.open_db(name) for name in (SCORES, OFFSETS, STATE))
        self._turn = threading.Lock()
        self._standing = msgspec.json.Decoder(_Standing)

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Open the views of these settings, making them when there are none."""
        return cls(settings.views, settings.view_map_gb)

    def apply(self, scores: Iterable[Score], offsets: Mapping[Place, int]) -> int:
        """Put scores into the realtime view, newest wins, and note the next offsets, in one transaction."""
        newest: dict[str, Score] = {}
        for score in scores:
            held = newest.get(score.kol_id)
            if held is None or precedence(score) > precedence(held):
                newest[score.kol_id] = score
        with self._turn, self._realtime.begin(write=True, db=self._scores) as transaction:
            won = sum(self._put(transaction, score) for score in newest.values())
            for (topic_id, partition), offset in offsets.items():
                transaction.put(f"{topic_id}|{partition}".encode(), str(offset).encode(), db=self._offsets)
        return won

    def offsets(self, topic_id: str) -> dict[int, int]:
        """Return the next offset per partition of a topic."""
        prefix = f"{topic_id}|".encode()
        found = {}
        with self._realtime.begin(db=self._offsets) as transaction:
            for key, value in transaction.cursor():
                if key.startswith(prefix):
                    found[int(key.removeprefix(prefix))] = int(value)
        return found

    def batch(self) -> BatchView | None:
        """Return the batch view in use, or None when there is none or its file is lost."""
        with self._realtime.begin(db=self._state) as transaction:
            raw = transaction.get(BATCH)
        if raw is None:
            return None
        view = msgspec.json.decode(raw, type=BatchView)
        return view if batch_file(self._views, view).exists() else None

    def publish_batch(self, view: BatchView) -> None:
        """Make a built batch view the one in use, in one transaction, and remove those before.

        Readers that have an old one open go on reading it; its space is free when the last of them has moved on.
        """
        self._note(BATCH, view)
        for path in self._views.glob("batch-*.mdb"):
            if path != batch_file(self._views, view):
                path.unlink(missing_ok=True)

    def note_realtime(self, state: RealtimeState) -> None:
        """Write how far the topic was followed."""
        self._note(REALTIME, state)

    def note_keeper(self, state: KeeperState) -> None:
        """Write the sign of life, and free the slots of readers that died."""
        if realtime_inode(self._views) != self._inode:
            raise ViewsLostError(f"{realtime_folder(self._views)} was removed or replaced; start the keeper again")
        self._realtime.reader_check()
        self._note(KEEPER, state)

    def close(self) -> None:
        """Close the realtime view."""
        with self._turn:
            self._realtime.close()

    def _put(self, transaction: Any, score: Score) -> bool:  # noqa: ANN401 - LMDB's types are not read here
        """Write one score unless the stored one wins."""
        key = score.kol_id.encode()
        stored = transaction.get(key)
        if stored is not None and self._standing.decode(stored).precedence() >= precedence(score):
            return False
        return bool(transaction.put(key, encode_score(score)))

    def _note(self, key: bytes, state: Struct) -> None:
        """Write one state value."""
        with self._turn, self._realtime.begin(write=True, db=self._state) as transaction:
            transaction.put(key, msgspec.json.encode(state))
