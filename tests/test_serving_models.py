"""The served model follows promotions and rollbacks, and stays the last good one when its successor is refused."""

import time

import pytest

from features.profile import Profiles
from features.reference import TRUSTWORTHY, TRUSTWORTHY_ABOVE, UNTRUSTWORTHY, UNTRUSTWORTHY_BELOW
from registry.shelf import ACTIVATIONS, Activation, Shelf
from runtime.clock import utc_now
from runtime.settings import Settings
from serving.models import ServedModel
from tests.support_model import tiny_package, tiny_shelf
from tests.support_views import NOON, a_score, from_batch


@pytest.fixture
def shelf(settings: Settings) -> Shelf:
    return Shelf.at(settings.shelf)


@pytest.fixture
def served(settings: Settings) -> ServedModel:
    return ServedModel(settings, utc_now)


def in_use(served: ServedModel) -> tuple[str, int] | None:
    served.refresh()
    if served.production is None:
        return None
    return served.production.activation.sha, served.production.activation.promotion_seq


def test_an_empty_shelf_serves_nothing_and_says_what_to_do(shelf: Shelf, served: ServedModel) -> None:
    assert in_use(served) is None
    served._seen = (0, 0, 0)
    served.refresh()
    assert "./kol train" in str(served.problem)


def test_promotion_and_rollback_are_followed(shelf: Shelf, served: ServedModel) -> None:
    first, second = tiny_shelf(shelf, 1, 1), tiny_shelf(shelf, 2, 2)
    assert in_use(served) == (second.sha, 2)
    shelf.activate(Activation(first.sha, 3, first.name, first.version, first.effective_from))
    assert in_use(served) == (first.sha, 3)


def test_a_broken_successor_leaves_the_model_in_use(shelf: Shelf, served: ServedModel) -> None:
    first = tiny_shelf(shelf, 1, 1)
    assert in_use(served) == (first.sha, 1)
    second = tiny_shelf(shelf, 2, 2)
    (shelf.folder / second.sha / "model.txt").write_bytes(b"tree")
    assert in_use(served) == (first.sha, 1)
    assert "is not the one its manifest names" in str(served.problem)


def test_activations_that_are_no_json_leave_the_model_in_use(shelf: Shelf, served: ServedModel) -> None:
    first = tiny_shelf(shelf)
    assert in_use(served) == (first.sha, 1)
    (shelf.folder / ACTIVATIONS).write_bytes(b"[{]")
    assert in_use(served) == (first.sha, 1)
    assert served.problem


def test_a_promotion_is_in_use_within_two_seconds(shelf: Shelf, served: ServedModel) -> None:
    tiny_shelf(shelf, 1, 1)
    tiny_package(2)
    served.start()
    second = tiny_shelf(shelf, 2, 2)
    deadline = time.monotonic() + 2
    while served.production is None or served.production.activation != second:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    served.stop()


def test_the_reference_profiles_land_on_their_sides(shelf: Shelf, served: ServedModel) -> None:
    tiny_shelf(shelf)
    served.refresh()
    assert served.production
    good, poor = served.production.verdicts(Profiles.of_rows([TRUSTWORTHY.values(), UNTRUSTWORTHY.values()]))
    assert (good.hundredths > TRUSTWORTHY_ABOVE, poor.hundredths < UNTRUSTWORTHY_BELOW) == (True, True)


def test_scoring_again_keeps_event_and_source(shelf: Shelf, served: ServedModel) -> None:
    activation = tiny_shelf(shelf, 1, 5)
    served.refresh()
    assert served.production
    old = from_batch(a_score())
    again = served.production.rescored([old], NOON)[0]
    assert (again.event_id, again.event_time, again.prediction_source) == (old.event_id, old.event_time, "batch")
    assert (again.model_sha, again.promotion_seq, again.missing) == (activation.sha, 5, old.missing)
    assert again.hundredths != old.hundredths
