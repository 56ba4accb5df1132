"""A producer in a process of its own: sends events until SIGTERM, and writes down which ones the broker acknowledged.

`python -m tests.support_flood FILE`. A process, because kafka-python leaves sockets behind when a broker dies.
"""

import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from features.event import Event, encode_event
from runtime.settings import load_settings
from runtime.topics import EVENTS, producer
from tests.support_events import event_of, varied_values

VALUES = varied_values(500, seed=5)
KOLS = 1_000
CHUNK = 20
PAUSE_SECONDS = 0.1
PATIENCE_MS = 900_000
"""An outage only delays what is sent, because the client repeats it for so long."""


def next_events(first: int, count: int = CHUNK) -> list[Event]:
    """Make some events from number `first` on, as of now."""
    now = datetime.now(UTC)
    numbers = range(first, first + count)
    return [event_of(VALUES[n % len(VALUES)], n, at=now, kol=f"test:k{n % KOLS}") for n in numbers]


def main(file: Path) -> None:
    """Send until SIGTERM; end when everything sent is acknowledged or given up."""
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    sent = 0
    options = {"delivery_timeout_ms": PATIENCE_MS, "request_timeout_ms": 10_000}
    with file.open("w", buffering=1) as noted, producer(load_settings(), **options) as client:

        def note(event_id: str, _: object) -> None:
            noted.write(f"{event_id}\n")

        while not told.wait(PAUSE_SECONDS):
            for event in next_events(sent):
                future = client.send(EVENTS, key=event.kol_id.encode(), value=encode_event(event))
                future.add_callback(note, event.event_id)
            sent += CHUNK
        client.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
