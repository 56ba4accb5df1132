"""The stream as a process of its own: one per home, live, and gone without a trace when told to stop."""

import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from cli.services import stream_is_ready
from features.score import decode_score
from registry.shelf import Shelf
from runtime.processes import Life, Process, start, stop, wait_ready
from runtime.settings import Settings, environment_of
from runtime.topics import SCORES, consumer
from tests.support_events import encoded_events, varied_values
from tests.support_model import tiny_shelf
from tests.support_stream import renew_topics, send

pytestmark = pytest.mark.jvm
COMMAND = [sys.executable, "-m", "cli", "stream", "run"]
READY_SECONDS = 180.0


def started(settings: Settings) -> Process:
    """Start the stream and wait until both queries run."""
    renew_topics(settings)
    tiny_shelf(Shelf.at(settings.shelf))
    process = start(settings, "stream", COMMAND, environment=environment_of(settings), life=Life.WITH_PARENT)
    wait_ready(lambda: stream_is_ready(settings, process), process, READY_SECONDS)
    return process


def test_one_stream_a_home_scores_live_and_stops_clean(kafka_settings: Settings) -> None:
    process = started(kafka_settings)
    second = subprocess.run(COMMAND, env=environment_of(kafka_settings), capture_output=True, timeout=60, check=False)
    assert second.returncode == 1
    assert b"another process runs 'stream'" in second.stderr

    send(kafka_settings, encoded_events(varied_values(50, seed=2), at=datetime.now(UTC)))
    with consumer(kafka_settings, SCORES) as reader:
        scores = [decode_score(next(reader).value) for _ in range(50)]
    assert len({score.kol_id for score in scores}) == 50

    assert stop(kafka_settings, "stream", grace_seconds=60)
    log = (kafka_settings.runs / "stream.log").read_text()
    assert "stream stopped" in log
    assert not re.search(r"Traceback|Exception|Warning|\bWARN|\bERROR", log), log
    assert process.pid
