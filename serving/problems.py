"""What went wrong, as RFC 9457 problem details: the field at fault, the reason in one word, and the remedy."""

from collections.abc import Mapping
from typing import Self

import msgspec
from msgspec import Struct
from starlette.responses import Response

from features.refusal import Refusal

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2
"""What `Retry-After` says: the keeper and the model's watcher look about once a second."""


class Problem(Struct, frozen=True, kw_only=True):
    """One error as it is sent.

    Attributes:
        type: URN of the kind of problem; the last part is the reason.
        title: The kind of problem in words, always the same for one reason of ours.
        status: HTTP status.
        detail: What was wrong this time and what was there.
        reason: One word for programs.
        field: The field at fault, or None.
        remedy: What to do.
    """

    type: str
    title: str
    status: int
    detail: str
    reason: str
    field: str | None = None
    remedy: str | None = None

    @classmethod
    def of(cls, status: int, reason: str, detail: str, *, field: str | None = None, remedy: str | None = None) -> Self:
        """Build a problem; its type and title follow from the reason."""
        return cls(
            type=f"urn:kol-trust:problem:{reason}",
            title=reason.replace("_", " ").capitalize(),
            status=status,
            detail=detail,
            reason=reason,
            field=field,
            remedy=remedy,
        )

    @classmethod
    def refused(cls, refusal: Refusal) -> Self:
        """Say why an input was refused; the last clause of a refusal is its remedy."""
        remedy = refusal.detail.rpartition("; ")[2]
        return cls.of(422, refusal.reason, refusal.detail, field=refusal.field, remedy=remedy)


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def no_model(problem: str | None) -> ProblemError:
    """Say that there is nothing to score with."""
    detail = problem or "no model is in Production"
    return ProblemError(Problem.of(503, "no_model", detail, remedy="./kol train, then ./kol model promote"))


def no_view(because: str) -> ProblemError:
    """Say that there is nothing to answer from yet."""
    return ProblemError(Problem.of(503, "no_view", because, remedy="wait, or see ./kol status for the view keeper"))


def bad_stored_value(because: str) -> ProblemError:
    """Say that a stored score is none, and is not shown."""
    return ProblemError(Problem.of(503, "bad_stored_value", because, remedy="publish again: ./kol batch run"))


def body_too_large(detail: str) -> ProblemError:
    """Say that more was sent than is read."""
    return ProblemError(
        Problem.of(413, "body_too_large", detail, remedy="send at most 1,048,576 bytes, in several requests")
    )


def unknown_kol(kol_id: str) -> Problem:
    """Say that no layer has a score of a KOL."""
    remedy = "send its profile to kol.events, or score it on demand: POST /predict/trust"
    return Problem.of(404, "unknown_kol", f"there is no score of {kol_id!r}", field="kol_id", remedy=remedy)


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Turn a problem into the response that carries it."""
    retry = {"Retry-After": str(RETRY_SECONDS)} if problem.status == 503 else {}
    return Response(
        msgspec.json.encode(problem), problem.status, headers={**retry, **(headers or {})}, media_type=MEDIA_TYPE
    )
