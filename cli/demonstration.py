"""The main job of the system, step by step: what `./kol demo` shows and `./kol bench demo` times."""

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from batch.completeness import wait_until_landed
from batch.nightly import run_nightly
from batch.plan import plan_run
from cli.output import Steps
from cli.services import STREAM, start_services, stop_services
from cli.setup import ensure_ready
from features.event import Event
from registry.accounts import Accounts, find_accounts
from registry.bundle import bundled_package
from registry.looks import record_look
from registry.register_trust_models import find_registered, release
from registry.replay import account_events
from registry.staging import register
from registry.tracking import Version
from registry.training import train
from registry.truth import Registry, open_registry
from runtime.broker import start_broker
from runtime.failure import HandledError
from runtime.processes import running
from runtime.sender import send_events
from runtime.session import end_session, spark_session
from runtime.settings import Settings
from runtime.topics import create_topics
from streaming.service import land_in

CHANGED_KOLS = 5
UNCHANGED_KOLS = 5
REALTIME_SECONDS = 60.0
"""How long a changed profile may take to be answered from the stream before the demo calls it a failure."""
POLL_SECONDS = 0.1

Answer = Mapping[str, Any]


class DemoError(HandledError):
    """The demo cannot run here now, or what it shows did not happen."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """What the demo found out.

    Attributes:
        dataset: Where the labelled accounts came from.
        synthetic: Whether they were generated.
        accounts: How many were replayed.
        model_version: Production.
        metrics: The model's figures on the locked holdout.
        answers: Merged answers of the API, some from the batch, some from the stream.
        address: The API.
        lake: Where the tables are.
        mlflow_command: What opens MLflow's pages on this registry.
        running: Whether everything was left running.
    """

    dataset: str
    synthetic: bool
    accounts: int
    model_version: str
    metrics: dict[str, float]
    answers: tuple[Answer, ...]
    address: str
    lake: str
    mlflow_command: str
    running: bool


def run_demo(settings: Settings, steps: Steps, *, keep: bool) -> Demonstration:
    """Run the main job end to end.

    Args:
        settings: Where everything goes.
        steps: Gets a line and a time per step.
        keep: Leave the services running.

    Raises:
        DemoError: A system runs here already, or a changed profile was not answered from the stream in time.
        HandledError: A step failed; the message says which and what to do.
    """
    if running(settings, STREAM):
        raise DemoError("a system runs here already; stop it first (./kol down), or give the demo another home")
    with steps.step("setup", "set up: jars and Java"):
        ensure_ready(settings)
    with steps.step("accounts", "read labelled accounts"):
        accounts = find_accounts(settings).load()
    if accounts.synthetic:
        steps.note("SYNTHETIC DATA: no labelled accounts were found, so generated ones are used")
    version, metrics = release_model(settings, steps, accounts)
    with services_end(settings, keep=keep):
        observed_at = datetime.now(UTC)
        events = list(account_events(accounts, observed_at=observed_at))
        replay(settings, steps, events)
        land_and_score(settings, steps)
        address = start_services(settings, steps).address
        answers = changed_answers(settings, steps, events, address)
    return Demonstration(
        dataset=accounts.origin,
        synthetic=accounts.synthetic,
        accounts=len(accounts),
        model_version=version,
        metrics=metrics,
        answers=tuple(answers),
        address=address,
        lake=settings.lake_uri,
        mlflow_command="./kol mlflow",
        running=keep,
    )


@contextmanager
def services_end(settings: Settings, *, keep: bool) -> Iterator[None]:
    """Stop the services at the end, also after a failure; with `keep` only after a failure."""
    finished = False
    try:
        yield
        finished = True
    finally:
        if not (keep and finished):
            stop_services(settings)


def release_model(settings: Settings, steps: Steps, accounts: Accounts) -> tuple[str, dict[str, float]]:
    """Train, log, register, validate and promote; a model of the same data and code is not trained again.

    Generated accounts teach nothing about real ones: with them the model that comes with the code is released.

    Returns:
        Production's name and its figures.
    """
    with steps.step("registry", "open the model registry"):
        registry = open_registry(settings)
    if accounts.synthetic:
        steps.note("the model is the one that comes with the code, trained on real accounts (registry/bundled)")
        with steps.step("register", "log to MLflow and register"):
            version = register(registry, bundled_package())
    else:
        version = find_registered(registry, accounts) or train_version(settings, steps, registry, accounts)
    with steps.step("promote", "validate and promote"):
        released = release(registry, version, accounts)
        package = registry.tracking.package(version)
    production = released.production
    return f"{production.name}-Production-v{production.version}", package.verified_manifest().metrics


def train_version(settings: Settings, steps: Steps, registry: Registry, accounts: Accounts) -> Version:
    """Train, log and register."""
    with steps.step("train", f"train on {len(accounts):,} accounts"):
        trained = train(accounts)
        record_look(settings.home, trained.package.sha, accounts.digest, trained.metrics)
    with steps.step("register", "log to MLflow and register"):
        return register(registry, trained.package)


def replay(settings: Settings, steps: Steps, events: Sequence[Event]) -> None:
    """Send the accounts as events."""
    if not settings.kafka_servers:
        with steps.step("broker", "start the Kafka broker"):
            start_broker(settings)
    with steps.step("replay", f"replay {len(events):,} accounts as KOL events"):
        create_topics(settings)
        send_events(settings, events, report=lambda _: None)


def land_and_score(settings: Settings, steps: Steps) -> None:
    """Land the events and run the nightly job, in one Spark session."""
    with steps.step("spark", "start Spark"):
        spark = spark_session(settings, "demo")
    try:
        with steps.step("land", "land the events in the lake"):
            land_in(spark, settings)
        now = datetime.now(UTC)
        with steps.step("nightly", "nightly run: 29 features and scores"):
            wait_until_landed(settings, now, seconds=0, report=lambda _: None)
            run_nightly(spark, settings, plan_run(settings, now, now=now))
    finally:
        end_session(spark)


def changed_answers(settings: Settings, steps: Steps, events: Sequence[Event], address: str) -> list[Answer]:
    """Send changed profiles of some KOLs and ask the API for them and for some others."""
    chosen = events[:: max(1, len(events) // (CHANGED_KOLS + UNCHANGED_KOLS))][: CHANGED_KOLS + UNCHANGED_KOLS]
    changes = [change(event, datetime.now(UTC)) for event in chosen[:CHANGED_KOLS]]
    with steps.step("change", f"send {len(changes)} changed profiles, wait for their new scores"):
        send_events(settings, changes, report=lambda _: None)
        answers = [wait_for_event(address, event) for event in changes]
    with steps.step("ask", "ask the API"):
        answers += [ask(address, event.kol_id) for event in chosen[CHANGED_KOLS:]]
    return answers


def change(event: Event, at: datetime) -> Event:
    """Return the KOL's profile as if it had followed thousands of accounts and posted in bursts since."""
    return msgspec.structs.replace(
        event,
        event_id=f"{event.event_id}:changed",
        event_time=max(at, event.event_time + timedelta(microseconds=1)),
        following_count=event.following_count * 3 + 5_000,
        post_count=event.post_count + 20_000,
    )


def wait_for_event(address: str, event: Event) -> Answer:
    """Ask until the answer is made from this event.

    Raises:
        DemoError: It was not within a minute.
    """
    deadline = time.monotonic() + REALTIME_SECONDS
    while (answer := ask(address, event.kol_id))["event_id"] != event.event_id:
        if time.monotonic() > deadline:
            raise DemoError(f"{event.kol_id} was not scored again in {REALTIME_SECONDS:.0f} s; see ./kol stream status")
        time.sleep(POLL_SECONDS)
    return answer


def ask(address: str, kol_id: str) -> Answer:
    """GET one merged answer."""
    url = f"{address}/kols/{urllib.parse.quote(kol_id, safe='')}/trust"
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own API's address
        found: Answer = json.load(response)
    return found
