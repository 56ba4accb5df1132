"""What the API does, without HTTP: ask the views and the model, and put answers together."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from features.catalogue import NAMES, Matrix
from features.profile import Profiles, missing_fields
from features.refusal import Refusal
from features.score import ScoreDomainError, Verdict
from runtime.clock import Clock
from serving.answers import Answer, MergeDebug
from serving.bodies import NamedProfile
from serving.freshness import Limits, late_layers
from serving.merge import Merged, merge
from serving.models import Production, ServedModel
from serving.problems import Problem, ProblemError, bad_stored_value, no_model, no_view, unknown_kol
from serving.views import Candidates, Layers, Reading, ViewGoneError, ViewReader

KEEPER_SILENT = timedelta(seconds=5)
"""Without a sign of life for longer, the keeper is dead; it gives two a second."""


class Row(Struct, frozen=True, omit_defaults=True):
    """One of many results: `ok` has an answer, `unknown` and `invalid` have an error."""

    status: Literal["ok", "unknown", "invalid"]
    kol_id: str | None = None
    answer: Answer | None = None
    error: Problem | None = None


class Rows(Struct, frozen=True):
    """Results in the order of the request, and how many there are of each status."""

    results: list[Row]
    counts: dict[str, int]

    @classmethod
    def of(cls, results: list[Row]) -> "Rows":
        """Count the results."""
        return cls(results, dict(Counter(row.status for row in results)))


class ModelInfo(Struct, frozen=True):
    """The model that is loaded at this moment in the worker that answers."""

    model_version: str
    name: str
    version: int
    stage: Literal["Production"]
    model_sha: str
    promotion_seq: int
    effective_from: str
    contract: str
    features: tuple[str, ...]
    metrics: dict[str, float]
    synthetic: bool
    engine: str
    loaded_at: datetime
    problem: str | None


class Readiness(Struct, frozen=True):
    """Whether the API can answer, and what is late.

    `unavailable` = it cannot; `degraded` = it can, but `because` says what the answers may lack.
    """

    status: Literal["ready", "degraded", "unavailable"]
    because: list[str]
    model_version: str | None
    layers: Layers


@dataclass(frozen=True, slots=True)
class TrustService:
    """Answers about trust; one per worker."""

    reader: ViewReader
    served: ServedModel
    clock: Clock
    limits: Limits

    def trust(self, kol_id: str, *, explain: bool) -> Answer:
        """Return the merged answer about one KOL.

        Raises:
            ProblemError: The KOL is unknown, or there is no model or no view.
        """
        reading, production = self._read([kol_id]), self._production()
        candidates = reading.candidates[0]
        merged = merge(candidates.batch, candidates.realtime)
        if merged is None:
            raise ProblemError(unknown_kol(kol_id))
        now = self.clock()
        current = self._current([merged], production, now)[0]
        freshness = reading.layers.freshness
        answer = Answer.stored(current.winner, freshness, self.limits, now=now)
        if not explain:
            return answer
        rescored = current.winner is not merged.winner
        return replace(answer, debug=MergeDebug.of(candidates, merged, freshness, rescored=rescored))

    def trust_many(self, asked: Sequence[str | Refusal]) -> Rows:
        """Return the merged answers about many KOLs, each with its own status, all from one read.

        Raises:
            ProblemError: There is no model or no view.
        """
        valid = [kol_id for kol_id in asked if isinstance(kol_id, str)]
        reading, production = self._read(valid), self._production()
        merged = dict(zip(valid, map(_merged, reading.candidates), strict=True))
        known = [found for found in merged.values() if found is not None]
        now = self.clock()
        current = self._current(known, production, now)
        freshness = reading.layers.freshness
        answers = {
            found.winner.kol_id: Answer.stored(found.winner, freshness, self.limits, now=now) for found in current
        }
        return Rows.of([_trust_row(kol_id, answers) for kol_id in asked])

    def predict(self, named: NamedProfile) -> Answer:
        """Score one profile on demand.

        Raises:
            ProblemError: There is no model.
        """
        return self._predicted([named])[0]

    def predict_many(self, given: Sequence[NamedProfile | Refusal]) -> Rows:
        """Score many profiles on demand, in one go; refused ones are rows of their own.

        Raises:
            ProblemError: There is no model.
        """
        answers = iter(self._predicted([named for named in given if isinstance(named, NamedProfile)]))
        return Rows.of([_prediction_row(named, answers) for named in given])

    def predict_features(self, matrix: Matrix) -> Answer:
        """Score ready-made features; there are no raw facts, so no profile and no ranges.

        Raises:
            ProblemError: There is no model.
        """
        production = self._production()
        hundredths = int(production.model.score_features(matrix)[0])
        unknown = np.isnan(matrix[0])
        missing = tuple(name for name, absent in zip(NAMES, unknown, strict=True) if absent and name != "has_url")
        verdict = Verdict(hundredths, (), production.activation.maker())
        return Answer.on_demand(verdict, None, missing, now=self.clock())

    def model_info(self) -> ModelInfo:
        """Describe the model that is loaded now.

        Raises:
            ProblemError: There is none.
        """
        production = self._production()
        activation, manifest = production.activation, production.model.manifest
        return ModelInfo(
            model_version=activation.maker().model_version,
            name=activation.name,
            version=activation.version,
            stage="Production",
            model_sha=activation.sha,
            promotion_seq=activation.promotion_seq,
            effective_from=activation.effective_from,
            contract=manifest.contract,
            features=manifest.features,
            metrics=manifest.metrics,
            synthetic=manifest.synthetic,
            engine=production.model.engine.name,
            loaded_at=production.loaded_at,
            problem=self.served.problem,
        )

    def readiness(self) -> Readiness:
        """Say whether answers can be given, and what they may lack."""
        layers, now = self._layers(), self.clock()
        production = self.served.production
        version = production.activation.maker().model_version if production else None
        missing = [name for name, absent in (("no_model", not version), ("no_view", not layers.can_answer)) if absent]
        because = [*missing, *late_layers(layers.freshness, self.limits, now), *_complaints(layers, now)]
        if self.served.problem and version:
            because.append(f"model: {self.served.problem}")
        status: Literal["ready", "degraded", "unavailable"] = "degraded" if because else "ready"
        return Readiness("unavailable" if missing else status, because, version, layers)

    def _production(self) -> Production:
        """Return the model in use, or end the request."""
        production = self.served.production
        if production is None:
            raise no_model(self.served.problem)
        return production

    def _read(self, kol_ids: Sequence[str]) -> Reading:
        """Read the candidates, or end the request."""
        try:
            reading = self.reader.read(kol_ids)
        except ScoreDomainError as error:
            raise bad_stored_value(str(error)) from error
        except ViewGoneError as error:
            raise no_view(str(error)) from error
        if not reading.layers.can_answer:
            raise no_view("the views are not there yet")
        return reading

    def _layers(self) -> Layers:
        """Read the state of the layers; views that are gone are no layers."""
        try:
            return self.reader.layers()
        except ViewGoneError:
            return Layers()

    def _current(self, merged: Sequence[Merged], production: Production, now: datetime) -> list[Merged]:
        """Score winners of another model than Production's again, all in one go."""
        old = [found.winner for found in merged if found.winner.model_sha != production.activation.sha]
        if not old:
            return list(merged)
        again = {score.kol_id: score for score in production.rescored(old, now)}
        return [replace(found, winner=again.get(found.winner.kol_id, found.winner)) for found in merged]

    def _predicted(self, named: Sequence[NamedProfile]) -> list[Answer]:
        """Score profiles on demand."""
        values = [one.profile.values() for one in named]
        verdicts = self._production().verdicts(Profiles.of_rows(values)) if named else []
        now = self.clock()
        return [
            Answer.on_demand(verdict, one, missing_fields(row), now=now)
            for verdict, one, row in zip(verdicts, named, values, strict=True)
        ]


def _merged(candidates: Candidates) -> Merged | None:
    return merge(candidates.batch, candidates.realtime)


def _trust_row(asked: str | Refusal, answers: dict[str, Answer]) -> Row:
    """Return the result for one id."""
    if isinstance(asked, Refusal):
        return Row("invalid", error=Problem.refused(asked))
    answer = answers.get(asked)
    return Row("ok", asked, answer) if answer else Row("unknown", asked, error=unknown_kol(asked))


def _prediction_row(named: NamedProfile | Refusal, answers: Iterator[Answer]) -> Row:
    """Return the result for one profile."""
    if isinstance(named, Refusal):
        return Row("invalid", error=Problem.refused(named))
    return Row("ok", named.kol_id, next(answers))


def _complaints(layers: Layers, now: datetime) -> list[str]:
    """Say what the keeper complains of, and whether it is silent."""
    complaints = []
    if layers.keeper is None or abs(now - layers.keeper.at) > KEEPER_SILENT:
        complaints.append("the view keeper is silent")
    if layers.realtime is not None and layers.realtime.problem:
        complaints.append(f"realtime: {layers.realtime.problem}")
    if layers.keeper is not None and layers.keeper.problem:
        complaints.append(f"batch: {layers.keeper.problem}")
    return complaints
