"""Small real models of generated accounts, trained in tenths of a second, for tests of training and release."""

import functools

from registry.accounts import Accounts, read_accounts
from registry.package import Package
from registry.recipe import PARAMETERS, Recipe
from registry.release import promote
from registry.stages import stage_of
from registry.synthetic import synthetic_csv
from registry.tracking import Version
from registry.training import MODEL_NAME, train
from registry.truth import Registry

ROWS = 1_500


def small_recipe(*, seed: int = 1, trees: int = 30, leaves: int = 15) -> Recipe:
    """Return a recipe for models of little depth."""
    parameters = {**dict(PARAMETERS), "learning_rate": 0.1, "num_leaves": leaves}
    return Recipe(seed=seed, trees=trees, folds=3, parameters=parameters)


WEAK = small_recipe(seed=2, trees=3, leaves=4)
"""Makes a model with a ROC-AUC of 0.85 on the holdout of the small accounts, fit for use."""
STRONG = small_recipe(seed=1)
"""0.89."""
TWIN = small_recipe(seed=1, trees=28)
"""As good as the strong one, within the margin: it is the same but for two trees."""
UNFIT = small_recipe(seed=1, trees=1, leaves=4)
"""0.83, and the untrustworthy reference profile scores 67."""


WEAK_ONE, STRONG_ONE, TWIN_ONE, UNFIT_ONE = 1, 2, 3, 4
"""Versions in the registry of `tests.support_homes`."""


@functools.cache
def small_accounts() -> Accounts:
    """Return generated accounts."""
    return read_accounts(synthetic_csv(ROWS, seed=3), origin="generated accounts", synthetic=True)


@functools.cache
def _package(seed: int, trees: int, leaves: int) -> Package:
    return train(small_accounts(), small_recipe(seed=seed, trees=trees, leaves=leaves)).package


def package_of(recipe: Recipe) -> Package:
    """Return the model of a recipe, trained once per run."""
    return _package(recipe.seed, recipe.trees, int(recipe.parameters["num_leaves"]))


def version(registry: Registry, number: int) -> Version:
    return registry.tracking.version(MODEL_NAME, number)


def bring(registry: Registry, *numbers: int) -> None:
    """Promote versions one after another, whatever the gate says."""
    for number in numbers:
        promote(registry, version(registry, number), force=True, why="test")


def stages(registry: Registry) -> dict[int, str]:
    """Return the stage of each version, as ours and as MLflow's; they must agree."""
    history = registry.history()
    versions = registry.tracking.versions(MODEL_NAME)
    ours = {one.number: stage_of(one, history).value for one in versions}
    assert {one.number: one.mlflow_stage for one in versions} == ours
    assert {one.number: one.tags["stage"] for one in versions} == ours
    return ours
