"""The verbs of a version's life as people type them, and the way from accounts to Production in one go."""

import pytest

from registry.truth import open_registry
from runtime.settings import Settings
from tests.support_cli import Ran, kol
from tests.support_registry import STRONG_ONE, TWIN_ONE, WEAK_ONE, bring, stages

pytest_plugins = ["tests.support_homes"]


@pytest.fixture
def run(filled: Settings, accounts_csv: str) -> "Run":
    return Run(filled, accounts_csv)


class Run:
    """Runs verbs on one home."""

    def __init__(self, settings: Settings, dataset: str) -> None:
        self.settings = settings
        self._dataset = dataset

    def __call__(self, *words: str) -> Ran:
        """Run a verb with the accounts that the models were trained on."""
        return kol("--set", f"dataset={self._dataset}", "--set", "engine=lightgbm", *words, settings=self.settings)


def test_a_version_goes_up_and_out_of_the_way(run: Run) -> None:
    checked = run("model", "validate", "2", "--json")
    assert (checked.code, checked.json["version"]["stage"], checked.json["validation"]["passed"]) == (0, "None", True)
    assert run("model", "stage", "2", "--json").json["version"]["stage"] == "Staging"
    assert run("model", "show", "staging", "--json").json["version"] == 2
    assert run("model", "promote", "staging").code == 0
    refused = run("model", "archive", "production")
    assert (refused.code, "is in Production; promote another one" in refused.err) == (1, True)
    (row,) = run("model", "archive", "3", "--reason", "not needed", "--json").json
    assert row["stage"] == "Archived"
    assert "archived already" in run("model", "archive", "3").err
    assert stages(open_registry(run.settings)) == {1: "None", 2: "Production", 3: "Archived", 4: "None"}


@pytest.mark.parametrize("verb", ["validate", "stage"])
def test_a_version_that_is_not_fit_for_use_ends_with_the_gates_exit_code(run: Run, verb: str) -> None:
    ran = run("model", verb, "4")
    assert ran.code == 3
    assert "score of the untrustworthy reference is" in ran.err
    assert "NO" in ran.out


def test_a_word_that_names_no_version_is_refused_with_what_there_is(run: Run) -> None:
    assert "neither a number nor an alias (there are: none)" in run("model", "show", "staging").err
    assert "there are trust-score-lightgbm-optuna and trust-score-ensemble" in run("model", "show", "x/1").err
    assert "trust-score-ensemble has no version 1" in run("model", "show", "trust-score-ensemble/1").err


def test_diff_tells_what_changes_in_the_model_and_for_the_accounts(run: Run) -> None:
    found = run("model", "diff", "1", "2", "--json").json
    changed = {(one["part"], one["item"]) for one in found["differences"]}
    assert {("training", "trees"), ("metrics", "roc_auc"), ("calibration", "slope"), ("facts", "sha")} <= changed
    assert ("facts", "contract") not in changed
    assert found["drift"]["accounts"] == 1_500
    assert 0 < found["drift"]["flipped_share"] < 1
    first, second = found["roc_auc"]
    assert second > first + 0.01
    assert "risk levels that flip" in run("model", "diff", "1", "2").out


def test_diff_of_a_version_with_itself_is_nothing(run: Run) -> None:
    found = run("model", "diff", "2", "2", "--json").json
    assert found["differences"] == []
    assert (found["drift"]["flips"], found["drift"]["stability_index"]) == (0, 0)


def test_history_tells_who_did_what_and_what_was_in_production_when(run: Run) -> None:
    bring(open_registry(run.settings), WEAK_ONE)
    assert run("model", "promote", str(STRONG_ONE), "--reason", "better").code == 0
    assert run("model", "promote", str(TWIN_ONE)).code == 3
    entries = run("model", "history", "--json").json["entries"]
    assert [(one["deed"], one["version"]) for one in entries[-4:]] == [
        ("promote", WEAK_ONE), ("promote", STRONG_ONE), ("archive", WEAK_ONE), ("refuse", TWIN_ONE)
    ]  # fmt: skip
    promoted = entries[-3]
    assert (promoted["came_from"], promoted["went_to"], promoted["why"]) == ("None", "Production", "better")
    assert promoted["verdict"].startswith("passed: ")
    assert promoted["metrics"]["roc_auc"] > 0.88
    assert "gain in roc_auc" in entries[-1]["verdict"]
    then = run("model", "history", "--at", promoted["at"], "--json").json["production"]
    assert then["version"] == STRONG_ONE
    before = run("model", "history", "--at", "2020-01-01T00:00:00Z", "--json").json
    assert before["production"] is None
    assert "promote" in run("model", "history").out
    assert run("model", "history", "--at", "yesterday").code == 1


def test_retrain_promotes_over_a_weaker_production_and_is_kept_out_by_an_equal_one(run: Run) -> None:
    bring(open_registry(run.settings), WEAK_ONE)
    won = run("retrain", "--json")
    assert won.json["ensemble"]["stage"] == "Staging"
    assert won.json["looks_at_holdout"] == 4
    assert won.code == 0
    assert (won.json["promoted"], won.json["version"]["stage"]) == (True, "Production")
    again = run("retrain", "--no-ensemble", "--json")
    assert (again.code, again.json["promoted"], again.json["refusal"]) == (0, False, None)
    lost = run("retrain", "--seed", "2", "--no-ensemble", "--json")
    assert (lost.code, lost.json["promoted"]) == (3, False)
    assert "gain in roc_auc over Production is" in lost.err
    assert lost.json["version"]["stage"] == "Staging"
    assert lost.json["production"]["version"] == won.json["version"]["version"]
