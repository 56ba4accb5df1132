"""Two reference profiles that every model must put on the right side: the sign of the score is never in doubt."""

from features.event import Profile

TRUSTWORTHY = Profile(
    followers_count=100_000,
    following_count=500,
    post_count=2_000,
    favorites_count=500_000,
    account_age_days=2_000,
    verified=True,
    has_bio=True,
    has_url=True,
    has_profile_image=True,
    bio_length=150,
)
"""An old, verified, complete and liked account: scores above 80, `low`."""

UNTRUSTWORTHY = Profile(
    followers_count=50_000,
    following_count=50_000,
    post_count=10_000,
    favorites_count=100,
    account_age_days=30,
    verified=False,
    has_bio=False,
    has_url=False,
    has_profile_image=False,
    bio_length=0,
)
"""A month-old, empty, hyperactive follow-for-follow account: scores below 40, `high`."""

TRUSTWORTHY_ABOVE = 8_000
"""Hundredths that `TRUSTWORTHY` must exceed."""
UNTRUSTWORTHY_BELOW = 4_000
"""Hundredths that `UNTRUSTWORTHY` must stay below."""
