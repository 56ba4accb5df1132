"""Scores on demand: raw profiles or ready-made features in, answers out."""

from fastapi import APIRouter, Request

from features.refusal import Refusal
from serving.answers import Answer
from serving.bodies import read_features, read_profile, read_profiles
from serving.documents import answers_with, features_body, profile_body, profiles_body
from serving.problems import Problem, ProblemError
from serving.replies import Reply, desk_of, read_body
from serving.service import ModelInfo, Rows


def predict_routes() -> APIRouter:
    """Return the routes below `/predict/trust`."""
    routes = APIRouter(prefix="/predict/trust", tags=["score on demand"])

    @routes.post("", responses=answers_with(Answer, 413, 422, 503), openapi_extra=profile_body())
    async def predict(request: Request) -> Reply:
        """Score one raw profile, as observed now. Unknown facts are null or absent."""
        named = read_profile(await read_body(request))
        if isinstance(named, Refusal):
            raise ProblemError(Problem.refused(named))
        desk = desk_of(request)
        return desk.reply(desk.service.predict(named))

    @routes.post("/batch", responses=answers_with(Rows, 413, 422, 503), openapi_extra=profiles_body())
    async def predict_batch(request: Request) -> Reply:
        """Score up to 1,000 raw profiles; the results are in the same order, bad profiles are errors of their own."""
        desk = desk_of(request)
        return desk.reply(desk.service.predict_many(read_profiles(await read_body(request))))

    @routes.post("/features", responses=answers_with(Answer, 413, 422, 503), openapi_extra=features_body())
    async def predict_features(request: Request) -> Reply:
        """Score ready-made features: all 29, by name, in any order; null is unknown."""
        desk = desk_of(request)
        return desk.reply(desk.service.predict_features(read_features(await read_body(request))))

    @routes.get("/model-info", responses=answers_with(ModelInfo, 503))
    async def model_info(request: Request) -> Reply:
        """Describe the model that is loaded now."""
        desk = desk_of(request)
        return desk.reply(desk.service.model_info())

    return routes
