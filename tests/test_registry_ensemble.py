"""The ensemble: one row or a million with the same bits, every part checked when it is loaded, released like others."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import xgboost
from sklearn.ensemble import IsolationForest

from features.catalogue import NAMES, Matrix, feature_matrix
from features.profile import Profiles
from features.reference import TRUSTWORTHY, UNTRUSTWORTHY
from registry.accounts import SHARED_DATASET, AccountsSource
from registry.engines import PROBE_ROWS, choose_engine, probe_matrix
from registry.ensemble import Ensemble, read_parts
from registry.ensemble_fits import export_forest
from registry.ensemble_training import train_ensemble
from registry.evaluation import roc_auc, shown_p
from registry.holdout import is_held_out
from registry.isolation import anomaly_trees
from registry.masking import all_hidden, joined
from registry.model import unpack
from registry.package import Manifest, ModelRefusedError, Package
from registry.shelf import Shelf
from registry.split import TrainingError
from registry.staging import register, to_staging
from registry.training import train
from registry.tree_text import write_trees
from registry.trees import NEAR_ZERO, parse_trees
from registry.truth import ENSEMBLE_NAME, open_registry
from registry.validation import validate
from registry.xgboost_trees import read_xgboost
from tests.conftest import NewSettings
from tests.support_ensemble import RECIPE, Document, edited, small_ensemble, with_text
from tests.support_registry import STRONG, package_of, small_accounts
from tests.support_sources import imports_of, modules, started_with


def ensemble(package: Package | None = None) -> Ensemble:
    """Return the engine of the ensemble, scored by LightGBM."""
    engine = unpack(package or small_ensemble(), "lightgbm").engine
    assert isinstance(engine, Ensemble)
    return engine


def rows_with_unknowns() -> Matrix:
    """Return the features of real-looking accounts as they are, with everything hidden, and of edges of the trees."""
    profiles = small_accounts().profiles
    known = feature_matrix(joined((profiles, all_hidden(profiles))))
    edges = probe_matrix(parse_trees(read_parts(small_ensemble().text.decode()).lightgbm), (PROBE_ROWS, len(NAMES)))
    return np.ascontiguousarray(np.concatenate((known[::3], edges)))


def bits(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> list[int]:
    """Return floats as the integers of their bits."""
    return [int(value) for value in values.view(np.int32)]


def test_one_row_many_rows_and_any_order_give_the_same_bits() -> None:
    engine, matrix = ensemble(), rows_with_unknowns()
    margins = engine.margins(matrix)
    assert np.isnan(matrix).any()
    assert bits(np.concatenate([engine.margins(matrix[row : row + 1]) for row in range(len(matrix))])) == bits(margins)
    order = np.random.default_rng(1).permutation(len(matrix))
    assert bits(engine.margins(np.ascontiguousarray(matrix[order]))) == bits(margins[order])
    assert engine.margins(matrix[:0]).shape == (0,)
    assert len(set(bits(margins))) > 100


def test_every_engine_gives_the_same_bits() -> None:
    matrix = rows_with_unknowns()
    chosen = unpack(small_ensemble(), "auto").engine
    assert chosen.name in {"onedal", "lightgbm"}
    assert bits(chosen.margins(matrix)) == bits(ensemble().margins(matrix))


def test_an_anomaly_does_not_depend_on_who_else_is_in_the_batch() -> None:
    matrix = rows_with_unknowns()
    among_many = ensemble().outputs(matrix)[2]
    odd_company = np.ascontiguousarray(np.concatenate((matrix[:1], np.full((50, len(NAMES)), 1e30, np.float32))))
    assert bits(ensemble().outputs(odd_company)[2][:1]) == bits(among_many[:1])
    assert bits(ensemble().outputs(matrix[:1])[2]) == bits(among_many[:1])
    assert (among_many < 1).all()
    assert np.ptp(among_many) > 0.1


def test_the_translated_trees_give_the_margins_of_xgboost() -> None:
    part = bytes(read_parts(small_ensemble().text.decode()).xgboost)
    booster = xgboost.Booster(model_file=bytearray(part))
    trees = read_xgboost(part, NAMES)
    matrix = np.concatenate((rows_with_unknowns(), probe_matrix(trees, (PROBE_ROWS, len(NAMES)))))
    theirs = booster.predict(xgboost.DMatrix(matrix, feature_names=list(NAMES)), output_margin=True)
    assert bits(choose_engine("lightgbm", write_trees(trees, NAMES)).margins(matrix)) == bits(theirs)


def test_the_exported_forest_is_as_deep_as_that_of_scikit_learn() -> None:
    matrix = rows_with_unknowns()
    matrix[np.abs(matrix) <= NEAR_ZERO] = 0.0  # our engines read such values as 0, scikit-learn splits between them
    forest = IsolationForest(n_estimators=30, max_samples=128, random_state=1).fit(matrix)
    trees = anomaly_trees(export_forest(forest), NAMES)
    ours = choose_engine("lightgbm", write_trees(trees, NAMES)).margins(matrix)
    assert 2.0 ** (ours - 1.0) == pytest.approx(-forest.score_samples(matrix), abs=1e-4)


def test_written_trees_are_read_as_the_same_trees() -> None:
    part = bytes(read_parts(small_ensemble().text.decode()).xgboost)
    for ours, read in zip(
        read_xgboost(part, NAMES), parse_trees(write_trees(read_xgboost(part, NAMES), NAMES)), strict=True
    ):
        for name in ("feature", "threshold", "left", "right", "nan_goes_left", "knows_missing", "leaves"):
            assert (getattr(ours, name) == getattr(read, name)).all()


def test_both_reference_profiles_land_on_their_sides() -> None:
    good, poor = (
        unpack(small_ensemble())
        .score(Profiles.of_rows([TRUSTWORTHY.values(), UNTRUSTWORTHY.values()]))
        .hundredths.tolist()
    )
    assert good > 8_000
    assert poor < 4_000


def test_unknown_facts_give_a_score_and_another_one_than_zero() -> None:
    model, profiles = unpack(small_ensemble()), small_accounts().profiles
    hidden = all_hidden(profiles)
    zeros = Profiles(**{name: np.nan_to_num(column) for name, column in hidden.columns().items()})
    assert (model.score(hidden).margins != model.score(zeros).margins).mean() > 0.5


def test_training_again_gives_the_same_package_and_the_holdout_has_no_say() -> None:
    accounts = small_accounts()
    held = is_held_out(accounts.ids)
    turned = np.where(held, 1 - accounts.labels, accounts.labels)
    other = train_ensemble(dataclasses.replace(accounts, labels=turned), RECIPE)
    assert other.package.text == small_ensemble().text


def test_figures_are_those_of_the_locked_holdout() -> None:
    accounts = small_accounts()
    held = accounts.take(is_held_out(accounts.ids))
    metrics = small_ensemble().verified_manifest().metrics
    assert metrics["roc_auc"] == roc_auc(held.labels, shown_p(unpack(small_ensemble()), held.profiles))
    assert metrics["roc_auc"] > package_of(STRONG).verified_manifest().metrics["roc_auc"] - 0.005


def test_margins_of_models_that_saw_no_unknown_value_are_refused() -> None:
    blind = dataclasses.replace(RECIPE, base=dataclasses.replace(RECIPE.base, some_hidden=0.0, all_hidden=0.0))
    with pytest.raises(TrainingError, match=r"in training .*log_favorites.* was never unknown"):
        train_ensemble(small_accounts(), blind)


def xgboost_trees_of(document: Document) -> list[Document]:
    trees: list[Document] = document["xgboost"]["learner"]["gradient_booster"]["model"]["trees"]
    return trees


def swapped(names: list[str]) -> list[str]:
    return [names[1], names[0], *names[2:]]


def set_leaf(document: Document, value: float) -> None:
    """Set the first leaf of XGBoost's first tree."""
    tree = xgboost_trees_of(document)[0]
    tree["split_conditions"][tree["left_children"].index(-1)] = value


