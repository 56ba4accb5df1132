"""Every formula: worked values, edges, and the checks that all 29 share."""

import math

import numpy as np
import pytest

from features import catalogue, formulas, logic
from features.catalogue import CATALOGUE, NAMES, Feature, code_words, contract_hash, feature_matrix
from features.profile import OPTIONAL_NAMES, RAW_NAMES, Profiles, missing_fields

Row = tuple[float | None, ...]
GOOD: Row = (100_000, 500, 2_000, 500_000, 2_000, 1, 1, 1, 1, 150)
POOR: Row = (50_000, 50_000, 10_000, 100, 30, 0, 0, 0, 0, 0)
BARE: Row = (10, 20, 30, None, 40, None, None, None, None, None)
ZERO: Row = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
LARGE: Row = (2**53, 2**53, 2**53, 2**53, 2**53, 1, 1, 1, 1, 2**53)
ROWS = (GOOD, POOR, BARE, ZERO, LARGE)

EXPECTED: dict[str, tuple[float, float]] = {
    "log_followers": (math.log(100_001), math.log(50_001)),
    "log_following": (math.log(501), math.log(50_001)),
    "log_posts": (math.log(2_001), math.log(10_001)),
    "log_favorites": (math.log(500_001), math.log(101)),
    "log_account_age": (math.log(2_001), math.log(31)),
    "followers_following_ratio_capped": (200, 1),
    "posts_per_day_capped": (1, 50),
    "engagement_rate": (250, 0.01),
    "activity_score": (251, 10_100 / 30),
    "profile_completeness": (1, 0),
    "followers_per_day": (50, 50_000 / 30),
    "posts_per_follower": (0.02, 0.2),
    "following_per_day": (0.25, 50_000 / 30),
    "high_activity_flag": (0, 1),
    "low_engagement_high_posts": (0, 1),
    "default_profile_score": (0, 1),
    "suspicious_growth": (0, 1),
    "fake_follower_indicator": (0, 1),
    "followers_tier": (3, 2),
    "account_age_tier": (3, 0),
    "activity_tier": (2, 3),
    "verified_followers_interaction": (math.log(100_001), 0),
    "profile_engagement_interaction": (250, 0),
    "age_activity_interaction": (math.log(2_001) * 251, math.log(31) * 10_100 / 30),
    "bio_length_norm": (0.75, 0),
    "has_bio": (1, 0),
    "has_url": (1, 0),
    "has_profile_image": (1, 0),
    "verified": (1, 0),
}


def one(name: str, **changes: float | None) -> float:
    """Return one feature of the good profile with some facts changed."""
    row = dict(zip(RAW_NAMES, GOOD, strict=True)) | changes
    return float(feature_matrix(Profiles.of_rows([tuple(row.values())]))[0, NAMES.index(name)])


def test_the_worked_table_covers_the_catalogue_in_model_order() -> None:
    assert tuple(EXPECTED) == NAMES
    assert len(NAMES) == 29


@pytest.mark.parametrize("name", EXPECTED)
def test_formula_gives_the_worked_values(name: str) -> None:
    column = feature_matrix(Profiles.of_rows([GOOD, POOR]))[:, NAMES.index(name)]
    assert column.tolist() == np.array(EXPECTED[name], dtype=np.float32).tolist()


@pytest.mark.parametrize("feature", CATALOGUE, ids=lambda feature: feature.name)
def test_feature_stays_in_its_range(feature: Feature) -> None:
    found = feature.formula(Profiles.of_rows(ROWS))
    known = found[~np.isnan(found)]
    assert (known >= feature.low).all()
    assert feature.high is None or (known <= feature.high).all()
    assert np.isfinite(known).all()


@pytest.mark.parametrize("feature", CATALOGUE, ids=lambda feature: feature.name)
def test_feature_says_its_unit_and_meaning(feature: Feature) -> None:
    assert feature.unit
    assert feature.meaning.endswith(".")


@pytest.mark.parametrize("row", ROWS)
def test_one_row_gives_the_same_bits_as_among_many(row: Row) -> None:
    many = Profiles.of_rows([*ROWS * 40, row])
    alone = feature_matrix(Profiles.of_rows([row]))
    assert feature_matrix(many)[-1:].tobytes() == alone.tobytes()


