"""The facts of a complete profile only raise the score: what the recipe promises, asked of a trained model."""

import dataclasses

import numpy as np
import pytest

from features.profile import Profiles
from registry.model import unpack
from registry.training import train
from tests.support_registry import STRONG, package_of, small_accounts

FIELDS = ("has_bio", "has_url", "has_profile_image")


def with_field(name: str, value: float) -> Profiles:
    """Return the small accounts with one field set, and no engagement that it could be multiplied with."""
    profiles = small_accounts().profiles
    everywhere = {name: np.full(len(profiles), value), "favorites_count": np.zeros(len(profiles))}
    return Profiles(**{**profiles.columns(), **everywhere})


@pytest.mark.parametrize("name", FIELDS)
def test_filling_in_a_field_never_lowers_the_score_where_it_changes_bound_features_only(name: str) -> None:
    model = unpack(package_of(STRONG))
    without, filled = (model.score(with_field(name, value)).hundredths for value in (0.0, 1.0))
    assert (filled >= without).all()
    assert name == "has_url" or (filled > without).any()


def test_without_the_promise_some_profile_would_pay_for_it() -> None:
    free = unpack(train(small_accounts(), dataclasses.replace(STRONG, complete_is_better=False)).package)
    changes = [
        free.score(with_field(name, 1.0)).hundredths - free.score(with_field(name, 0.0)).hundredths for name in FIELDS
    ]
    assert min(change.min() for change in changes) < 0
