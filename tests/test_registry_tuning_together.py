"""One study, several processes: they share it without losing a trial, and a killed one goes on where it was."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from registry.tuning import open_study, tune
from runtime.settings import ROOT
from tests.support_registry import small_accounts, small_recipe

BASE = small_recipe(seed=3)
CODE = """
import sys
from pathlib import Path
from tests.support_registry import small_accounts, small_recipe
from registry.tuning import tune
tune(small_accounts(), Path(sys.argv[1]), base=small_recipe(seed=3), trials=int(sys.argv[2]))
"""
PATIENCE_SECONDS = 120


def searching(folder: Path, trials: int) -> "subprocess.Popen[bytes]":
    """Start a search in a process of its own."""
    words = [sys.executable, "-c", CODE, str(folder), str(trials)]
    return subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})


def trials_in(folder: Path, digest: str) -> list[FrozenTrial]:
    return open_study(folder, digest).get_trials()


def test_two_processes_share_a_study_and_lose_no_trial(tmp_path: Path) -> None:
    both = [searching(tmp_path, 3), searching(tmp_path, 3)]
    ends = [(process.communicate(timeout=PATIENCE_SECONDS)[1].decode(), process.returncode) for process in both]
    assert [code for _, code in ends] == [0, 0], ends
    found = trials_in(tmp_path, small_accounts().digest)
    assert sorted(trial.number for trial in found) == list(range(6))
    assert {trial.state for trial in found} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert len({tuple(trial.params.values()) for trial in found}) == 6


def test_a_killed_search_goes_on_where_it_was(tmp_path: Path) -> None:
    known = small_accounts()
    process = searching(tmp_path, 1_000)
    ends = time.monotonic() + PATIENCE_SECONDS
    while sum(trial.state.is_finished() for trial in trials_in(tmp_path, known.digest)) < 1:
        assert process.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE_SECONDS)
    before = trials_in(tmp_path, known.digest)
    found = tune(known, tmp_path, base=BASE, trials=1)
    after = trials_in(tmp_path, known.digest)
    finished = sum(trial.state.is_finished() for trial in before)
    assert found.done + found.pruned + found.failed == finished + 1
    assert len(after) == len(before) + 1
    assert found.path.exists()
