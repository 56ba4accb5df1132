"""A small real ensemble of generated accounts, trained once per run, and ways to change its parts."""

import functools
import hashlib
import json
from collections.abc import Callable
from typing import Any

import msgspec

from registry.ensemble_recipe import XGBOOST_PARAMETERS, EnsembleRecipe
from registry.ensemble_training import train_ensemble
from registry.package import Package
from tests.support_registry import small_accounts, small_recipe

Document = dict[str, Any]

RECIPE = EnsembleRecipe(
    base=small_recipe(),
    xgboost_trees=20,
    isolation_trees=20,
    isolation_rows=128,
    xgboost={**dict(XGBOOST_PARAMETERS), "eta": 0.1, "max_depth": 4},
)


@functools.cache
def small_ensemble() -> Package:
    """Return the packaged ensemble."""
    return train_ensemble(small_accounts(), RECIPE).package


def with_text(text: str) -> Package:
    """Return the ensemble with another text, with which its manifest agrees."""
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return Package.of(msgspec.structs.replace(small_ensemble().verified_manifest(), model_sha256=sha256), text)


def edited(edit: Callable[[Document], object]) -> Package:
    """Return the ensemble with changed parts."""
    document = json.loads(small_ensemble().text)
    edit(document)
    return with_text(json.dumps(document))
