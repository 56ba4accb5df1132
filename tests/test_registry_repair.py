"""A release that stops half-way, two at once, lost or changed files: a Production that can serve is always there."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest

from registry.audit import read_audit, tampered_lines
from registry.package import ModelRefusedError
from registry.promotion import PRODUCTION_TAG, History, PromotionError
from registry.release import promote, rollback
from registry.staging import archive, register, to_staging
from registry.tracking import FOLDER
from registry.training import MODEL_NAME
from registry.truth import Registry, open_registry
from runtime.failure import GateRefusedError
from runtime.settings import ROOT, Settings
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

pytest_plugins = ["tests.support_homes"]


class CrashError(Exception):
    """Stands for the machine stopping."""


@pytest.mark.parametrize("kind", ["promote", "rollback"])
@pytest.mark.parametrize("step", ["shelved", "recorded", "switched", "activated", "mirrored"])
def test_a_crash_after_any_write_leaves_a_production_that_serves(filled: Settings, kind: str, step: str) -> None:
    registry = open_registry(filled)
    bring(registry, TWIN_ONE, WEAK_ONE)

    def crash(written: str) -> None:
        if written == step:
            raise CrashError

    releases = {
        "promote": lambda: promote(registry, version(registry, STRONG_ONE), small_accounts(), tell=crash),
        "rollback": lambda: rollback(registry, tell=crash),
    }
    with pytest.raises(CrashError):
        releases[kind]()
    target = STRONG_ONE if kind == "promote" else TWIN_ONE
    serving = registry.shelf.production()
    assert registry.shelf.load(serving.sha, "lightgbm").sha == serving.sha

    mended = open_registry(filled)
    in_force = WEAK_ONE if step in {"shelved", "recorded"} else target
    assert mended.shelf.production().version == in_force
    assert stages(mended)[in_force] == "Production"
    assert list(stages(mended).values()).count("Production") == 1
    assert mended.tracking.aliases(MODEL_NAME)["production"] == in_force


@pytest.mark.parametrize("kind", ["stage", "archive"])
@pytest.mark.parametrize("step", ["noted", "moved"])
def test_a_crash_while_staging_or_archiving_touches_no_production(filled: Settings, kind: str, step: str) -> None:
    registry = open_registry(filled)
    bring(registry, WEAK_ONE)
    to_staging(registry, version(registry, STRONG_ONE))

    def crash(written: str) -> None:
        if written.startswith(step):
            raise CrashError

    moves: dict[str, Callable[[], object]] = {
        "stage": lambda: to_staging(registry, version(registry, TWIN_ONE), tell=crash),
        "archive": lambda: archive(registry, version(registry, STRONG_ONE), tell=crash),
    }
    with pytest.raises(CrashError):
        moves[kind]()
    mended = open_registry(filled)
    assert stages(mended)[WEAK_ONE] == "Production"
    assert stages(mended)[STRONG_ONE] == ("Staging" if step == "noted" else "Archived")
    assert mended.tracking.aliases(MODEL_NAME).get("staging") == (STRONG_ONE if step == "noted" else None)
    assert mended.shelf.load(mended.shelf.production().sha, "lightgbm").sha == package_of(WEAK).sha
    assert read_audit(mended.tracking.model_tags(MODEL_NAME))[-1].deed == "archive"


def test_a_production_that_never_got_its_mirrors_is_archived_by_the_next(registry: Registry) -> None:
    def crash(written: str) -> None:
        if written == "activated":
            raise CrashError

    with pytest.raises(CrashError):
        promote(registry, version(registry, WEAK_ONE), small_accounts(), tell=crash)
    bring(registry, STRONG_ONE)
    assert stages(registry) == {1: "Archived", 2: "Production", 3: "None", 4: "None"}


def test_a_promotion_that_stopped_half_way_is_no_part_of_the_history(filled: Settings) -> None:
    registry = open_registry(filled)
    bring(registry, WEAK_ONE)

    def crash(written: str) -> None:
        if written == "recorded":
            raise CrashError

    with pytest.raises(CrashError):
        promote(registry, version(registry, STRONG_ONE), force=True, tell=crash)
    bring(open_registry(filled), TWIN_ONE)
    assert [one.version for one in registry.history().promotions] == [WEAK_ONE, TWIN_ONE]
    assert rollback(registry).promotion.version == WEAK_ONE


RELEASER = """
import sys
from registry.release import promote, rollback
from registry.staging import archive
from registry.training import MODEL_NAME
from registry.truth import open_registry
from runtime.failure import HandledError
from runtime.settings import load_settings
from tests.support_registry import small_accounts

registry = open_registry(load_settings())
kind, version, accounts = sys.argv[1], registry.tracking.version(MODEL_NAME, int(sys.argv[2])), small_accounts()
print("ready", flush=True)
sys.stdin.readline()
try:
    if kind == "promote":
        promote(registry, version, accounts)
    elif kind == "rollback":
        rollback(registry)
    else:
        archive(registry, version)
except HandledError as refusal:
    sys.exit(refusal.exit_code)
