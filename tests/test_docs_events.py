"""The door for other teams: the published schema is the code's, and the example producer gets through."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import jsonschema
import pytest

from features.event import Event, decode_event
from features.schema import event_schema
from runtime.settings import ROOT, Settings
from runtime.topics import EVENTS, consumer, create_topics, end_offsets

SCHEMA = ROOT / "docs" / "schemas" / "kol-event-v1.json"
PRODUCER = ROOT / "docs" / "examples" / "producer.py"


def test_the_published_schema_is_that_of_the_code() -> None:
    assert json.loads(SCHEMA.read_text()) == event_schema(), "write it anew: ./kol events schema > docs/schemas/..."


def test_the_published_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(SCHEMA.read_text()))


def test_the_example_is_short_and_uses_nothing_of_ours() -> None:
    text = PRODUCER.read_text()
    assert len([line for line in text.splitlines() if line]) <= 15
    assert not [room for room in ("features", "runtime") if f"from {room}" in text]


@pytest.mark.jvm
def test_the_event_of_the_example_producer_is_accepted(kafka_settings: Settings) -> None:
    create_topics(kafka_settings)
    before = end_offsets(kafka_settings, EVENTS)
    subprocess.run([sys.executable, str(PRODUCER), kafka_settings.kafka_servers], check=True, timeout=60)
    with consumer(kafka_settings, EVENTS, before, consumer_timeout_ms=10_000) as reader:
        message = next(reader)
    event = decode_event(message.value, seen_at=datetime.now(UTC))
    jsonschema.validate(json.loads(message.value), event_schema())
    assert isinstance(event, Event), event
    assert (event.kol_id.encode(), event.verified, event.ignored_fields) == (message.key, None, 0)
