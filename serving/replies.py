"""From a request to the service that answers it, and from an answer to bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from serving.answers import Answer
from serving.bodies import MOST_BODY_BYTES
from serving.metrics import Metrics
from serving.problems import body_too_large
from serving.service import TrustService


class Reply(Response):
    """JSON that is encoded already."""

    media_type = "application/json"


@dataclass(frozen=True, slots=True)
class Desk:
    """What every route works with; kept in the app's state."""

    service: TrustService
    metrics: Metrics = field(default_factory=Metrics)

    def reply(self, answer: Struct, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
        """Encode an answer, counting it by layer if it is about trust."""
        if isinstance(answer, Answer):
            self.metrics.count_answer(answer)
        return Reply(msgspec.json.encode(answer), status, headers)


async def read_body(request: Request) -> bytes:
    """Read a request's body, and no more of it than may be.

    Raises:
        ProblemError: It is longer than 1 MiB.
    """
    told = request.headers.get("content-length", "0")
    if told.isdecimal() and int(told) > MOST_BODY_BYTES:
        raise body_too_large(f"the body has {told} bytes")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BODY_BYTES:
            raise body_too_large(f"the body has more than {MOST_BODY_BYTES} bytes")
    return bytes(body)


def desk_of(request: Request) -> Desk:
    """Return the desk of the app that got the request."""
    desk: Desk = request.app.state.desk
    return desk
