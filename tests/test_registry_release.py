"""Releases on a real MLflow: the gate, staging, promotion, rollback, and what people read of them."""

from pathlib import Path

import numpy as np
import pytest

from features.catalogue import feature_matrix
from registry.accounts import find_accounts
from registry.looks import count_looks
from registry.model import unpack
from registry.promotion import PRODUCTION_TAG
from registry.register_trust_models import find_registered, register_trust_models, release
from registry.release import promote, rollback
from registry.stages import Stage, stage_of
from registry.staging import register, to_staging
from registry.tracking import RegistryError
from registry.training import MODEL_NAME
from registry.truth import ENSEMBLE_NAME, NAMES, Registry, open_registry
from runtime.failure import GateRefusedError
from tests.conftest import NewSettings
from tests.support_ensemble import RECIPE
from tests.support_registry import (
    STRONG,
    STRONG_ONE,
    TWIN,
    TWIN_ONE,
    UNFIT_ONE,
    WEAK,
    WEAK_ONE,
    bring,
    package_of,
    small_accounts,
    stages,
    version,
)

pytest_plugins = ["tests.support_homes"]


def test_the_first_model_goes_to_production_and_onto_the_shelf(registry: Registry) -> None:
    outcome = promote(registry, version(registry, WEAK_ONE), small_accounts(), why="first")
    assert outcome.changed
    assert registry.shelf.production() == outcome.promotion.activation()
    assert registry.shelf.load(outcome.promotion.sha).sha == package_of(WEAK).sha
    tag = registry.tracking.model_tags(MODEL_NAME)[PRODUCTION_TAG]
    assert tag == f"1/{MODEL_NAME}/1/{package_of(WEAK).sha}"


def test_a_better_model_replaces_production_and_archives_it(registry: Registry) -> None:
    promote(registry, version(registry, WEAK_ONE), small_accounts())
    outcome = promote(registry, version(registry, STRONG_ONE), small_accounts())
    assert outcome.promotion.seq == 2
    assert outcome.checks is not None
    assert outcome.checks.passed
    assert stages(registry) == {1: "Archived", 2: "Production", 3: "None", 4: "None"}
    assert registry.tracking.aliases(MODEL_NAME) == {"production": 2, "previous": 1}


def test_the_gate_keeps_a_model_out_that_gains_too_little(registry: Registry) -> None:
    bring(registry, STRONG_ONE)
    with pytest.raises(GateRefusedError, match=r"version 3 stays out.*gain in roc_auc.*wanted > 0\.01") as refusal:
        promote(registry, version(registry, TWIN_ONE), small_accounts())
    assert refusal.value.exit_code == 3
    assert registry.shelf.production().version == STRONG_ONE
    assert stages(registry)[TWIN_ONE] == "None"


def test_an_unfit_model_is_kept_out_also_of_an_empty_production(registry: Registry) -> None:
    with pytest.raises(GateRefusedError, match="score of the untrustworthy reference"):
        promote(registry, version(registry, UNFIT_ONE), small_accounts())
    assert registry.history().now is None


def test_force_is_recorded_with_its_reason(registry: Registry) -> None:
    bring(registry, STRONG_ONE)
    outcome = promote(registry, version(registry, TWIN_ONE), small_accounts(), force=True, why="asked for")
    recorded = registry.history().now
    assert recorded == outcome.promotion
    assert (outcome.promotion.forced, outcome.promotion.why) == (True, "asked for")


def test_force_that_was_not_needed_is_not_recorded_as_such(registry: Registry) -> None:
    assert not promote(registry, version(registry, STRONG_ONE), force=True).promotion.forced


def test_promoting_production_again_changes_nothing(registry: Registry) -> None:
    first = promote(registry, version(registry, STRONG_ONE), small_accounts())
    again = promote(registry, version(registry, STRONG_ONE), small_accounts())
    assert not again.changed
    assert again.promotion == first.promotion
    assert len(registry.shelf.activations()) == 1


def test_rollback_brings_the_one_before_back_under_a_higher_number(registry: Registry) -> None:
    bring(registry, WEAK_ONE, STRONG_ONE)
    outcome = rollback(registry, why="complaints")
    assert (outcome.promotion.seq, outcome.promotion.version, outcome.promotion.kind) == (3, WEAK_ONE, "rollback")
    assert stages(registry) == {1: "Production", 2: "Archived", 3: "None", 4: "None"}
    assert registry.shelf.production().promotion_seq == 3
    assert registry.tracking.aliases(MODEL_NAME) == {"production": 1, "previous": 2}


def test_rolling_back_twice_returns_to_the_present_model(registry: Registry) -> None:
    bring(registry, WEAK_ONE, STRONG_ONE)
    rollback(registry)
    assert rollback(registry).promotion.version == STRONG_ONE
    assert [one.version for one in registry.history().promotions] == [1, 2, 1, 2]


