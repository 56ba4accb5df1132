"""Shadow traffic: what the version in Staging said of the events that Production scored, side by side."""

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
from deltalake import DeltaTable
from msgspec import Struct

from features.profile import RAW_NAMES, Profiles
from registry.drift import Drift, drift, levels
from registry.model import TrustModel
from runtime.lake import REALTIME_SCORES, SHADOW_SCORES, SOURCE, Table
from runtime.settings import Settings
from runtime.tables import open_table

EVENT = [name for name, _ in SOURCE]
"""Columns that say which event a score was made from."""
MOST_TIMED_ROWS = 20_000
REPEATS = 3


class ShadowTraffic(Struct, frozen=True):
    """A version's shadow scores beside Production's of the same events.

    Attributes:
        sha: The version's model.
        events: Events that both scored.
        kols: KOLs that they are of.
        kols_that_flip: KOLs whose newest of these events gets another risk level.
        since: When the first of the shadow scores was made (RFC 3339, UTC); empty without any.
        until: When the last was made.
        drift: How the scores differ, event by event; None without any.
    """

    sha: str
    events: int
    kols: int
    kols_that_flip: int
    since: str
    until: str
    drift: Drift | None


@dataclass(frozen=True, slots=True)
class Cost:
    """What scoring costs, microseconds a row on one core; the median of several runs over the same profiles."""

    rows: int
    production: float
    shadow: float


def shadow_traffic(settings: Settings, sha: str) -> ShadowTraffic:
    """Read what a version scored in the shadow so far; repeated scores of an event count once.

    Scores that Production made with another model in the same time are compared all the same: it is Production that
    the version would replace, whichever it was.
    """
    both = _both(settings, sha)
    if both.empty:
        return ShadowTraffic(sha, 0, 0, 0, "", "", None)
    new, old = (both[f"hundredths_{side}"].to_numpy(dtype=np.int32) for side in ("shadow", "production"))
    newest = both[levels(new) != levels(old)].index.intersection(both.groupby("kol_id")["event_time"].idxmax())
    since, until = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (both["timestamp"].min(), both["timestamp"].max()))
    return ShadowTraffic(sha, len(both), both["kol_id"].nunique(), len(newest), since, until, drift(new, old))


def shadowed_profiles(settings: Settings, sha: str) -> Profiles:
    """Return profiles that a version scored in the shadow, `MOST_TIMED_ROWS` at most; unknown facts are NaN."""
    rows = _scores(settings, SHADOW_SCORES, [*RAW_NAMES, "model_sha"], [("model_sha", "=", sha)]).head(MOST_TIMED_ROWS)
    return Profiles.of_columns({name: rows[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in RAW_NAMES})


def cost(production: TrustModel, shadow: TrustModel, profiles: Profiles) -> Cost:
    """Time both models on the same profiles, in turns."""
    runs = [(_seconds(production, profiles), _seconds(shadow, profiles)) for _ in range(REPEATS)]
    ours, theirs = (float(np.median(side)) * 1e6 / len(profiles) for side in zip(*runs, strict=True))
    return Cost(len(profiles), round(ours, 2), round(theirs, 2))


def _seconds(model: TrustModel, profiles: Profiles) -> float:
    started = time.perf_counter()
    model.score(profiles)
    return time.perf_counter() - started


def _both(settings: Settings, sha: str) -> pd.DataFrame:
    """Join the version's scores with Production's of the same events, one row an event."""
    columns = [*EVENT, "kol_id", "event_time", "hundredths", "timestamp"]
    shadow = _scores(settings, SHADOW_SCORES, columns, [("model_sha", "=", sha)]).drop_duplicates(EVENT)
    answered = _scores(settings, REALTIME_SCORES, [*EVENT, "hundredths"]).drop_duplicates(EVENT, keep="last")
    return shadow.merge(answered, on=EVENT, suffixes=("_shadow", "_production"))


def _scores(
    settings: Settings, table: Table, columns: list[str], only: list[tuple[str, str, str]] | None = None
) -> pd.DataFrame:
    """Read columns of a table; no rows when nothing has landed yet."""
    if not DeltaTable.is_deltatable(table.uri(settings)):
        return pd.DataFrame(columns=columns)
    return open_table(settings, table).to_pandas(columns=columns, filters=only)
