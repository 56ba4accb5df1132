"""`./kol train` and `./kol tune` as people run them: other accounts to measure on, looks on record, recipes."""

from pathlib import Path

import pytest

from registry.looks import looks
from registry.recipe import Recipe, write_recipe
from registry.shelf import read_package
from registry.synthetic import synthetic_csv
from runtime.settings import Settings
from tests.support_cli import Ran, kol


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings of a home of its own, with generated accounts and a small recipe beside it."""
    (tmp_path / "accounts.csv").write_bytes(synthetic_csv(1_500, seed=3))
    (tmp_path / "others.csv").write_bytes(synthetic_csv(500, seed=4))
    (tmp_path / "recipe.json").write_bytes(write_recipe(Recipe(seed=2, trees=4, folds=2)))
    return Settings(home=tmp_path / "home")


def train(settings: Settings, *words: str) -> Ran:
    """Train on the generated accounts."""
    beside = settings.home.parent
    given = ("--dataset", str(beside / "accounts.csv"), "--recipe", str(beside / "recipe.json"))
    ran = kol("train", *given, *words, settings=settings)
    assert ran.code == 0, ran.err
    return ran


def test_every_look_at_the_locked_holdout_is_counted_and_told(settings: Settings) -> None:
    first, second = (train(settings, "--json").json for _ in range(2))
    assert (first["looks_at_holdout"], second["looks_at_holdout"]) == (1, 2)
    kept = looks(settings.home)
    assert [look.sha for look in kept] == [first["measured_sha"], second["measured_sha"]]
    assert kept[0].figures["roc_auc"] == first["metrics"]["roc_auc"]


def test_the_path_is_the_model_of_all_rows_and_says_whose_figures_it_has(settings: Settings) -> None:
    told = train(settings, "--json").json
    manifest = read_package(Path(told["path"])).verified_manifest()
    assert manifest.training["refit_on_all_rows"] == "true"
    assert manifest.training["rows"] == "1500"
    assert manifest.training["metrics_from_sha"] == told["measured_sha"] == Path(told["measured_path"]).name
    plain = train(settings, "--json", "--no-refit").json
    assert plain["path"] == plain["measured_path"] == told["measured_path"]


def test_with_a_holdout_file_all_rows_are_learned_and_nothing_is_looked_at(settings: Settings) -> None:
    told = train(settings, "--json", "--holdout", str(settings.home.parent / "others.csv")).json
    assert (told["rows"], told["holdout_rows"], told["looks_at_holdout"]) == (1_500, 500, None)
    assert told["path"] == told["measured_path"]
    assert looks(settings.home) == ()


def test_slices_carry_intervals_and_people_read_them_in_tables(settings: Settings) -> None:
    told = train(settings, "--json").json
    whole = told["slices"][0]
    assert whole["name"] == "all"
    assert whole["figures"]["roc_auc"]["value"] == told["metrics"]["roc_auc"]
    assert len(whole["reliability"]) == 15
    ran = train(settings)
    assert "Slices, each figure with its 95 % interval" in ran.out
    assert ran.out.splitlines()[-1] == told["path"]


def test_a_holdout_that_is_not_there_is_named(settings: Settings) -> None:
    ran = kol("train", "--dataset", str(settings.home.parent / "accounts.csv"), "--holdout", "none.csv")
    assert ran.code == 1
    assert "there is no file none.csv" in ran.err


def test_what_tune_finds_train_takes(settings: Settings) -> None:
    given = ("--dataset", str(settings.home.parent / "accounts.csv"))
    found = kol("tune", "--trials", "1", *given, "--json", settings=settings).json
    assert found["path"] == str(settings.home.resolve() / "tuning" / "recipe.json")
    told = train(settings, "--recipe", found["path"], "--json", "--no-refit").json
    manifest = read_package(Path(told["path"])).verified_manifest()
    assert manifest.training["trees"] == str(found["recipe"]["trees"])
    again = kol("tune", "--trials", "0", *given, settings=settings)
    assert again.out.splitlines()[-1] == found["path"]


def test_an_ensemble_is_trained_refitted_and_measured_out_of_time(settings: Settings) -> None:
    told = train(settings, "--ensemble", "--report", "--json").json
    made, measured = (read_package(Path(told[name])).verified_manifest() for name in ("path", "measured_path"))
    assert (made.name, made.kind) == ("trust-score-ensemble", "ensemble")
    assert made.training["metrics_from_sha"] == told["measured_sha"]
    assert measured.metrics["roc_auc"] == told["metrics"]["roc_auc"] > 0.8
    assert len(told["out_of_time"]["roc_auc_each"]) == 5
    assert [look.sha for look in looks(settings.home)] == [told["measured_sha"]]
