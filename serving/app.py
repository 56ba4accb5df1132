"""The API, put together from its parts by a factory; a test builds its own from a reader, a model and a clock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from prometheus_client import disable_created_metrics
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Lifespan

from runtime.clock import Clock, utc_now
from runtime.logs import configure_logs
from runtime.settings import Settings
from serving.access import AccessRecorder
from serving.documents import DESCRIPTION, document
from serving.freshness import Limits
from serving.lmdb_reader import LmdbReader
from serving.models import ServedModel
from serving.problems import Problem, ProblemError, problem_response
from serving.replies import Desk
from serving.routes_health import health_routes
from serving.routes_kols import kol_routes
from serving.routes_predict import predict_routes
from serving.service import TrustService
from serving.views import ViewReader

VERSION = "0.1.0"
HTTP_REASONS = {404: "no_such_path", 405: "no_such_method"}


def create_app(settings: Settings, reader: ViewReader, served: ServedModel, clock: Clock = utc_now) -> FastAPI:
    """Build the API.

    Args:
        settings: Limits of freshness and the log level are read.
        reader: The views; closed when the app stops.
        served: The model; followed while the app runs.
        clock: Where "now" comes from.
    """
    app: FastAPI = FastAPIOffline(
        title="KOL Trust",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=_following(reader, served),
        separate_input_output_schemas=False,
    )
    app.state.desk = Desk(TrustService(reader, served, clock, Limits.of(settings)))
    app.openapi = lambda: document(app)  # type: ignore[method-assign]  # the way FastAPI documents it
    pages = list(app.router.routes)
    for routes in (kol_routes(), predict_routes(), health_routes()):
        app.include_router(routes)
    # Routes are tried in order, and the documentation was there first.
    app.router.routes[:] = [*app.router.routes[len(pages) :], *pages]
    log_each = settings.log_level == "debug"
    app.add_middleware(AccessRecorder, metrics=app.state.desk.metrics, log_each=log_each)
    app.exception_handler(ProblemError)(_problem)
    app.exception_handler(HTTPException)(_http_problem)
    app.exception_handler(RequestValidationError)(_validation_problem)
    app.exception_handler(Exception)(_crash)
    return app


def worker_app(settings: Settings) -> FastAPI:
    """Build the API of one worker process, with views and model of its own; called in the worker."""
    configure_logs(settings)
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the package's own gap
    return create_app(settings, LmdbReader.open(settings), ServedModel(settings, utc_now))


def _following(reader: ViewReader, served: ServedModel) -> Lifespan[FastAPI]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        served.start()
        yield
        served.stop()
        reader.close()

    return lifespan


async def _problem(_: Request, error: ProblemError) -> Response:
    """Send a problem of ours."""
    return problem_response(error.problem)


async def _http_problem(request: Request, error: HTTPException) -> Response:
    """Send what the framework refuses: a path or a method that does not exist."""
    reason = HTTP_REASONS.get(error.status_code, "http_error")
    detail = f"{error.detail}: {request.method} {request.url.path}"
    return problem_response(Problem.of(error.status_code, reason, detail, remedy="see /docs"), error.headers)


async def _validation_problem(_: Request, error: RequestValidationError) -> Response:
    """Send what is wrong with a path or query parameter."""
    first = error.errors()[0]
    field = str(first["loc"][-1])
    return problem_response(
        Problem.of(422, "bad_parameter", f"{field}: {first['msg']}", field=field, remedy="see /docs")
    )


async def _crash(_: Request, error: Exception) -> Response:
    """Send that something is broken here; what it was stands in the log only."""
    detail = f"the server failed ({type(error).__name__}); its log says where"
    return problem_response(Problem.of(500, "internal_error", detail))
