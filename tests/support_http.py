"""A plain HTTP client for tests, and an API that runs in a thread of the test."""

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI

from serving.server import bound


@dataclass(frozen=True, slots=True)
class Got:
    """One response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """The body, decoded."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Client:
    """Speaks to one server; a connection a request."""

    port: int

    def get(self, path: str) -> Got:
        """GET a path."""
        return self.send("GET", path)

    def post(self, path: str, body: object) -> Got:
        """POST bytes as they are, anything else as JSON."""
        return self.send("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode())

    def send(self, method: str, path: str, body: bytes | None = None) -> Got:
        """Send any request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            return Got(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()


@contextmanager
def running(app: FastAPI) -> Iterator[Client]:
    """Run an app in a thread on a free port."""
    listening = bound("127.0.0.1", 0)
    assert listening is not None
    listening.listen()
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield Client(listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
