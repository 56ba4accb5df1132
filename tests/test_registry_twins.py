"""Refits: promoted on the verdict of their honest twins, measured on nothing that they have seen."""

from collections.abc import Callable

import msgspec
import pytest

from registry.checks import Checks, Rules
from registry.gate import FLIPS, GAIN, SURE_GAIN, TWIN, judge
from registry.looks import looks
from registry.package import METRICS_FROM, Manifest, Package
from registry.register_trust_models import Released, refit_version, release
from registry.release import ask_gate, promote, rollback
from registry.staging import register
from registry.tracking import Version
from registry.training import MODEL_NAME, refit
from registry.truth import Registry, open_registry
from registry.twins import are_twins, find_twin, refit_of
from runtime.failure import GateRefusedError
from runtime.settings import Settings
from tests.support_registry import (
    STRONG,
    STRONG_ONE,
    TWIN_ONE,
    WEAK,
    WEAK_ONE,
    bring,
    package_of,
    small_accounts,
    stages,
    version,
)
from tests.support_registry import TWIN as NEARLY_AS_STRONG

pytest_plugins = ["tests.support_homes"]

RECIPES = {WEAK_ONE: WEAK, STRONG_ONE: STRONG, TWIN_ONE: NEARLY_AS_STRONG}
STRONG_REFIT = 6


def refitted(registry: Registry, number: int) -> Version:
    """Register the refit of a version."""
    return refit_version(registry, version(registry, number), small_accounts(), RECIPES[number])


def retrained(registry: Registry, number: int, tell: Callable[[str], None] | None = None) -> Released:
    """Release a version as `./kol retrain` does."""
    return release(
        registry,
        version(registry, number),
        small_accounts(),
        refitted=lambda honest: refitted(registry, honest.number),
        tell=tell,
    )


def verdict(registry: Registry, number: int) -> Checks:
    return ask_gate(registry, version(registry, number), small_accounts())


def test_the_refit_goes_to_production_when_its_twin_passes(registry: Registry) -> None:
    assert retrained(registry, WEAK_ONE).changed
    released = retrained(registry, STRONG_ONE)
    assert (released.changed, released.version.number) == (True, STRONG_REFIT)
    assert stages(registry) == {1: "Archived", 2: "Archived", 3: "None", 4: "None", 5: "Archived", 6: "Production"}
    manifest = registry.package(released.version).verified_manifest()
    assert manifest.training[METRICS_FROM] == package_of(STRONG).sha
    assert manifest.training["rows"] == str(len(small_accounts()))
    assert registry.shelf.production().sha == released.version.sha
    assert f"{TWIN} the new model" in released.production.verdict
    assert f"{TWIN} Production" in released.production.verdict


def test_a_twin_that_gains_too_little_gets_no_refit(registry: Registry) -> None:
    retrained(registry, STRONG_ONE)
    released = retrained(registry, TWIN_ONE)
    assert not released.changed
    assert GAIN in released.refusal
    assert (released.version.number, released.production.version) == (TWIN_ONE, 5)
    assert refit_of(registry, version(registry, TWIN_ONE)) is None
    assert stages(registry)[TWIN_ONE] == "Staging"


def test_releasing_again_what_is_in_production_as_a_refit_changes_nothing(registry: Registry) -> None:
    first = retrained(registry, STRONG_ONE)
    again = retrained(registry, STRONG_ONE)
    assert (again.changed, again.refusal, again.production) == (False, "", first.production)
    assert len(registry.tracking.versions(MODEL_NAME)) == 5
    assert stages(registry)[STRONG_ONE] == "Archived"


def test_the_gate_measures_the_twins_and_gives_the_same_figures(registry: Registry) -> None:
    bring(registry, WEAK_ONE)
    honest = {line.name: line.value for line in verdict(registry, STRONG_ONE).lines}
    bring(registry, refitted(registry, WEAK_ONE).number)
    ours = {line.name: line.value for line in verdict(registry, refitted(registry, STRONG_ONE).number).lines}
    for name in (GAIN, SURE_GAIN, FLIPS):
        assert ours[name] == honest[name]
    assert f"{package_of(WEAK).sha[:12]}, of the same recipe" in str(ours[f"{TWIN} Production"])


