"""The recipe of a training: every choice that shapes the model."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

import msgspec

from features.catalogue import NAMES
from runtime.failure import HandledError

PARAMETERS: tuple[tuple[str, int | float], ...] = (
    ("learning_rate", 0.037),
    ("num_leaves", 50),
    # Deeper trees gain less than 0.001 of ROC-AUC and halve the speed of scoring.
    ("max_depth", 8),
    ("min_data_in_leaf", 20),
    # Less than 10 lets margins come near 16, from where on they are not exact (registry/leaves.py).
    ("lambda_l2", 10.0),
    ("feature_fraction", 0.4),
    ("bagging_fraction", 0.8),
    ("bagging_freq", 1),
)
"""Chosen by 5-fold cross-validation inside the training part of the public accounts: some 60 settings
tried gave 0.935 to 0.9396 within noise of 0.0003 (docs/decisions/0009-recipe.md). The holdout had no part in it."""

SETTLED: tuple[tuple[str, object], ...] = (
    ("objective", "binary"),
    ("verbosity", -1),
    # One thread per fit and the fits side by side: with two threads each, a fit took up to ten times as long on a
    # machine with other work, because OpenMP's threads wait for one another.
    ("num_threads", 1),
    ("deterministic", True),
    ("force_row_wise", True),
)


DIRECTIONS: tuple[tuple[str, int], ...] = (
    ("profile_completeness", -1),
    ("default_profile_score", 1),
    ("has_bio", -1),
    ("has_url", -1),
    ("has_profile_image", -1),
)
"""Features that change when a field of the profile is filled in, and what that may do to P(untrustworthy): -1 lower it
only, 1 raise it only. `profile_engagement_interaction` changes too and stays free: bound, it costs 0.015 of the
ROC-AUC out of time. So a more complete profile never scores lower where nobody engages or engagement is unknown;
elsewhere 4 to 7 of 100 accounts lose more than one point by a field that is filled in."""


class RecipeError(HandledError):
    """A file holds no recipe; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train.

    Attributes:
        seed: Of every chance in it.
        trees: Boosting rounds; fixed, never stopped by a look at other rows.
        folds: Parts of the cross-validation that calibrates.
        some_hidden: Share of the rows that are shown again with random optional fields hidden.
        all_hidden: Share of the rows that are shown again with all optional fields hidden.
        earlier: Share of the rows that are shown again as they may have been earlier in their life.
        earliest: Smallest share of its life that an account is taken back to.
        hidden_weight: How much a row with hidden fields counts; an account as it is counts 1.
        earlier_weight: How much a row that is taken back counts.
        complete_is_better: Whether each fact of a complete profile may only raise the score, all other features equal.
        parameters: Of LightGBM.
    """

    seed: int = 1
    trees: int = 350
    folds: int = 5
    some_hidden: float = 0.5
    all_hidden: float = 0.1
    earlier: float = 0.2
    earliest: float = 0.1
    hidden_weight: float = 0.5
    earlier_weight: float = 0.5
    complete_is_better: bool = True
    parameters: Mapping[str, int | float] = field(default_factory=lambda: dict(PARAMETERS))

    def described(self) -> dict[str, str]:
        """Return the choices as text, by name."""
        choices = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "parameters"}
        return {name: str(value) for name, value in {**choices, **self.parameters}.items()}

    def for_lightgbm(self) -> dict[str, object]:
        """Return what LightGBM is given."""
        directions = dict(DIRECTIONS) if self.complete_is_better else {}
        constraints = [directions.get(name, 0) for name in NAMES]
        bound = {"monotone_constraints": constraints, "monotone_constraints_method": "advanced"}
        return {**dict(SETTLED), **self.parameters, **bound, "seed": self.seed}


def write_recipe(recipe: Recipe) -> bytes:
    """Write a recipe as JSON, for people to read and to change."""
    return msgspec.json.format(msgspec.json.encode(recipe))


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; choices that are not named are the default ones.

    Raises:
        RecipeError: The file cannot be read, is no JSON, or names a choice that there is not.
    """
    try:
        return recipe_of(path.read_bytes())
    except OSError as error:
        raise RecipeError(f"cannot read the recipe {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} holds no recipe: {error}; ./kol tune writes one") from error


def recipe_of(content: bytes) -> Recipe:
    """Return the recipe that a JSON text tells.

    Raises:
        msgspec.DecodeError: It tells none, or a choice that there is not.
    """
    given = msgspec.json.decode(content, type=dict[str, object])
    names = [item.name for item in fields(Recipe)]
    if strange := sorted(given.keys() - set(names)):
        raise msgspec.ValidationError(f"there is {', '.join(strange)}, a recipe has {', '.join(names)}")
    return msgspec.convert(given, Recipe)


def recipe_told(facts: Mapping[str, str]) -> Recipe:
    """Return the recipe that a model's training facts tell (`Recipe.described`); what they do not tell is the default.

    Raises:
        ValueError: A choice is told in another way than it is written.
    """
    plain = Recipe()
    choices = {item.name: getattr(plain, item.name) for item in fields(Recipe) if item.name != "parameters"}
    told = {name: _read(facts[name], value) for name, value in choices.items() if name in facts}
    parameters = {name: _read(facts[name], value) for name, value in plain.parameters.items() if name in facts}
    return msgspec.convert({**told, "parameters": {**plain.parameters, **parameters}}, Recipe)


def _read(text: str, like: float) -> float:
    """Read a choice of the kind that another one has."""
    return text == "True" if isinstance(like, bool) else type(like)(text)
