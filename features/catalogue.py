"""The one list of the 29 features, in model order: formula, unit, range and meaning, and the contract's hash."""

import hashlib
import inspect
import io
import json
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from features import formulas, logic
from features.profile import RAW_COLUMNS, Column, Profiles

Matrix = NDArray[np.float32]
"""Features of n KOLs: n rows, 29 columns in catalogue order, float32, C order; NaN = unknown."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One input of the model.

    Attributes:
        formula: Computes the column; its name is the feature's name, its docstring the meaning.
        unit: Unit of the value.
        low: Least value.
        high: Largest value, or None where there is no fixed bound.
    """

    formula: Callable[[Profiles], Column]
    unit: str
    low: float
    high: float | None

    @property
    def name(self) -> str:
        """Name of the feature in every table, request and model."""
        return self.formula.__name__

    @property
    def meaning(self) -> str:
        """What the value says, in one sentence."""
        return (self.formula.__doc__ or "").strip().splitlines()[0]


CATALOGUE: tuple[Feature, ...] = (
    Feature(formulas.log_followers, "ln(1 + accounts)", 0, None),
    Feature(formulas.log_following, "ln(1 + accounts)", 0, None),
    Feature(formulas.log_posts, "ln(1 + posts)", 0, None),
    Feature(formulas.log_favorites, "ln(1 + likes given)", 0, None),
    Feature(formulas.log_account_age, "ln(1 + days)", 0, None),
    Feature(formulas.followers_following_ratio_capped, "followers per followed", 0, 10_000),
    Feature(formulas.posts_per_day_capped, "posts/day", 0, 50),
    Feature(formulas.engagement_rate, "likes given per post", 0, None),
    Feature(formulas.activity_score, "(posts + likes given)/day", 0, None),
    Feature(formulas.profile_completeness, "share", 0, 1),
    Feature(formulas.followers_per_day, "followers/day", 0, None),
    Feature(formulas.posts_per_follower, "posts per follower", 0, None),
    Feature(formulas.following_per_day, "accounts/day", 0, None),
    Feature(formulas.high_activity_flag, "0/1", 0, 1),
    Feature(formulas.low_engagement_high_posts, "0/1", 0, 1),
    Feature(formulas.default_profile_score, "share", 0, 1),
    Feature(formulas.suspicious_growth, "0/1", 0, 1),
    Feature(formulas.fake_follower_indicator, "0/1", 0, 1),
    Feature(formulas.followers_tier, "tier 0-4", 0, 4),
    Feature(formulas.account_age_tier, "tier 0-3", 0, 3),
    Feature(formulas.activity_tier, "tier 0-3", 0, 3),
    Feature(formulas.verified_followers_interaction, "ln(1 + accounts)", 0, None),
    Feature(formulas.profile_engagement_interaction, "likes given per post", 0, None),
    Feature(formulas.age_activity_interaction, "ln(1 + days) * actions/day", 0, None),
    Feature(formulas.bio_length_norm, "200 characters", 0, 1),
    Feature(formulas.has_bio, "0/1", 0, 1),
    Feature(formulas.has_url, "0/1", 0, 1),
    Feature(formulas.has_profile_image, "0/1", 0, 1),
    Feature(formulas.verified, "0/1", 0, 1),
)
NAMES: tuple[str, ...] = tuple(feature.name for feature in CATALOGUE)


def feature_matrix(profiles: Profiles) -> Matrix:
    """Compute the 29 features of n profiles.

    Everything is computed in float64 and cast once to float32; unknown is NaN.
    One row gives the same bits as that row among many.
    """
    matrix = np.empty((len(profiles), len(CATALOGUE)), dtype=np.float32)
    for position, feature in enumerate(CATALOGUE):
        matrix[:, position] = feature.formula(profiles)
    return matrix


def contract_hash() -> str:
    """Return the SHA-256 of the feature contract: raw columns, then names, order, ranges and text of the formulas.

    Stored with every model version; whoever loads a model refuses one made for another contract.
    """
    contract = {
        "raw": [(column.name, column.kind, column.required) for column in RAW_COLUMNS],
        "features": [(feature.name, feature.low, feature.high) for feature in CATALOGUE],
        "formulas": [list(code_words(module)) for module in (logic, formulas)],
    }
    return hashlib.sha256(json.dumps(contract).encode()).hexdigest()


def code_words(module: ModuleType) -> Iterator[str]:
    """Yield the code of a module without comments, docstrings and layout: rewording a sentence changes no contract."""
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    at_line_start = True
    for token in tokenize.generate_tokens(io.StringIO(inspect.getsource(module)).readline):
        if token.type in layout:
            continue
        is_docstring = at_line_start and token.type == tokenize.STRING
        at_line_start = token.type == tokenize.NEWLINE
        if not is_docstring:
            yield token.string
