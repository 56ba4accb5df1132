"""The verbs of models and of their data, as people type them."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.app import build_app
from registry.shelf import read_package
from registry.synthetic import synthetic_csv
from runtime.failure import GateRefusedError, HandledError


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    (folder / "accounts.csv").write_bytes(synthetic_csv(1_500, seed=3))
    return folder


@pytest.fixture(autouse=True)
def own_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every verb use the home of these tests, and take back what it does to the logging of the process."""
    monkeypatch.setenv("KOL_HOME", str(home))
    monkeypatch.setenv("KOL_DATASET", str(home / "accounts.csv"))
    monkeypatch.setenv("KOL_ENGINE", "lightgbm")
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def kol(*words: str) -> Result:
    """Run a verb; an error that it raised is raised here."""
    result = CliRunner().invoke(build_app(), words)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def trained(home: Path) -> Path:
    """Return what `./kol train` printed last."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KOL_HOME", str(home))
        patch.setenv("KOL_DATASET", str(home / "accounts.csv"))
        return Path(json.loads(kol("train", "--json").stdout)["path"])


def test_train_says_what_came_of_it_and_where_it_is(trained: Path, home: Path) -> None:
    told = json.loads(kol("train", "--json").stdout)
    assert told["path"] == str(trained)
    assert trained == home / "trained" / told["sha"]
    assert read_package(trained).sha == told["sha"]
    assert told["metrics"]["roc_auc"] > 0.85
    assert told["seconds"] > 0
    assert told["peak_memory_mb"] > 50
    assert told["refused_rows"] == 0


def test_train_prints_the_path_as_its_last_line_for_people(trained: Path) -> None:
    result = kol("train")
    assert result.stdout.splitlines()[-1] == str(trained)
    assert "1500 accounts from" in result.stderr


def test_from_training_to_production_and_what_people_read_of_it(trained: Path) -> None:
    (registered,) = json.loads(kol("model", "register", "--json").stdout)
    assert (registered["version"], registered["stage"]) == (1, "None")
    first = json.loads(kol("model", "promote", "1", "--json").stdout)
    assert first["changed"]
    assert first["gate"]["passed"]
    assert "is in Production already" in kol("model", "promote", "1").stderr
    (listed,) = json.loads(kol("model", "list", "--json").stdout)
    measured = read_package(trained).verified_manifest().training["metrics_from_sha"]
    assert (listed["version"], listed["stage"], listed["sha"]) == (1, "Production", measured[:12])
    shown = json.loads(kol("model", "show", "--json").stdout)
    assert shown["manifest"]["training"]["seed"] == "1"
    assert "Production" in kol("model", "list").stdout
    with pytest.raises(HandledError, match="no earlier Production"):
        kol("model", "rollback")


def test_a_refused_promotion_ends_with_the_gates_exit_code(trained: Path) -> None:
    kol("model", "register", str(trained))
    kol("model", "promote", "1")
    second = json.loads(kol("train", "--seed", "2", "--json").stdout)["path"]
    (registered,) = json.loads(kol("model", "register", second, "--json").stdout)
    number = str(registered["version"])
    with pytest.raises(GateRefusedError, match="gain in roc_auc over Production"):
        kol("model", "promote", number)
    forced = json.loads(kol("model", "promote", number, "--force", "--reason", "trial", "--json").stdout)
    assert (forced["production"]["forced"], forced["production"]["why"]) == (True, "trial")
    back = json.loads(kol("model", "rollback", "--reason", "worse", "--json").stdout)
    assert (back["production"]["version"], back["production"]["seq"]) == (1, forced["production"]["seq"] + 1)


def test_force_needs_a_reason() -> None:
    result = kol("model", "promote", "1", "--force")
    assert result.exit_code == 2
    assert "--reason" in result.stderr


def test_describe_tells_where_accounts_come_from_and_what_was_refused(home: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_bytes((home / "accounts.csv").read_bytes().replace(b",human\n", b",alien\n", 1))
    told = json.loads(kol("data", "describe", "--dataset", str(broken), "--json").stdout)
    assert told["accounts"] == 1_499
    assert [row["field"] for row in told["refused"]] == ["account_type"]
    assert {column["column"]: column["unknown"] for column in told["columns"]}["has_url"] == 1_499
    assert "account_type is 'alien'" in kol("data", "describe", "--dataset", str(broken)).stderr


def test_fetch_refuses_what_it_cannot_check() -> None:
    with pytest.raises(HandledError, match="set KOL_DATASET_SHA256 or give --sha256"):
        kol("data", "fetch")


@pytest.mark.parametrize("words", [("train",), ("model", "list"), ("model", "promote"), ("data", "fetch")])
def test_every_verb_shows_an_example(words: tuple[str, ...]) -> None:
    assert "Example: ./kol" in kol(*words, "--help").stdout
