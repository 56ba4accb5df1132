"""The merged answer: what the nightly run and the stream know of a KOL."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from features.scrutiny import check_identifier
from serving.answers import Answer
from serving.bodies import read_kol_ids
from serving.documents import answers_with, debug_parameter, kol_ids_body
from serving.problems import Problem, ProblemError
from serving.replies import Reply, desk_of, read_body
from serving.service import Rows

KolId = Annotated[str, Path(description="Name of the KOL, percent-encoded, e.g. twitter:nasa.")]


def kol_routes() -> APIRouter:
    """Return the routes below `/kols`."""
    routes = APIRouter(prefix="/kols", tags=["trust of known KOLs"])

    @routes.post("/trust", responses=answers_with(Rows, 413, 422, 503), openapi_extra=kol_ids_body())
    async def many(request: Request) -> Reply:
        """Answer about up to 500 KOLs; the results are in the same order, each with its own status."""
        desk = desk_of(request)
        return desk.reply(desk.service.trust_many(read_kol_ids(await read_body(request))))

    # A path, because a KOL's name may hold a slash.
    @routes.get("/{kol_id:path}/trust", responses=answers_with(Answer, 404, 422, 503), openapi_extra=debug_parameter())
    async def one(request: Request, kol_id: KolId) -> Reply:
        """Answer about one KOL: the newer of the nightly and the streamed score, tagged with its source and age."""
        refusal = check_identifier("kol_id", kol_id)
        if refusal is not None:
            raise ProblemError(Problem.refused(refusal))
        desk = desk_of(request)
        return desk.reply(desk.service.trust(kol_id, explain=wants_merge(request)))

    return routes


def wants_merge(request: Request) -> bool:
    """Tell whether the merge is to be explained. Read by hand: FastAPI's way costs a fifth of the whole answer.

    Raises:
        ProblemError: `debug` has another value than `merge`.
    """
    if not request.scope["query_string"]:
        return False
    debug = request.query_params.get("debug")
    if debug not in {None, "merge"}:
        detail = f"debug is {debug!r}"
        raise ProblemError(
            Problem.of(422, "bad_parameter", detail, field="debug", remedy="send debug=merge or nothing")
        )
    return debug == "merge"
