"""The arm of a KOL: known places, the share, its growth, and experiments that know nothing of each other."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.arms import PLACES, arm_of, place_of

KOLS = [f"twitter:{number}" for number in range(20_000)]
SIGMAS = 4
"""How far a count of these fixed ids may lie from what is expected of it."""
NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
SHARES = st.floats(0, 1)


def staged(experiment: str, share: float) -> set[str]:
    """Return the KOLs that Staging answers for."""
    return {kol for kol in KOLS if arm_of(kol, experiment, share) == "staging"}


def is_about(count: int, chance: float) -> bool:
    """Tell whether a count among all KOLs is what a chance gives."""
    return abs(count - len(KOLS) * chance) <= SIGMAS * math.sqrt(len(KOLS) * chance * (1 - chance))


@pytest.mark.parametrize(
    ("kol_id", "experiment", "place"),
    [
        ("twitter:nasa", "autumn", 0xCB19C50EE13A2533),
        ("twitter:nasa", "spring", 0xF9B0BC8C3A16447E),
        ("é𐍈", "autumn", 0x3DCC7A37E62378F3),
        ("b", "a", 0x7D8680654F783427),
        ("ab", "", 0x1C477B7B71D464B0),
        ("", "ab", 0x3EBB0A3BA9EC6109),
    ],
)
def test_a_place_is_what_b2sum_says_in_every_process_and_version(kol_id: str, experiment: str, place: int) -> None:
    assert place_of(kol_id, experiment) == place


def test_staging_answers_for_the_places_below_its_share_to_the_last_bit_of_it() -> None:
    places = {kol: place_of(kol, "autumn") for kol in KOLS}
    exact = {kol: place / PLACES for kol, place in places.items() if place % 2048 == 0}
    assert exact
    for kol, share in exact.items():
        assert arm_of(kol, "autumn", share) == "production"
        assert arm_of(kol, "autumn", math.nextafter(share, 1)) == "staging"


@pytest.mark.parametrize("share", [0.001, 0.05, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("experiment", ["autumn", "spring", ""])
def test_staging_answers_for_its_share_of_the_kols(experiment: str, share: float) -> None:
    assert is_about(len(staged(experiment, share)), share)


@given(NAMES, NAMES)
def test_nobody_is_staged_at_zero_and_everybody_at_one(kol_id: str, experiment: str) -> None:
    assert arm_of(kol_id, experiment, 0) == "production"
    assert arm_of(kol_id, experiment, 1) == "staging"


@given(NAMES, NAMES, SHARES, SHARES)
def test_a_larger_share_moves_nobody_back_to_production(kol_id: str, experiment: str, one: float, two: float) -> None:
    if arm_of(kol_id, experiment, min(one, two)) == "staging":
        assert arm_of(kol_id, experiment, max(one, two)) == "staging"


def test_a_growing_share_only_adds_kols() -> None:
    grown = [staged("autumn", share) for share in (0, 0.1, 0.2, 0.5, 0.9, 1)]
    assert all(smaller < larger for smaller, larger in itertools.pairwise(grown))


@pytest.mark.parametrize("other", ["spring", "autumn2", "autum", "Autumn"])
@pytest.mark.parametrize(("share", "others"), [(0.5, 0.5), (0.1, 0.5), (0.3, 0.3)])
def test_the_arm_in_one_experiment_says_nothing_of_the_arm_in_another(other: str, share: float, others: float) -> None:
    both = staged("autumn", share) & staged(other, others)
    assert is_about(len(both), share * others)


@pytest.mark.parametrize("share", [-0.01, 1.01, 10, math.nan, math.inf, -math.inf])
def test_a_share_that_is_none_is_refused_and_named(share: float) -> None:
    with pytest.raises(ValueError, match=f"share of Staging is {share}; it must be between 0"):
        arm_of("twitter:nasa", "autumn", share)