@pytest.mark.parametrize(
    ("name", "field", "at", "below"),
    [
        ("followers_tier", "followers_count", 1_000, 999),
        ("followers_tier", "followers_count", 10_000, 9_999),
        ("followers_tier", "followers_count", 100_000, 99_999),
        ("followers_tier", "followers_count", 1_000_000, 999_999),
        ("account_age_tier", "account_age_days", 365, 364),
        ("account_age_tier", "account_age_days", 730, 729),
        ("account_age_tier", "account_age_days", 1_825, 1_824),
        ("activity_tier", "post_count", 200, 199),
        ("activity_tier", "post_count", 2_000, 1_999),
        ("activity_tier", "post_count", 10_000, 9_999),
    ],
)
def test_a_tier_begins_at_its_bound(name: str, field: str, at: int, below: int) -> None:
    assert one(name, **{field: at}) == one(name, **{field: below}) + 1


@pytest.mark.parametrize(
    ("name", "at", "beyond"),
    [
        ("high_activity_flag", {"post_count": 40_000}, {"post_count": 40_001}),
        ("suspicious_growth", {"account_age_days": 180}, {"account_age_days": 179}),
        ("suspicious_growth", {"account_age_days": 100, "followers_count": 10_000}, {"account_age_days": 99}),
        ("fake_follower_indicator", {"favorites_count": 200}, {"favorites_count": 199}),
        ("fake_follower_indicator", {"favorites_count": 0, "followers_count": 10_000}, {"favorites_count": 0}),
        ("low_engagement_high_posts", {"favorites_count": 1_000}, {"favorites_count": 999}),
        ("low_engagement_high_posts", {"favorites_count": 0, "post_count": 1_000}, {"favorites_count": 0}),
    ],
)
def test_a_flag_is_raised_only_beyond_its_bound(name: str, at: dict[str, int], beyond: dict[str, int]) -> None:
    assert (one(name, **at), one(name, **beyond)) == (0, 1)


def test_an_unknown_fact_is_never_zero() -> None:
    known = dict(zip(NAMES, feature_matrix(Profiles.of_rows([BARE]))[0].tolist(), strict=True))
    unknown = {name for name, value in known.items() if math.isnan(value)}
    assert unknown == {
        "log_favorites", "engagement_rate", "activity_score", "profile_completeness", "default_profile_score",
        "verified_followers_interaction", "profile_engagement_interaction", "age_activity_interaction",
        "bio_length_norm", "has_bio", "has_url", "has_profile_image", "verified",
    }  # fmt: skip


def test_false_and_unknown_is_false_true_and_unknown_is_unknown() -> None:
    few_posts = one("low_engagement_high_posts", post_count=1_000, favorites_count=None)
    many_posts = one("low_engagement_high_posts", post_count=1_001, favorites_count=None)
    assert few_posts == 0
    assert math.isnan(many_posts)


def test_a_share_is_taken_among_the_known() -> None:
    assert one("profile_completeness", has_url=None, has_bio=0) == 0.5
    assert one("default_profile_score", has_bio=None, has_profile_image=0) == 1


def test_missing_names_unknown_optional_fields_but_not_has_url() -> None:
    assert missing_fields(BARE) == tuple(name for name in OPTIONAL_NAMES if name != "has_url")
    assert missing_fields((*GOOD[:-1], math.nan)) == ("bio_length",)


def test_columns_must_all_be_given() -> None:
    with pytest.raises(KeyError, match="bio_length"):
        Profiles.of_columns({name: [1.0] for name in RAW_NAMES if name != "bio_length"})


def test_the_contract_hash_sees_code_and_not_words(monkeypatch: pytest.MonkeyPatch) -> None:
    words = list(code_words(formulas))
    assert "log1p" in words
    assert not any('"""' in word or word.startswith("#") for word in words)
    before = contract_hash()
    monkeypatch.setattr(catalogue, "CATALOGUE", CATALOGUE[::-1])
    assert contract_hash() != before


def test_three_valued_logic_follows_its_truth_table() -> None:
    nan = math.nan
    left = np.array([0, 0, 0, 1, 1, 1, nan, nan, nan])
    right = np.array([0, 1, nan, 0, 1, nan, 0, 1, nan])
    assert logic.both(left, right) == pytest.approx([0, 0, 0, 0, 1, nan, 0, nan, nan], nan_ok=True)
