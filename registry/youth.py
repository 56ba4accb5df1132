"""Accounts as they may have been earlier in their life: what a model is shown so that age alone decides less.

Labelled accounts are of one crawl: the young among them are all of the latest years, and a model takes the habits of
an era for those of an age. Shown earlier in its life, an account of any era is young too.
"""

import numpy as np

from features.profile import Profiles

GROWING = ("followers_count", "following_count", "post_count", "favorites_count", "account_age_days")
"""Columns that grow with the life of an account; taken to grow evenly."""


def earlier(profiles: Profiles, least: float, chance: np.random.Generator) -> Profiles:
    """Take each account back to a share of its life; what grew is that much less, in whole numbers.

    Args:
        profiles: The accounts; unknown stays unknown.
        least: Smallest share, above 0; the logarithm of the share is drawn evenly from there to that of 1.
        chance: Of the draws.
    """
    share = np.exp(chance.uniform(np.log(least), 0.0, len(profiles)))
    columns = profiles.columns()
    return Profiles(**{**columns, **{name: np.floor(columns[name] * share) for name in GROWING}})