def test_a_refit_whose_twin_is_nowhere_is_refused_and_not_measured(registry: Registry) -> None:
    bring(registry, WEAK_ONE)
    lost = refit(small_accounts(), package_of(STRONG), STRONG)
    training = {**lost.verified_manifest().training, METRICS_FROM: "0" * 64}
    made = register(registry, edited(lost, training=training))
    with pytest.raises(GateRefusedError, match=f"{TWIN} the new model is 000000000000, which is not registered"):
        promote(registry, made, small_accounts())
    bring(registry, made.number)
    with pytest.raises(GateRefusedError, match=f"{TWIN} Production is 000000000000") as refusal:
        promote(registry, version(registry, STRONG_ONE), small_accounts())
    assert GAIN not in str(refusal.value)


def edited(package: Package, **fields: object) -> Package:
    manifest: Manifest = msgspec.structs.replace(package.verified_manifest(), **fields)
    return Package.of(manifest, package.text.decode())


def test_a_model_of_another_recipe_is_no_twin(registry: Registry) -> None:
    boasting = refit(small_accounts(), package_of(WEAK), WEAK)
    training = {**boasting.verified_manifest().training, METRICS_FROM: package_of(STRONG).sha}
    assert find_twin(registry, boasting) is not None
    assert find_twin(registry, edited(boasting, training=training)) is None
    weak, strong = (package_of(recipe).verified_manifest() for recipe in (WEAK, STRONG))
    ours = boasting.verified_manifest()
    assert (are_twins(ours, weak), are_twins(ours, strong), are_twins(ours, ours)) == (True, False, False)


def test_without_a_registry_a_refit_is_not_measured() -> None:
    package = refit(small_accounts(), package_of(STRONG), STRONG)
    checks = judge(package, package_of(WEAK), small_accounts(), rules=Rules(), engine="lightgbm")
    assert [line.name for line in checks.failed] == [f"{TWIN} the new model"]
    assert GAIN not in {line.name for line in checks.lines}


def test_every_look_of_the_gate_is_counted_under_the_model_that_was_measured(registry: Registry) -> None:
    retrained(registry, WEAK_ONE)
    assert looks(registry.home) == ()
    retrained(registry, STRONG_ONE)
    assert [look.sha for look in looks(registry.home)] == [package_of(STRONG).sha] * 2
    assert "look at the locked holdout of these accounts is 2," in registry.history().promotions[-1].verdict


class CrashError(Exception):
    """Stands for the machine stopping."""


@pytest.mark.parametrize("step", ["shelved", "recorded", "switched", "activated", "mirrored", "fitted again"])
def test_a_crash_at_any_step_leaves_a_production_and_trying_again_ends_with_the_refit(
    filled: Settings, step: str
) -> None:
    registry = open_registry(filled)
    bring(registry, WEAK_ONE)

    def crash(written: str) -> None:
        if written == step:
            raise CrashError

    def refit_then_crash(honest: Version) -> Version:
        made = refitted(registry, honest.number)
        crash("fitted again")
        return made

    with pytest.raises(CrashError):
        release(registry, version(registry, STRONG_ONE), small_accounts(), refitted=refit_then_crash, tell=crash)
    serving = registry.shelf.production()
    assert registry.shelf.load(serving.sha, "lightgbm").sha == serving.sha
    mended = open_registry(filled)
    before = step in {"shelved", "recorded", "fitted again"}
    assert mended.shelf.production().version == (WEAK_ONE if before else 5)
    again = retrained(mended, STRONG_ONE)
    assert (again.changed, again.version.number) == (before, 5)
    assert stages(mended) == {1: "Archived", 2: "Archived", 3: "None", 4: "None", 5: "Production"}


def test_a_production_that_came_while_the_refit_was_made_is_judged_against(registry: Registry) -> None:
    bring(registry, WEAK_ONE)

    def overtaken(honest: Version) -> Version:
        bring(registry, TWIN_ONE)
        return refitted(registry, honest.number)

    released = release(registry, version(registry, STRONG_ONE), small_accounts(), refitted=overtaken)
    assert (released.changed, released.production.version) == (False, TWIN_ONE)
    assert GAIN in released.refusal


def test_rollback_from_a_refit_brings_the_one_before_back(registry: Registry) -> None:
    bring(registry, WEAK_ONE)
    retrained(registry, STRONG_ONE)
    assert rollback(registry).promotion.version == WEAK_ONE
    assert retrained(registry, STRONG_ONE).version.number == 5
