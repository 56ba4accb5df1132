"""What a nightly run works on, fixed before it starts."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from batch.report import read_report, run_id_of
from registry.shelf import Activation, Shelf
from runtime.lake import EVENTS
from runtime.settings import Settings
from runtime.tables import newest_version


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run works on, fixed before it starts.

    Attributes:
        cutoff: Events observed before it are taken in.
        score_date: The last day the cutoff includes; partition of the batch tables.
        log_version: Version of the raw log that is read, pinned by the first run of the cutoff.
        activation: The model in Production.
        started_at: When the run began; also the time of its scores.
    """

    cutoff: datetime
    score_date: date
    log_version: int
    activation: Activation
    started_at: datetime

    @property
    def run_id(self) -> str:
        """Name of the run."""
        return run_id_of(self.cutoff)


def plan_run(settings: Settings, cutoff: datetime, *, now: datetime) -> Plan:
    """Fix what a run works on; a rerun of a cutoff gets the raw log as the first run saw it.

    Raises:
        ShelfError: No model is in Production.
        ModelRefusedError: It was made for another feature contract, or is broken; nothing was started.
    """
    shelf = Shelf.at(settings.shelf)
    activation = shelf.production()
    shelf.package(activation.sha).verified_manifest()
    earlier = read_report(settings, run_id_of(cutoff))
    version = earlier.tables[EVENTS.name] if earlier else newest_version(settings, EVENTS)
    return Plan(cutoff, score_date_of(cutoff), version, activation, now)


def last_midnight(now: datetime) -> datetime:
    """Return the start of the present day in UTC, the default cutoff."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def score_date_of(cutoff: datetime) -> date:
    """Return the last day that a cutoff includes: midnight closes the day before."""
    return (cutoff.astimezone(UTC) - timedelta(microseconds=1)).date()
