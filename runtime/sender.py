"""Sending events to `kol.events`, at full speed or at a rate, with every delivery acknowledged."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from features.event import Event, encode_event
from runtime.failure import HandledError
from runtime.settings import Settings
from runtime.topics import EVENTS, producer

FLUSH_SECONDS = 60
REPORT_EVERY = 500


class SendError(HandledError):
    """Some events were not acknowledged; the message says how many were, so that the rest can be sent again."""


def send_events(
    settings: Settings, events: Iterable[Event], *, per_second: float | None = None, report: Callable[[int], None]
) -> int:
    """Send events, keyed by KOL.

    Args:
        settings: Where Kafka is.
        events: What to send, in order.
        per_second: Rate; as fast as it goes when None.
        report: Called with the number sent so far, now and then.

    Returns:
        How many were acknowledged by the broker: all of them.

    Raises:
        SendError: The broker did not acknowledge all.
    """
    pending: list[Any] = []
    client = producer(settings)
    started = time.monotonic()
    try:
        for sent, event in enumerate(events):
            if per_second is not None:
                time.sleep(max(0.0, started + sent / per_second - time.monotonic()))
            pending.append(client.send(EVENTS, key=event.kol_id.encode(), value=encode_event(event)))
            if sent % REPORT_EVERY == 0:
                report(sent)
        client.flush(timeout=FLUSH_SECONDS)
    finally:
        client.close()
    report(len(pending))
    acknowledged = sum(bool(future.succeeded()) for future in pending)
    if acknowledged != len(pending):
        raise SendError(f"{acknowledged} of {len(pending)} events were acknowledged; send the rest again")
    return acknowledged
