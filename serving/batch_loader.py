"""Keeps the batch view in step with `published.json`: a process of its own, of low priority, builds each new view."""

import gc
import multiprocessing
import os
from datetime import datetime, timedelta
from multiprocessing.process import BaseProcess

import lmdb
import structlog
from deltalake.exceptions import DeltaError

from runtime.failure import HandledError
from runtime.logs import configure_logs
from runtime.publication import PublicationError, Published, read_publication
from runtime.settings import Settings
from serving.batch_view import build_batch_view
from serving.views import BatchView, ViewWriter

RETRY_AFTER = timedelta(seconds=10)
"""Wait after a failed build; the table will hardly have mended itself sooner."""
NICENESS = 10
"""Priority of the build: below the API's workers, which must stay quick."""


class BatchLoader:
    """Watches what is published, has its view built, and makes it the one in use."""

    def __init__(self, settings: Settings, writer: ViewWriter) -> None:
        self._settings = settings
        self._writer = writer
        self._builder: BaseProcess | None = None
        self._building: BatchView | None = None
        self._failed: BatchView | None = None
        self._retry_at: datetime | None = None
        self.problem: str | None = None
        """Why the published view cannot be had, or None."""
        self.pending = False
        """Whether a published run is not in the view yet."""

    def step(self, now: datetime) -> None:
        """Go one step on: look what is published, start a build, or publish one that is done. Never waits."""
        wanted = self._published()
        if wanted is None:
            return
        view, published = wanted
        self.pending = self._writer.batch() != view
        if self._builder is not None:
            self._finish(now)
        elif self.pending and not self._waits(view, now):
            self._start(view, published)

    def close(self) -> None:
        """Stop a build that runs; it leaves nothing that a reader could see."""
        if self._builder is not None:
            self._builder.terminate()
            self._builder.join()

    def _published(self) -> tuple[BatchView, Published] | None:
        """Return what is published and the view it asks for; None when nothing is, or it cannot be read."""
        try:
            published = read_publication(self._settings)
            if published is not None:
                return BatchView.of(published), published
        except (PublicationError, OSError) as error:
            self._say(str(error))
            return None
        self.problem, self.pending = None, False
        return None

    def _waits(self, view: BatchView, now: datetime) -> bool:
        """Tell whether it is too early to try a failed view again."""
        return view == self._failed and self._retry_at is not None and now < self._retry_at

    def _start(self, view: BatchView, published: Published) -> None:
        """Start the builder: not a fork, because the keeper has threads and an open view."""
        builder = multiprocessing.get_context("spawn").Process(
            target=build, args=(self._settings, published), name="batch-view", daemon=True
        )
        builder.start()
        self._builder, self._building = builder, view

    def _finish(self, now: datetime) -> None:
        """Take over what the builder made, once it is done."""
        builder, view = self._builder, self._building
        if builder is None or view is None or builder.is_alive():
            return
        builder.join()
        self._builder = self._building = None
        if builder.exitcode == 0:
            self._writer.publish_batch(view)
            self.problem, self.pending = None, False
            structlog.get_logger().info("batch view in use", view=view.name, kols=view.kols, cutoff=str(view.cutoff))
            return
        self._failed, self._retry_at = view, now + RETRY_AFTER
        self._say(f"the view of run {view.run_id} could not be built (exit {builder.exitcode}); the log says why")

    def _say(self, problem: str) -> None:
        """Keep a problem for readers, and log it when it is new."""
        if problem != self.problem:
            structlog.get_logger().error("batch view is not in step", because=problem)
        self.problem = problem


def build(settings: Settings, published: Published) -> None:
    """Build one view; the body of the builder's process."""
    configure_logs(settings)
    os.nice(NICENESS)
    # Millions of short-lived rows without cycles: the collector would only look through them again and again.
    gc.disable()
    try:
        rows = build_batch_view(settings, published)
    except (HandledError, DeltaError, lmdb.Error, OSError) as error:
        structlog.get_logger().error("batch view refused", because=str(error))
        raise SystemExit(1) from error
    structlog.get_logger().info("batch view built", run_id=published.run_id, kols=rows)