def make_circle(document: Document) -> None:
    """Let a split of XGBoost's first tree lead back to the root's first child."""
    tree = xgboost_trees_of(document)[0]
    inner = [node for node, left in enumerate(tree["left_children"]) if left > 0]
    tree["left_children"][inner[-1]] = 1


BROKEN: dict[str, tuple[Callable[[Document], object], str]] = {
    "no lightgbm": (lambda d: d.pop("lightgbm"), "missing required field `lightgbm`"),
    "no xgboost": (lambda d: d.pop("xgboost"), "missing required field `xgboost`"),
    "no forest": (lambda d: d.pop("isolation"), "missing required field `isolation`"),
    "no weights": (lambda d: d.pop("stacking"), "missing required field `stacking`"),
    "another part": (lambda d: d.update(code="import os"), "unknown field `code`"),
    "no number as weight": (lambda d: d["stacking"].update(xgboost=None), "are broken"),
    "infinite weight": (lambda d: d["stacking"].update(xgboost=1e308, lightgbm=1e308), "are of no use"),
    "weights of nothing": (lambda d: d["stacking"].update(xgboost=-9.0), "are of no use"),
    "order in lightgbm": (
        lambda d: d.update(
            lightgbm=d["lightgbm"].replace("log_followers log_following", "log_following log_followers")
        ),
        "LightGBM part reads other features",
    ),
    "order in xgboost": (
        lambda d: d["xgboost"]["learner"].update(feature_names=swapped(list(NAMES))),
        "XGBoost part reads other features",
    ),
    "order in forest": (lambda d: d["isolation"].update(features=swapped(list(NAMES))), "forest reads other features"),
    "28 names": (lambda d: d["isolation"].update(features=NAMES[:-1]), "forest reads other features"),
    "leaf not rounded": (lambda d: set_leaf(d, 0.1), "no multiple of 2"),
    "large leaf": (lambda d: set_leaf(d, 16.0), "the margin can reach"),
    "infinite leaf": (lambda d: set_leaf(d, 1e400), "are broken|can reach inf"),
    "circle": (make_circle, "does not hang together"),
    "child that is not there": (
        lambda d: xgboost_trees_of(d)[0]["left_children"].__setitem__(0, 10_000),
        "children that are not there",
    ),
    "feature that is not there": (
        lambda d: xgboost_trees_of(d)[0]["split_indices"].__setitem__(0, 29),
        "outside 0 .. 28",
    ),
    "other booster": (lambda d: d["xgboost"]["learner"]["gradient_booster"].update(name="dart"), "must be gbtree"),
    "other start": (
        lambda d: d["xgboost"]["learner"]["learner_model_param"].update(base_score="[2.5E-1]"),
        "base_score 0.5",
    ),
    "no tree of xgboost": (lambda d: xgboost_trees_of(d).clear(), "holds no tree"),
    "no tree of forest": (lambda d: d["isolation"].update(trees=[]), "has 0 trees"),
    "negative path": (lambda d: d["isolation"]["trees"][0]["path"].__setitem__(0, -1.0), "path length that is none"),
    "scale of nothing": (lambda d: d["isolation"].update(usual_path=0.0), "usual path 0.0"),
    "columns of other lengths": (lambda d: d["isolation"]["trees"][0]["feature"].pop(), "differ in length"),
    "turned around": (
        lambda d: d["stacking"].update(intercept=0.0, lightgbm=-1.0, xgboost=1.001, anomaly=0.0),
        "sign is turned around",
    ),
}


