"""The search for a recipe: it goes on where it stopped, fails where margins get too large, and keeps the best."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState

from registry.holdout import is_held_out
from registry.recipe import Recipe, RecipeError, read_recipe, write_recipe
from registry.tuning import RECIPE_KEY, TRIALS_BEFORE_PRUNING, TuningError, open_study, tune
from tests.support_registry import small_accounts

BASE = Recipe(seed=3, folds=2)


def test_a_search_goes_on_where_it_stopped_and_keeps_the_best(tmp_path: Path) -> None:
    accounts = small_accounts()
    first = tune(accounts, tmp_path, base=BASE, trials=1)
    told: list[tuple[int, int]] = []
    second = tune(accounts, tmp_path, base=BASE, trials=1, progress=lambda done, of: told.append((done, of)))
    assert (first.done, second.done + second.pruned + second.failed, told) == (1, 2, [(1, 1)])
    assert second.roc_auc >= first.roc_auc > 0.8
    assert read_recipe(second.path) == second.recipe
    trials = open_study(tmp_path, accounts.digest).get_trials()
    assert trials[0].params != trials[1].params
    assert len(trials[0].intermediate_values) == BASE.folds


def test_no_trial_of_the_frontier_is_better_and_cheaper_than_another(tmp_path: Path) -> None:
    found = tune(small_accounts(), tmp_path, base=BASE, trials=3)
    assert found.frontier[0].roc_auc == found.roc_auc
    assert found.frontier[0].recipe == found.recipe
    assert all(one.microseconds > 0 for one in found.frontier)
    for better, cheaper in itertools.pairwise(found.frontier):
        assert better.roc_auc >= cheaper.roc_auc
        assert better.microseconds > cheaper.microseconds


def test_a_trial_that_falls_behind_is_given_up(tmp_path: Path) -> None:
    """The study has many good trials at a first fold that no trial can reach; then the next one is not measured on."""
    accounts = small_accounts()
    study = open_study(tmp_path, accounts.digest)
    for _ in range(TRIALS_BEFORE_PRUNING):
        trial = study.ask()
        for fold in range(BASE.folds):
            trial.report(1.0, fold)
        trial.set_user_attr(RECIPE_KEY, write_recipe(BASE).decode())
        study.tell(trial, 1.0)
    found = tune(accounts, tmp_path, base=BASE, trials=1)
    assert (found.done, found.pruned) == (TRIALS_BEFORE_PRUNING, 1)


def test_the_same_seed_tries_the_same_recipe_and_the_holdout_has_no_part_in_it(tmp_path: Path) -> None:
    accounts = small_accounts()
    turned = np.where(is_held_out(accounts.ids), 1 - accounts.labels, accounts.labels)
    ours = tune(accounts, tmp_path / "ours", base=BASE, trials=1)
    theirs = tune(dataclasses.replace(accounts, labels=turned), tmp_path / "theirs", base=BASE, trials=1)
    assert (ours.recipe, ours.roc_auc) == (theirs.recipe, theirs.roc_auc)


def test_a_trial_whose_margins_can_become_too_large_has_failed(tmp_path: Path) -> None:
    accounts = small_accounts()
    # Margins are fifty times as long.
    heavy = dataclasses.replace(BASE, parameters={**BASE.parameters, "sigmoid": 0.02})
    with pytest.raises(TuningError, match="1 had margins that can become too large"):
        tune(accounts, tmp_path, base=heavy, trials=1)
    (trial,) = open_study(tmp_path, accounts.digest).get_trials()
    assert trial.state is TrialState.FAIL
    assert "the margin can reach" in trial.user_attrs["failed_because"]
    assert RECIPE_KEY in trial.user_attrs


def test_no_trial_is_begun_when_time_is_up(tmp_path: Path) -> None:
    with pytest.raises(TuningError, match="none of 0 trials"):
        tune(small_accounts(), tmp_path, base=BASE, trials=5, seconds=0)


def test_a_recipe_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_bytes(write_recipe(BASE))
    assert read_recipe(path) == BASE
    assert read_recipe(path).described() == BASE.described()


@pytest.mark.parametrize(
    ("text", "says"), [("[1]", "holds no recipe"), ('{"tree": 5}', "there is tree"), ('{"trees": "x"}', "trees")]
)
def test_a_file_that_is_no_recipe_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(text)
    with pytest.raises(RecipeError, match=says):
        read_recipe(path)


def test_a_recipe_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        read_recipe(tmp_path / "none.json")