def test_there_is_nothing_to_roll_back_to_before_the_second_model(registry: Registry) -> None:
    bring(registry, WEAK_ONE)
    with pytest.raises(RegistryError, match="no earlier Production to go back to"):
        rollback(registry)


def test_people_load_production_by_its_old_address_and_get_our_margins(registry: Registry) -> None:
    import mlflow

    bring(registry, WEAK_ONE, STRONG_ONE)
    mlflow.set_tracking_uri(registry.tracking.uri)
    booster = mlflow.lightgbm.load_model(f"models:/{MODEL_NAME}/Production")
    matrix = feature_matrix(small_accounts().profiles)
    ours = unpack(package_of(STRONG)).engine.margins(matrix)
    assert (booster.predict(matrix, raw_score=True).astype(np.float32) == ours).all()


def test_the_classic_listing_shows_the_stages(registry: Registry) -> None:
    bring(registry, WEAK_ONE, STRONG_ONE)
    found = {model.name: model for model in registry.tracking.client.search_registered_models()}
    assert set(found) == set(NAMES)
    latest = {one.current_stage: int(one.version) for one in found[MODEL_NAME].latest_versions}
    assert latest == {"Archived": WEAK_ONE, "Production": STRONG_ONE, "None": UNFIT_ONE}


def test_a_version_that_others_registered_is_refused(registry: Registry) -> None:
    made = version(registry, WEAK_ONE)
    foreign = registry.tracking.client.create_model_version(MODEL_NAME, "elsewhere", made.run_id)
    with pytest.raises(RegistryError, match=r"version 5 has no package; register it with \./kol"):
        promote(registry, version(registry, int(foreign.version)), force=True)


def test_a_version_that_is_not_there_is_named_with_those_that_are(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="has no version 9; there are: 1, 2, 3, 4"):
        version(registry, 9)


def test_registering_a_model_again_returns_its_version(registry: Registry) -> None:
    assert register(registry, package_of(STRONG)).number == STRONG_ONE
    assert len(registry.tracking.versions(MODEL_NAME)) == 4


def test_staging_holds_one_model_that_is_fit_for_use(registry: Registry) -> None:
    assert to_staging(registry, version(registry, WEAK_ONE)).passed
    assert to_staging(registry, version(registry, STRONG_ONE)).passed
    assert not to_staging(registry, version(registry, UNFIT_ONE)).passed
    assert stages(registry) == {1: "Archived", 2: "Staging", 3: "None", 4: "None"}
    assert registry.tracking.aliases(MODEL_NAME) == {"staging": 2}


def test_production_does_not_go_back_to_staging(registry: Registry) -> None:
    bring(registry, STRONG_ONE)
    assert to_staging(registry, version(registry, STRONG_ONE)).passed
    assert stages(registry)[STRONG_ONE] == Stage.PRODUCTION


def test_a_refused_release_is_no_failure_while_something_is_in_production(registry: Registry) -> None:
    with pytest.raises(GateRefusedError):
        release(registry, version(registry, UNFIT_ONE), small_accounts())
    assert release(registry, version(registry, STRONG_ONE), small_accounts()).changed
    refused = release(registry, version(registry, TWIN_ONE), small_accounts())
    assert not refused.changed
    assert "gain in roc_auc" in refused.refusal
    assert refused.production.version == STRONG_ONE
    assert stages(registry) == {1: "None", 2: "Production", 3: "Staging", 4: "None"}


def test_a_registered_training_is_found_again_by_its_fingerprint(registry: Registry) -> None:
    found = find_registered(registry, small_accounts(), TWIN)
    assert found is not None
    assert found.number == TWIN_ONE
    assert find_registered(registry, small_accounts()) is None


def test_all_steps_in_one_go_and_the_second_time_nothing_is_left_to_do(
    new_settings: NewSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.accounts.SHARED_DATASET", tmp_path / "none")
    settings = new_settings(engine="lightgbm")
    first = register_trust_models(settings, STRONG, RECIPE)
    again = register_trust_models(settings, STRONG, RECIPE)
    assert (first.changed, first.version.number) == (True, 2)
    assert (again.changed, again.version.number, again.production) == (False, 2, first.production)
    registry = open_registry(settings)
    assert stages(registry) == {1: "Archived", 2: "Production"}
    (ensemble,) = registry.tracking.versions(ENSEMBLE_NAME)
    assert stage_of(ensemble, registry.history()) is Stage.STAGING
    digest = find_accounts(settings).load().digest
    # Both trainings, and the gate was not asked for a first Production: there was nothing to measure against.
    assert count_looks(settings.home, digest) == 2
