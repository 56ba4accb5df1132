"""The 29 formulas, written once: float64 columns of raw profiles in, one float64 column out.

NaN is unknown, in and out: a value that depends on an unknown one is unknown, never zero.
The name of a function is the name of its feature; order, units and ranges stand in `features.catalogue`.
"""

import numpy as np

from features.logic import both, flag, negated, share_of_known, tier
from features.profile import Column, Profiles


def at_least_one(count: Column) -> Column:
    """The count, or 1 where it is 0, so that it can divide."""
    return np.maximum(count, 1.0)


def posts_per_day(p: Profiles) -> Column:
    """Posts per day of account life; an account of age 0 counts as one day old."""
    return p.post_count / at_least_one(p.account_age_days)


def log_followers(p: Profiles) -> Column:
    """ln(1 + followers)."""
    return np.log1p(p.followers_count)


def log_following(p: Profiles) -> Column:
    """ln(1 + accounts followed)."""
    return np.log1p(p.following_count)


def log_posts(p: Profiles) -> Column:
    """ln(1 + posts)."""
    return np.log1p(p.post_count)


def log_favorites(p: Profiles) -> Column:
    """ln(1 + likes given); unknown when they are."""
    return np.log1p(p.favorites_count)


def log_account_age(p: Profiles) -> Column:
    """ln(1 + age in days)."""
    return np.log1p(p.account_age_days)


def followers_following_ratio_capped(p: Profiles) -> Column:
    """Followers per followed account, at most 10,000; who follows nobody counts as following one."""
    return np.minimum(p.followers_count / at_least_one(p.following_count), 10_000.0)


def posts_per_day_capped(p: Profiles) -> Column:
    """Posts per day, at most 50."""
    return np.minimum(posts_per_day(p), 50.0)


def engagement_rate(p: Profiles) -> Column:
    """Likes given per post; an account without posts counts as having one."""
    return p.favorites_count / at_least_one(p.post_count)


def activity_score(p: Profiles) -> Column:
    """Posts and likes given per day."""
    return (p.post_count + p.favorites_count) / at_least_one(p.account_age_days)


def profile_completeness(p: Profiles) -> Column:
    """Share of bio, URL and profile image that are there, among the known of the three."""
    return share_of_known(p.has_bio, p.has_url, p.has_profile_image)


def followers_per_day(p: Profiles) -> Column:
    """Followers gained per day of account life."""
    return p.followers_count / at_least_one(p.account_age_days)


def posts_per_follower(p: Profiles) -> Column:
    """Posts per follower; an account without followers counts as having one."""
    return p.post_count / at_least_one(p.followers_count)


def following_per_day(p: Profiles) -> Column:
    """Accounts followed per day of account life."""
    return p.following_count / at_least_one(p.account_age_days)


def high_activity_flag(p: Profiles) -> Column:
    """More than 20 posts a day."""
    rate = posts_per_day(p)
    return flag(rate > 20, rate)


def low_engagement_high_posts(p: Profiles) -> Column:
    """More than 1,000 posts and fewer than one like given for two posts."""
    rate = engagement_rate(p)
    return both(flag(p.post_count > 1000, p.post_count), flag(rate < 0.5, rate))


def default_profile_score(p: Profiles) -> Column:
    """Share of {no bio, no profile image} that holds, among the known of the two."""
    return share_of_known(negated(p.has_bio), negated(p.has_profile_image))


def suspicious_growth(p: Profiles) -> Column:
    """An account younger than 180 days that gains more than 100 followers a day."""
    growth = followers_per_day(p)
    return both(flag(growth > 100, growth), flag(p.account_age_days < 180, p.account_age_days))


def fake_follower_indicator(p: Profiles) -> Column:
    """More than 10,000 followers and fewer than one like given for ten posts."""
    rate = engagement_rate(p)
    return both(flag(p.followers_count > 10_000, p.followers_count), flag(rate < 0.1, rate))


def followers_tier(p: Profiles) -> Column:
    """0 nano (< 1,000 followers), 1 micro (< 10,000), 2 mid (< 100,000), 3 macro (< 1,000,000), 4 mega."""
    return tier(p.followers_count, 1_000, 10_000, 100_000, 1_000_000)


def account_age_tier(p: Profiles) -> Column:
    """0 (< 1 year of 365 days), 1 (< 2 years), 2 (< 5 years), 3 older."""
    return tier(p.account_age_days, 365, 730, 1825)


def activity_tier(p: Profiles) -> Column:
    """0 (< 0.1 posts a day), 1 (< 1), 2 (< 5), 3 more."""
    return tier(posts_per_day(p), 0.1, 1, 5)


def verified_followers_interaction(p: Profiles) -> Column:
    """ln(1 + followers) of a verified account, 0 of any other; unknown when `verified` is."""
    return p.verified * log_followers(p)


def profile_engagement_interaction(p: Profiles) -> Column:
    """Profile completeness times likes given per post."""
    return profile_completeness(p) * engagement_rate(p)


def age_activity_interaction(p: Profiles) -> Column:
    """ln(1 + age in days) times posts and likes per day."""
    return log_account_age(p) * activity_score(p)


def bio_length_norm(p: Profiles) -> Column:
    """Length of the bio in units of 200 characters, at most 1."""
    return np.minimum(p.bio_length / 200.0, 1.0)


def has_bio(p: Profiles) -> Column:
    """The profile has a biography: 1 yes, 0 no."""
    return p.has_bio


def has_url(p: Profiles) -> Column:
    """The profile links to a page: 1 yes, 0 no."""
    return p.has_url


def has_profile_image(p: Profiles) -> Column:
    """The profile has its own image: 1 yes, 0 no."""
    return p.has_profile_image


def verified(p: Profiles) -> Column:
    """The platform verified the account: 1 yes, 0 no."""
    return p.verified