@pytest.mark.parametrize(("edit", "says"), BROKEN.values(), ids=BROKEN)
def test_a_broken_part_is_refused_although_the_hash_is_right(edit: Callable[[Document], object], says: str) -> None:
    with pytest.raises(ModelRefusedError, match=says):
        unpack(edited(edit), "lightgbm")


@pytest.mark.parametrize("text", ["", "null", "tree\nversion=v4\n", "\x80\x04\x95", '{"lightgbm": NaN}'])
def test_a_text_that_is_no_ensemble_is_refused(text: str) -> None:
    with pytest.raises(ModelRefusedError, match="cannot be used"):
        unpack(with_text(text), "lightgbm")


def test_a_kind_that_there_is_not_is_refused_and_an_old_manifest_is_lightgbm() -> None:
    package = package_of(STRONG)
    fields = json.loads(package.manifest)
    assert fields.pop("kind") == "lightgbm"
    old = Package(json.dumps(fields).encode(), package.text)
    assert old.verified_manifest().kind == "lightgbm"
    assert msgspec.json.decode(old.manifest, type=Manifest) == package.verified_manifest()
    with pytest.raises(ModelRefusedError, match="is broken"):
        Package(json.dumps({**fields, "kind": "pickle"}).encode(), package.text).verified_manifest()


def test_scoring_an_ensemble_starts_without_the_libraries_that_trained_it() -> None:
    assert not {"xgboost", "sklearn", "mlflow"} & started_with("registry.model", "registry.ensemble")


def test_no_module_knows_how_to_unpickle() -> None:
    users = {
        found.place
        for path in modules().values()
        for found in imports_of(path)
        if found.module.split(".")[0] in {"pickle", "joblib", "cloudpickle", "dill", "marshal", "shelve"}
    }
    assert not users


def test_the_ensemble_is_registered_staged_and_loaded_from_the_shelf(new_settings: NewSettings, tmp_path: Path) -> None:
    registry = open_registry(new_settings(engine="lightgbm"))
    version = register(registry, small_ensemble())
    assert (version.name, version.number, version.sha) == (ENSEMBLE_NAME, 1, small_ensemble().sha)
    assert to_staging(registry, version).why_not() == ""
    assert registry.tracking.version(ENSEMBLE_NAME, 1).mlflow_stage == "Staging"
    assert registry.tracking.package(version) == small_ensemble()
    shelf = Shelf.at(tmp_path / "shelf")
    assert shelf.load(shelf.put(registry.tracking.package(version))).manifest.kind == "ensemble"


@pytest.mark.long
@pytest.mark.skipif(not SHARED_DATASET.is_file(), reason="the real accounts are not on this machine")
def test_the_default_ensemble_on_the_real_accounts_is_as_good_as_lightgbm_alone() -> None:
    accounts = AccountsSource(SHARED_DATASET).load()
    trained = train_ensemble(accounts)
    assert trained.metrics["roc_auc"] >= train(accounts).metrics["roc_auc"] - 0.0005
    assert trained.metrics["ece15"] <= 0.015
    assert trained.metrics["brier"] <= 0.083
    assert validate(trained.package).why_not() == ""
