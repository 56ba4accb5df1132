"""The command tree: every verb explains itself, prints JSON when asked, and ends with the exit code of its kind."""

from collections.abc import Iterator
from typing import NoReturn

import pytest
import typer
from rich.console import Console
from typer.core import TyperCommand, TyperGroup

import cli.__main__
from cli.app import build_app
from cli.output import Steps
from runtime.failure import DataQualityError, GateRefusedError, HandledError
from tests.support_cli import kol

NO_DATA = {"serve", "mlflow", "stream run", "stream land", "events schema", "test"}
"""Verbs that run until stopped, let another program speak, or print JSON anyway."""


Node = TyperCommand | TyperGroup


def verbs(node: Node, words: str = "") -> Iterator[tuple[str, TyperCommand]]:
    """Yield every verb by its words."""
    if isinstance(node, TyperCommand):
        yield words, node
        return
    for name, inner in node.commands.items():
        assert isinstance(inner, Node)
        yield from verbs(inner, f"{words} {name}".strip())


ROOT_NODE = typer.main.get_command(build_app())
assert isinstance(ROOT_NODE, Node)
VERBS = dict(verbs(ROOT_NODE))


@pytest.mark.parametrize("words", VERBS)
def test_help_of_every_verb_has_an_example_of_itself(words: str) -> None:
    shown = kol(*words.split(), "--help")
    assert shown.code == 0
    assert f"./kol {words}" in " ".join(shown.out.split()).partition("Example:")[2]


@pytest.mark.parametrize("words", sorted(VERBS.keys() - NO_DATA))
def test_every_verb_that_prints_data_takes_json(words: str) -> None:
    assert "--json" in {option for parameter in VERBS[words].params for option in parameter.opts}


def test_the_verbs_are_the_ones_that_are_promised() -> None:
    promised = {
        "demo",
        "setup",
        "test",
        "up",
        "down",
        "status",
        "doctor",
        "score",
        "train",
        "serve",
        "settings",
        "bench",
    }
    below = {"batch run", "batch import", "stream run", "events replay", "data fetch", "model list", "model show"}
    releases = {"model register", "model promote", "model rollback"}
    assert promised | below | releases <= VERBS.keys()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (HandledError("x"), 1),
        (RuntimeError("x"), 2),
        (GateRefusedError("x"), 3),
        (DataQualityError("x"), 4),
    ],
)
def test_exit_code_says_what_kind_of_end_it_was(error: Exception, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> NoReturn:
        raise error

    app = typer.Typer()
    app.command()(fails)
    monkeypatch.setattr(cli.__main__, "build_app", lambda: app)
    assert kol().code == code


@pytest.mark.parametrize("words", [["settings"], ["--version"], ["settings", "--json"]])
def test_a_good_end_is_exit_code_0(words: list[str]) -> None:
    assert kol(*words).code == 0


@pytest.mark.parametrize("words", [["nosuchverb"], ["settings", "--nosuchflag"], ["--set", "api_port=x", "settings"]])
def test_wrong_words_are_a_handled_error(words: list[str]) -> None:
    ended = kol(*words)
    assert (ended.code, ended.out) == (1, "")
    assert "Traceback" not in ended.err


def test_an_unknown_setting_is_named_with_what_looks_like_it() -> None:
    ended = kol("--set", "api_prot=1", "settings")
    assert ended.code == 1
    assert "unknown setting 'api_prot'" in ended.err
    assert "did you mean 'api_port'" in ended.err


def test_json_goes_to_stdout_alone() -> None:
    shown = kol("settings", "--json")
    assert {"variable": "KOL_API_PORT", "value": 8000} in [
        {name: row[name] for name in ("variable", "value")} for row in shown.json
    ]


def test_the_times_of_two_steps_of_one_name_add_up() -> None:
    steps = Steps(Console(quiet=True))
    steps.seconds["broker"] = 5.0
    with steps.step("broker", "again"):
        pass
    assert steps.seconds["broker"] >= 5.0
