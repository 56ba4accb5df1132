"""What a model is shown: every account as it is, and some again with fields hidden or earlier in their life."""

from dataclasses import dataclass

import numpy as np

from features.profile import Column, Profiles
from registry import masking, youth
from registry.accounts import Accounts
from registry.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Shown:
    """The rows of one fit.

    Attributes:
        profiles: As the model sees them.
        labels: 1.0 untrustworthy, 0.0 trustworthy.
        weights: How much each row counts: 1 for an account as it is, less for one that is shown again.
    """

    profiles: Profiles
    labels: Column
    weights: Column


def shown_rows(accounts: Accounts, recipe: Recipe, number: int) -> Shown:
    """Draw the rows of one fit; its chances depend on the recipe's seed and on the fit's number only."""
    chance = np.random.default_rng((recipe.seed, 1, number))
    shares = (recipe.some_hidden, recipe.all_hidden)
    some, none = (_some(accounts, share, chance) for share in shares)
    as_they_are = masking.with_random_url(accounts.profiles, chance)
    again = masking.with_random_url(masking.taken(accounts.profiles, some), chance)
    hidden = masking.some_hidden(again, chance)
    empty = masking.all_hidden(masking.taken(accounts.profiles, none))
    back = _some(accounts, recipe.earlier, chance)
    taken_back = masking.with_random_url(masking.taken(accounts.profiles, back), chance)
    young = youth.earlier(taken_back, recipe.earliest, chance)
    rows = np.concatenate((np.arange(len(accounts)), some, none, back))
    sizes = (len(accounts), len(some) + len(none), len(back))
    weights = np.repeat(np.array((1.0, recipe.hidden_weight, recipe.earlier_weight)), sizes)
    return Shown(masking.joined((as_they_are, hidden, empty, young)), accounts.labels[rows], weights)


def _some(accounts: Accounts, share: float, chance: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Draw a share of the accounts, by position."""
    return chance.permutation(len(accounts))[: round(share * len(accounts))]
