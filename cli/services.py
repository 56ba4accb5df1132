"""The background services: started in order, each waited for by a real check, and stopped in reverse by their pids.

Broker, stream and API with its view keeper. Starting is safe to repeat: what runs already is only waited for.
"""

import http.client
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from cli.output import Steps
from features.instant import parse_instant
from runtime.broker import NAME as BROKER
from runtime.broker import start_broker, stop_broker
from runtime.failure import HandledError
from runtime.processes import Process, free_port, one_starter, running, start, stop, wait_ready
from runtime.settings import Settings, environment_of
from runtime.topics import create_topics
from serving.keeper_guard import NAME as KEEPER

if TYPE_CHECKING:  # with the shelf comes LightGBM, two seconds that './kol status' has no use for
    from registry.shelf import Activation

API = "api"
STREAM = "stream"
QUERIES = {"scoring", "landing"}
"""Names of the stream's queries: both must run before the stream is ready."""
API_SECONDS = 90.0
STREAM_SECONDS = 180.0
"""How long a service may take to be ready; on a busy machine Spark needs a minute."""
API_GRACE_SECONDS = 30.0
"""The API ends its requests (10 s) and then its keeper (8 s)."""
STREAM_GRACE_SECONDS = 45.0
"""The stream ends its micro-batches, then the JVM."""
FRESH = timedelta(seconds=10)
"""The stream writes its status every second; an older one is that of a stream that hangs."""
ASK_SECONDS = 5.0
NO_MODEL = "no stream: no model is in Production yet; run ./kol train, then ./kol model promote VERSION, then ./kol up"


class ServiceError(HandledError):
    """A service cannot be started as asked; the message says why and what to do."""

    @classmethod
    def port_taken(cls, port: int) -> Self:
        """Say that somebody else listens there."""
        return cls(f"port {port} is taken; stop what listens there, or take any free one: ./kol --set api_port=0 up")


@dataclass(frozen=True, slots=True)
class Services:
    """What runs after a start.

    Attributes:
        address: The API's address, without a slash at the end.
        streaming: Whether the stream runs; it needs a model in Production.
    """

    address: str
    streaming: bool


def start_services(settings: Settings, steps: Steps) -> Services:
    """Start broker, topics, stream, API and keeper, and wait until each is ready; one line per service.

    Stream and API start side by side. Without a model in Production there is no stream, and the API is only alive.

    Args:
        settings: Given on to the services by their environment.
        steps: Where the lines and the times go.

    Raises:
        ProcessError: A service died or did not become ready; with the end of its log. The others stay.
        ServiceError: The API's port was asked for and is taken.
        TopicsError: The configured Kafka does not answer.
    """
    if not settings.kafka_servers:
        with steps.step(BROKER, "Kafka broker"):
            start_broker(settings)
    with steps.step("topics", "topics"):
        create_topics(settings)
    production = production_of(settings)
    if production is None:
        steps.note(NO_MODEL)
    stream = launch_stream(settings) if production else None
    with steps.step(API, "API and view keeper"):
        address = start_api(settings, production)
    if stream:
        with steps.step(STREAM, "stream"):
            wait_ready(lambda: stream_is_ready(settings, stream), stream, STREAM_SECONDS)
    return Services(address, streaming=stream is not None)


def stop_services(settings: Settings) -> list[str]:
    """Stop all services in reverse order, each by its recorded pid; return the names of those that ran.

    A Kafka that the settings name is somebody else's and stays.
    """
    ran = [name for name in (API, KEEPER, STREAM, BROKER) if running(settings, name)]
    for name, grace_seconds in ((API, API_GRACE_SECONDS), (KEEPER, API_GRACE_SECONDS), (STREAM, STREAM_GRACE_SECONDS)):
        stop_one(settings, name, grace_seconds)
    stop_broker(settings)
    return ran


def stop_one(settings: Settings, name: str, grace_seconds: float) -> bool:
    """Stop one service; True when it ran."""
    with one_starter(settings, name):
        return stop(settings, name, grace_seconds)


def production_of(settings: Settings) -> "Activation | None":
    """Return what is in Production according to the shelf, or None before the first promotion."""
    from registry.shelf import Shelf

    activations = Shelf.at(settings.shelf).activations()
    return activations[-1] if activations else None


def launch_stream(settings: Settings) -> Process:
    """Start the stream if it does not run; it is not ready yet."""
    with one_starter(settings, STREAM):
        command = [sys.executable, "-m", "cli", "stream", "run"]
        return running(settings, STREAM) or start(settings, STREAM, command, environment=environment_of(settings))


def start_api(settings: Settings, production: "Activation | None") -> str:
    """Start the API if it does not run, wait until it is ready, and return its address.

    Without a model it can answer nothing about trust; then being alive is enough.
    """
    with one_starter(settings, API):
        process = running(settings, API) or _launch_api(settings)
    question = "/readyz" if production else "/livez"
    wait_ready(lambda: ask(settings, process, question).status == http.client.OK, process, API_SECONDS)
    return f"http://{reachable(settings.api_host)}:{process.port}"


def _launch_api(settings: Settings) -> Process:
    port = api_port(settings)
    environment = environment_of(settings) | {"KOL_API_PORT": str(port)}
    command = [sys.executable, "-m", "serving.server"]
    return start(settings, API, command, port=port, environment=environment)


def api_port(settings: Settings) -> int:
    """Choose the API's port: the one of the settings, or a free one when that is taken and nobody asked for it.

    Raises:
        ServiceError: It was asked for and is taken.
    """
    port = free_port(settings.api_port or None)
    if settings.api_port not in {0, port} and "api_port" in settings.model_fields_set:
        raise ServiceError.port_taken(settings.api_port)
    return port


def reachable(host: str) -> str:
    """Return the address at which this machine reaches a server that listens on `host`, as it stands in a URL."""
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - "everywhere" is what is translated
    return f"[{local}]" if ":" in local else local


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server said to a GET; status 0 = nothing."""

    status: int
    body: bytes


def ask(settings: Settings, api: Process, path: str) -> Reply:
    """GET a path of the API."""
    connection = http.client.HTTPConnection(reachable(settings.api_host), api.port, timeout=ASK_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return Reply(response.status, response.read())
    except (OSError, http.client.HTTPException):
        return Reply(0, b"")
    finally:
        connection.close()


def stream_is_ready(settings: Settings, process: Process, now: datetime | None = None) -> bool:
    """Tell whether both queries run: the stream's status is its own, fresh, and names both."""
    from streaming.status import read_status

    status = read_status(settings)
    if status is None or {query.name for query in status.queries} != QUERIES:
        return False
    written = parse_instant(status.at)
    return written >= parse_instant(process.started_at) and (now or datetime.now(UTC)) - written < FRESH
