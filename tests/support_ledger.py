"""Events that come twice, late and in conflict, and the ledger over what becomes of them."""

import shutil
from datetime import datetime, timedelta

import msgspec

from features.event import Event, encode_event
from runtime.broker import servers
from runtime.settings import Settings
from streaming.ledger import Ledger, Line, balance
from tests.conftest import NewSettings
from tests.support_events import event_of, varied_values

KOLS = 40


def mixed_events(count: int, *, at: datetime, seed: int) -> list[Event]:
    """Return events of a few KOLs: in order, late, repeated, and with an id that was used for another content."""
    found: list[Event] = []
    for number, values in enumerate(varied_values(count, seed)):
        when = at + timedelta(seconds=number if number % 5 else -number)
        event = event_of(values, number, at=when, kol=f"test:k{number % KOLS}")
        if number % 7 == 6:
            event = found[number // 2]
        elif number % 11 == 10:
            event = msgspec.structs.replace(event, event_id=found[number // 3].event_id)
        found.append(event)
    return found


def as_messages(events: list[Event]) -> list[tuple[bytes, bytes]]:
    """Return the messages of events, keyed as producers key them."""
    return [(event.kol_id.encode(), encode_event(event)) for event in events]


def balanced(settings: Settings, *, settled: bool = True) -> Ledger:
    """Balance the books of a home."""
    return balance(servers(settings), {}, settings.lake_uri, settled=settled, report=lambda *_: None)


def differing(ledger: Ledger) -> list[Line]:
    """Return the lines that do not balance."""
    return [line for line in ledger.lines if not line.balances]


def copied_home(settings: Settings, new_settings: NewSettings) -> Settings:
    """Return settings of a new home with a copy of the lake, the checkpoints and the models; same broker."""
    copy = new_settings(kafka_servers=settings.kafka_servers)
    for name in ("lake", "checkpoints", "models", "landing-index"):
        shutil.copytree(settings.home / name, copy.home / name)
    return copy
