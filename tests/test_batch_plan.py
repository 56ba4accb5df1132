"""The parts of the nightly run that need no Spark."""

from datetime import UTC, date, datetime

import pytest

from batch.plan import last_midnight, score_date_of
from batch.report import run_id_of
from batch.results import Made, publish_run
from runtime.publication import PublicationError, location, read_publication
from runtime.settings import Settings
from tests.support_batch import plan_of

CUTOFF = datetime(2026, 1, 31, tzinfo=UTC)
MADE = Made(kols=3, rows_in=5, refused={}, tables={"events": 4, "trust_scores": 2, "kol_features": 2})


@pytest.mark.parametrize(
    ("cutoff", "day"),
    [
        (datetime(2026, 1, 31, tzinfo=UTC), date(2026, 1, 30)),
        (datetime(2026, 1, 31, 0, 0, 0, 1, tzinfo=UTC), date(2026, 1, 31)),
        (datetime(2026, 1, 31, 23, 59, tzinfo=UTC), date(2026, 1, 31)),
    ],
)
def test_a_cutoff_at_midnight_closes_the_day_before(cutoff: datetime, day: date) -> None:
    assert score_date_of(cutoff) == day


def test_the_default_cutoff_is_the_last_midnight_utc() -> None:
    assert last_midnight(datetime(2026, 1, 31, 17, 5, tzinfo=UTC)) == CUTOFF


def test_a_run_is_named_by_its_cutoff_to_the_microsecond() -> None:
    assert run_id_of(CUTOFF) != run_id_of(CUTOFF.replace(microsecond=1))


def test_a_run_is_published_with_the_versions_it_wrote(settings: Settings) -> None:
    assert publish_run(settings, plan_of(CUTOFF), MADE)
    published = read_publication(settings)
    assert published is not None
    assert (published.tables, published.kols, published.score_date) == (dict(MADE.tables), 3, "2026-01-30")


def test_an_older_cutoff_does_not_replace_a_newer_one(settings: Settings) -> None:
    publish_run(settings, plan_of(CUTOFF), MADE)
    assert not publish_run(settings, plan_of(datetime(2026, 1, 30, tzinfo=UTC)), MADE)
    published = read_publication(settings)
    assert published is not None
    assert published.cutoff.startswith("2026-01-31")


def test_nothing_is_published_before_the_first_run(settings: Settings) -> None:
    assert read_publication(settings) is None


def test_a_damaged_publication_is_named(settings: Settings) -> None:
    publish_run(settings, plan_of(CUTOFF), MADE)
    with open(location(settings), "a") as file:  # noqa: PTH123 - the location may be a URI elsewhere
        file.write("garbage")
    with pytest.raises(PublicationError, match=r"run \./kol batch run"):
        read_publication(settings)
