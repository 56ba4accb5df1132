"""For machines that look after the API: alive, ready, figures."""

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from serving.documents import answers_with
from serving.problems import RETRY_SECONDS
from serving.replies import Reply, desk_of
from serving.service import Readiness


def health_routes() -> APIRouter:
    """Return `/livez`, `/readyz` and `/metrics`."""
    routes = APIRouter(tags=["health"])

    @routes.get("/livez")
    async def livez() -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "alive"}

    @routes.get("/readyz", responses=answers_with(Readiness) | {503: answers_with(Readiness)[200]})
    async def readyz(request: Request) -> Reply:
        """Say whether answers can be given: 200 when ready or degraded, 503 when there is no model or no view."""
        desk = desk_of(request)
        readiness = desk.service.readiness()
        if readiness.status == "unavailable":
            return desk.reply(readiness, 503, {"Retry-After": str(RETRY_SECONDS)})
        return desk.reply(readiness)

    @routes.get("/metrics", response_class=Response)
    async def metrics(request: Request) -> Response:
        """Return the figures in Prometheus' text form."""
        desk = desk_of(request)
        return Response(desk.metrics.text(desk.service.readiness()), media_type=CONTENT_TYPE_LATEST)

    return routes
