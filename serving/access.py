"""Sees every request: counts and times it, and logs one line of it at debug level."""

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.metrics import Metrics

UNKNOWN_ROUTE = "-"
"""Label of paths that are no route: their own text would make a figure of every path a scanner tries."""


class AccessRecorder:
    """ASGI middleware; the class form of Starlette costs ten times as much a request."""

    def __init__(self, app: ASGIApp, metrics: Metrics, *, log_each: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._log_each = log_each

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        """Count the request and log it."""
        route = getattr(scope.get("route"), "path_format", UNKNOWN_ROUTE)
        self._metrics.count_request(route, scope["method"], status, seconds)
        if self._log_each:
            facts = {"method": scope["method"], "path": scope["path"], "status": status}
            structlog.get_logger().debug("request", **facts, ms=round(1000 * seconds, 3))
