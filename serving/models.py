"""The model that serves now: Production from the shelf, through promotions and rollbacks while requests run."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
import structlog

from features.instant import format_instant
from features.profile import Profiles
from features.score import Score, Verdict, result_fields
from registry.model import TrustModel, cached_model
from registry.shelf import ACTIVATIONS, Activation, Shelf
from runtime.clock import Clock
from runtime.failure import HandledError
from runtime.settings import Settings

LOOK_SECONDS = 0.5
"""Time between two looks at the activations; a promotion reaches every worker within this plus the loading time."""


@dataclass(frozen=True, slots=True)
class Production:
    """A loaded model and the activation that put it in use."""

    activation: Activation
    model: TrustModel
    loaded_at: datetime

    def verdicts(self, profiles: Profiles) -> list[Verdict]:
        """Score raw profiles."""
        scored = self.model.score(profiles)
        maker = self.activation.maker()
        return [
            Verdict(hundredths, scored.out_of_range(row), maker)
            for row, hundredths in enumerate(scored.hundredths.tolist())
        ]

    def rescored(self, scores: Sequence[Score], at: datetime) -> list[Score]:
        """Score again what another model had scored: same event and source, this model's result."""
        verdicts = self.verdicts(Profiles.of_rows([score.values() for score in scores]))
        return [_with_verdict(score, verdict, at) for score, verdict in zip(scores, verdicts, strict=True)]


class ServedModel:
    """Production as this process has it; the last good one stays when its successor is refused."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._shelf = Shelf(settings.shelf)
        self._engine = settings.engine
        self._clock = clock
        self._seen: tuple[int, int, int] | None = None
        self._stop = threading.Event()
        self._watch: threading.Thread | None = None
        self.production: Production | None = None
        """What scores now; None until something was promoted and loaded."""
        self.problem: str | None = None
        """Why the newest activation is not in use, or None."""

    def refresh(self) -> None:
        """Load Production anew if the activations changed; a model that is refused leaves the one before in use."""
        seen = self._signature()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._load(self._shelf.production())
        except (HandledError, msgspec.DecodeError, OSError) as error:
            self.problem = str(error)
            structlog.get_logger().error("model not in use", because=self.problem, kept=self._in_use())

    def start(self) -> None:
        """Follow the activations in a thread of its own, so that loading keeps no request waiting."""
        self.refresh()
        self._watch = threading.Thread(target=self._follow, name="served-model", daemon=True)
        self._watch.start()

    def stop(self) -> None:
        """Stop following."""
        self._stop.set()
        if self._watch is not None:
            self._watch.join()

    def _follow(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self.refresh()

    def _load(self, activation: Activation) -> None:
        """Put an activation in use, in one assignment that requests see whole."""
        model = cached_model(self._shelf.package(activation.sha), self._engine)
        self.production = Production(activation, model, self._clock())
        self.problem = None
        structlog.get_logger().info(
            "model in use", model_version=self._in_use(), promotion_seq=activation.promotion_seq
        )

    def _in_use(self) -> str | None:
        """Name the model in use."""
        return self.production.activation.maker().model_version if self.production else None

    def _signature(self) -> tuple[int, int, int] | None:
        """Return what changes whenever the activations are written; they are replaced, never written in place."""
        try:
            stat = (self._shelf.folder / ACTIVATIONS).stat()
        except FileNotFoundError:
            return None
        return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _with_verdict(score: Score, verdict: Verdict, at: datetime) -> Score:
    """Replace the result of a score."""
    return msgspec.structs.replace(
        score,
        **result_fields(verdict.hundredths),
        model_sha=verdict.maker.model_sha,
        promotion_seq=verdict.maker.promotion_seq,
        model_version=verdict.maker.model_version,
        out_of_range=verdict.out_of_range,
        timestamp=format_instant(at),
    )