"""

Work = tuple[str, int]


@contextmanager
def at_once(settings: Settings, *works: Work) -> Iterator[list[int]]:
    """Let one process per work start it at the same time; yield their exit codes."""
    environment = {"KOL_HOME": str(settings.home), "KOL_ENGINE": "lightgbm", "PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", RELEASER, kind, str(number)],
            cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for kind, number in works
    ]  # fmt: skip
    try:
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        yield [process.wait(timeout=120) for process in started]
    finally:
        for process in started:
            process.kill()
            process.communicate()


def test_of_two_promotions_at_once_one_wins_and_the_other_meets_the_gate(filled: Settings) -> None:
    registry = open_registry(filled)
    bring(registry, WEAK_ONE)
    with at_once(filled, ("promote", STRONG_ONE), ("promote", TWIN_ONE)) as codes:
        assert sorted(codes) == [0, 3]
    winner = (STRONG_ONE, TWIN_ONE)[codes.index(0)]
    assert [one.version for one in registry.history().promotions] == [WEAK_ONE, winner]
    assert registry.shelf.production().version == winner
    assert stages(registry)[winner] == "Production"


def test_all_that_can_be_done_at_once_leaves_one_production_and_a_whole_audit(filled: Settings) -> None:
    registry = open_registry(filled)
    bring(registry, TWIN_ONE, WEAK_ONE)
    works = (("promote", STRONG_ONE), ("archive", STRONG_ONE), ("rollback", WEAK_ONE))
    with at_once(filled, *works) as codes:
        assert set(codes) <= {0, 1, 3}
    now = registry.history().now
    assert now is not None
    assert list(stages(registry).values()).count("Production") == 1
    assert stages(registry)[now.version] == "Production"
    assert registry.shelf.production() == now.activation()
    assert registry.shelf.load(now.sha, "lightgbm").sha == now.sha
    assert not tampered_lines(registry.tracking.model_tags(MODEL_NAME))
    assert open_registry(filled).history().now == now


def test_mirrors_that_somebody_changed_are_mended_when_the_registry_opens(filled: Settings) -> None:
    registry = open_registry(filled)
    bring(registry, WEAK_ONE, STRONG_ONE)
    registry.tracking.mirror_stage(version(registry, TWIN_ONE), "Production")
    registry.tracking.mirror_stage(version(registry, STRONG_ONE), "Archived")
    registry.tracking.set_version_tag(version(registry, TWIN_ONE), "stage", "Production")
    registry.tracking.set_alias(MODEL_NAME, "production", TWIN_ONE)
    registry.tracking.set_alias(MODEL_NAME, "previous", None)
    mended = open_registry(filled)
    assert stages(mended) == {1: "Archived", 2: "Production", 3: "Archived", 4: "None"}
    assert mended.tracking.aliases(MODEL_NAME) == {"production": 2, "previous": 1}


def test_a_lost_shelf_is_filled_again(filled: Settings) -> None:
    registry = open_registry(filled)
    bring(registry, WEAK_ONE, STRONG_ONE)
    before = registry.shelf.production()
    shutil.rmtree(filled.shelf)
    assert open_registry(filled).shelf.production() == before
    shutil.rmtree(filled.shelf / before.sha)
    assert open_registry(filled).shelf.load(before.sha, "lightgbm").sha == before.sha


def test_a_truth_that_lost_its_record_stops_nobody(filled: Settings) -> None:
    registry = open_registry(filled)
    bring(registry, WEAK_ONE, STRONG_ONE)
    registry.tracking.client.delete_registered_model_tag(MODEL_NAME, "promotion.000002")
    mended = open_registry(filled)
    assert mended.shelf.production().promotion_seq == 2
    assert not promote(mended, version(mended, STRONG_ONE)).changed


def test_after_mlflow_was_restored_from_an_older_copy_the_next_release_counts_on(filled: Settings) -> None:
    registry = open_registry(filled)
    bring(registry, WEAK_ONE)
    old = filled.home / "old.db"
    shutil.copyfile(filled.home / "mlflow" / "mlflow.db", old)
    bring(registry, STRONG_ONE, TWIN_ONE)
    restored = filled.model_copy(update={"mlflow_uri": f"sqlite:///{old}"})
    behind = open_registry(restored)
    assert behind.shelf.production().version == TWIN_ONE
    assert promote(behind, version(behind, WEAK_ONE), small_accounts()).promotion.seq == 4
    assert behind.shelf.production().version == WEAK_ONE


def test_files_that_changed_in_mlflow_are_refused(settings: Settings) -> None:
    registry = open_registry(settings)
    made = register(registry, package_of(WEAK))
    (text,) = settings.home.glob(f"mlflow/artifacts/{made.run_id}/artifacts/{FOLDER}/model.txt")
    text.write_bytes(text.read_bytes().replace(b"leaf_value=", b"leaf_value=9", 1))
    with pytest.raises(GateRefusedError, match="not the one its manifest names"):
        promote(registry, made)
    (manifest,) = text.parent.glob("manifest.json")
    manifest.write_bytes(package_of(STRONG).manifest)
    with pytest.raises(ModelRefusedError, match="registered was"):
        promote(registry, made, force=True)
    assert registry.history().now is None


def test_a_truth_that_cannot_be_read_is_shown() -> None:
    with pytest.raises(PromotionError, match="the tag 'production' is '3/x', not seq/name/version/sha"):
        History.of_tags({PRODUCTION_TAG: "3/x"})
    with pytest.raises(PromotionError, match="a promotion's record is"):
        History.of_tags({PRODUCTION_TAG: "1/x/1/abc", "promotion.000001": "{}"})


def test_a_truth_without_its_record_still_says_what_is_in_production() -> None:
    now = History.of_tags({PRODUCTION_TAG: "7/x/3/abc"}).now
    assert now is not None
    assert (now.seq, now.version, now.sha, now.why) == (7, 3, "abc", "not recorded")
    assert msgspec.json.decode(now.encode())["seq"] == 7
