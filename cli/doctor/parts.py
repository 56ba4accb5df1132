"""Checks of the parts around our own code: jars, Kafka, MLflow, the API's port, the background services."""

import http.client
import urllib.request
from importlib import metadata
from urllib.parse import urlsplit

import psutil

from cli.doctor.finding import Check, Found
from cli.doctor.models import database
from cli.service_status import NOT_RUNNING, service_states
from cli.services import API
from runtime.broker import answers, broker_status
from runtime.jars import jars_folder, read_lock, verify_jars
from runtime.processes import free_port, running
from runtime.settings import Settings
from runtime.topics import topic_ids, topics

ASK_SECONDS = 5.0


def part_checks() -> tuple[Check, ...]:
    """Return the checks of the parts."""
    return (
        Check("jars", look_at_jars, "./kol setup"),
        Check("kafka", look_at_kafka, "./kol --set kafka_servers= up"),
        Check("mlflow", look_at_mlflow, "./kol --set mlflow_uri= model list"),
        Check("api port", look_at_port, "./kol --set api_port=0 up"),
        Check("services", look_at_services, "./kol up"),
    )


def look_at_jars(settings: Settings) -> Found:
    """Hash every jar anew and hold it against the lock."""
    folder = jars_folder(settings)
    if not any(folder.glob("*.jar")):
        return Found.note("none yet", "./kol setup")
    problems = verify_jars(settings)
    if problems:
        return Found.fail(f"{len(problems)} not as locked", cause="; ".join(problems), mend="./kol setup")
    return Found.ok(f"{len(read_lock())} jars in {folder}, each with the SHA-256 of the lock")


def look_at_kafka(settings: Settings) -> Found:
    """Ask Kafka for our topics: the configured one, or the embedded one if it runs."""
    address = settings.kafka_servers
    if not address:
        broker = broker_status(settings)
        if broker is None:
            return Found.note("the embedded broker is not running", "./kol up")
        address = broker.servers
        if not answers(address):
            cause = f"process {broker.pid} runs but does not answer; its log is {broker.log}"
            return Found.fail(f"embedded, {address}", cause=cause, mend="./kol down")
    there = topic_ids(settings)
    missing = [topic.name for topic in topics(settings) if topic.name not in there]
    if missing:
        return Found.note(f"{address} answers; no {', '.join(missing)} yet", "./kol up")
    return Found.ok(f"{address} answers; topics: {', '.join(there)}")


def look_at_mlflow(settings: Settings) -> Found:
    """Tell the client's version, and hold a server's against it."""
    client = metadata.version("mlflow")
    if not settings.mlflow_uri.startswith("http"):
        made = settings.mlflow_uri or database(settings).exists()
        return Found.ok(f"client {client}, {'database in use' if made else 'database not made yet'}")
    address = urlsplit(settings.mlflow_uri)
    shown = f"{address.scheme}://{address.hostname}:{address.port or ''}".rstrip(":")
    try:
        server = server_version(settings.mlflow_uri)
    except (OSError, http.client.HTTPException) as error:
        mend = f".venv/bin/mlflow server --workers 1 --port {address.port or 5000}"
        return Found.fail(f"client {client}, no server", cause=f"{shown} does not answer: {error}", mend=mend)
    if server.split(".")[:2] != client.split(".")[:2]:
        cause = f"client and server {shown} were not tested together"
        return Found.warn(f"client {client}, server {server}", cause=cause, mend=f"pip install mlflow=={client}")
    return Found.ok(f"client {client}, server {server} at {shown}")


def server_version(uri: str) -> str:
    """Ask an MLflow server for its version.

    Raises:
        OSError: It does not answer, or not with 200.
    """
    request = urllib.request.Request(f"{uri.rstrip('/')}/version")  # noqa: S310 - http or https, the caller looked
    with urllib.request.urlopen(request, timeout=ASK_SECONDS) as answer:  # noqa: S310 - same
        return str(answer.read(64).decode(errors="replace")).strip()


def look_at_port(settings: Settings) -> Found:
    """See whether the API has its port, or could have it."""
    if api := running(settings, API):
        return Found.ok(f"{api.port} is our API's (pid {api.pid})")
    wanted = settings.api_port
    if wanted == 0 or free_port(wanted) == wanted:
        return Found.ok(f"{wanted or 'any'} is free")
    holder = f"{wanted} is taken{holder_of(wanted)}"
    if "api_port" not in settings.model_fields_set:
        return Found.note(f"{holder}; ./kol up will take another one")
    return Found.fail(holder, cause="the settings insist on this port", mend="./kol --set api_port=0 up")


def holder_of(port: int) -> str:
    """Say who listens on a port, as far as the system tells us."""
    try:
        found = [one for one in psutil.net_connections("tcp") if one.laddr and one.laddr.port == port and one.pid]
        return f" by process {found[0].pid} ({psutil.Process(found[0].pid).name()})" if found else ""
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return ""


def look_at_services(settings: Settings) -> Found:
    """See whether every service that runs does its work."""
    there = [state for state in service_states(settings) if state.note != NOT_RUNNING]
    idle = [f"{state.name} ({state.note or 'no answer'})" for state in there if not state.ready]
    if idle:
        cause = "started, but not ready; the logs are in HOME/run"
        return Found.fail(f"not ready: {', '.join(idle)}", cause=cause, mend="./kol down && ./kol up")
    if not there:
        return Found.note("none is running", "./kol up")
    return Found.ok(f"ready: {', '.join(state.name for state in there)}")
