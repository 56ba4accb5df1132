"""The contract of the views: what a reader and a writer promise, whatever store is behind them.

Two views hold encoded scores by KOL: the batch view, made whole for each published run and never changed, and the
realtime view, in which the newest score of a KOL wins. One read sees one generation of both.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, Self

from msgspec import Struct

from features.instant import parse_instant
from features.score import Score
from runtime.failure import HandledError
from runtime.lake import TRUST_SCORES
from runtime.publication import PublicationError, Published
from serving.freshness import Freshness

Place = tuple[str, int]
"""Topic id and partition: where an offset counts."""


class ViewGoneError(HandledError):
    """The batch view in use cannot be opened; the keeper makes it again."""


class ViewsLostError(HandledError):
    """The views were removed or replaced while their keeper ran; a new keeper makes them again."""


class BatchView(Struct, frozen=True):
    """Which published run a batch view holds.

    Attributes:
        run_id: The nightly run.
        version: Version of `trust_scores` that was published.
        cutoff: Events before it are in.
        published_at: When the run was published.
        kols: KOLs with a score in it.
    """

    run_id: str
    version: int
    cutoff: datetime
    published_at: datetime
    kols: int

    @classmethod
    def of(cls, published: Published) -> Self:
        """Describe the view that a publication asks for.

        Raises:
            PublicationError: It names no version of `trust_scores`, or its times are none.
        """
        try:
            return cls(
                run_id=published.run_id,
                version=published.tables[TRUST_SCORES.name],
                cutoff=parse_instant(published.cutoff),
                published_at=parse_instant(published.published_at),
                kols=published.kols,
            )
        except (KeyError, ValueError) as error:
            raise PublicationError(
                f"run {published.run_id} is published without {error}; run ./kol batch run"
            ) from error

    @property
    def name(self) -> str:
        """Name of the view; another version of the same run is another view."""
        return f"batch-{self.run_id}-v{self.version}"


class RealtimeState(Struct, frozen=True):
    """How far the keeper has followed `kol.scores`.

    Attributes:
        polled_at: When it last heard from the broker, or None.
        caught_up_at: Everything appended before this is in the view; None before the first time.
        lag: Scores that wait in the topic.
        refused: Messages since the keeper's start that were no scores.
        problem: Why it cannot follow at present, or None.
    """

    polled_at: datetime | None = None
    caught_up_at: datetime | None = None
    lag: int = 0
    refused: int = 0
    problem: str | None = None


class KeeperState(Struct, frozen=True):
    """The keeper's sign of life.

    Attributes:
        at: When it last went round.
        pending: The view of a published run is not there yet.
        problem: Why the batch view could not be made, or None.
    """

    at: datetime
    pending: bool
    problem: str | None = None


class Layers(Struct, frozen=True):
    """The state of both layers as the keeper last wrote it; None = never."""

    batch: BatchView | None = None
    realtime: RealtimeState | None = None
    keeper: KeeperState | None = None

    @property
    def can_answer(self) -> bool:
        """Whether a KOL that is in no view is unknown, rather than not loaded yet."""
        if self.batch is not None:
            return True
        caught_up = self.realtime is not None and self.realtime.caught_up_at is not None
        return caught_up and self.keeper is not None and not self.keeper.pending

    @property
    def freshness(self) -> Freshness:
        """What answers need of it."""
        realtime = self.realtime or RealtimeState()
        cutoff = self.batch.cutoff if self.batch else None
        return Freshness(cutoff, realtime.caught_up_at, realtime.polled_at, realtime.lag)


class Candidates(Struct, frozen=True):
    """The two scores of one KOL; None = that layer has none."""

    batch: Score | None
    realtime: Score | None


class Reading(Struct, frozen=True):
    """One read: candidates in the order asked for, and the layers at that moment."""

    candidates: list[Candidates]
    layers: Layers


class ViewReader(Protocol):
    """Reads the views; one per API worker, opened in the worker."""

    def read(self, kol_ids: Sequence[str]) -> Reading:
        """Read both candidates of some KOLs, all from one generation of both views.

        Raises:
            ScoreDomainError: A stored score is none; it is never shown.
            ViewGoneError: The batch view in use is named but not there.
        """

    def layers(self) -> Layers:
        """Read only the state of the layers; all None when there are no views yet."""

    def close(self) -> None:
        """Let go of the store."""


class ViewWriter(Protocol):
    """Writes the views; one per system, in the keeper."""

    def apply(self, scores: Iterable[Score], offsets: Mapping[Place, int]) -> int:
        """Put scores into the realtime view, newest wins, and note the next offsets, in one atomic step.

        Returns:
            How many KOLs have a newer score than before.
        """

    def offsets(self, topic_id: str) -> dict[int, int]:
        """Return the next offset per partition of a topic; empty for one that was never read."""

    def batch(self) -> BatchView | None:
        """Return the batch view in use, or None when there is none or it is lost."""

    def publish_batch(self, view: BatchView) -> None:
        """Make a batch view that was built the one in use, in one atomic step, and remove those before."""

    def note_realtime(self, state: RealtimeState) -> None:
        """Write how far the topic was followed."""

    def note_keeper(self, state: KeeperState) -> None:
        """Write the sign of life.

        Raises:
            ViewsLostError: Somebody removed the views.
        """

    def close(self) -> None:
        """Let go of the store."""
