"""Labelled accounts as KOL events, "as if observed now": event time now, everything else as of the crawl."""

from collections.abc import Iterator
from datetime import datetime

import numpy as np

from features.event import Event
from features.instant import format_instant
from features.profile import FLAG_NAMES
from registry.accounts import Accounts

PLATFORM = "twitter"


def account_events(accounts: Accounts, *, observed_at: datetime) -> Iterator[Event]:
    """Yield one event an account, in the order of the file."""
    columns = {name: facts(name, column) for name, column in accounts.profiles.columns().items()}
    stamp = format_instant(observed_at)
    for row, account in enumerate(accounts.ids.tolist()):
        fields = {name: column[row] for name, column in columns.items()}
        yield Event(
            event_id=f"replay:{stamp}:{account}",
            event_time=observed_at,
            kol_id=f"{PLATFORM}:{account}",
            **fields,  # type: ignore[arg-type]  # facts gives each field the kind it has
        )


def facts(name: str, column: np.typing.NDArray[np.float64]) -> list[int | bool | None]:
    """Turn a column of float64 back into counts or flags; NaN is unknown."""
    kind = bool if name in FLAG_NAMES else int
    return [None if np.isnan(value) else kind(value) for value in column.tolist()]
