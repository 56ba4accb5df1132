"""The documents name what exists, and all that they must name."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from cli.app import build_app
from features.profile import RAW_COLUMNS
from features.refusal import Reason
from runtime.settings import PREFIX, ROOT, Settings
from tests.support_sources import modules, project_files, tree_of

PAGES = sorted(path for path in project_files() if path.suffix == ".md")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
EVENTS = (ROOT / "docs" / "events.md").read_text()
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CALL = re.compile(r"\./kol((?: [^\s`|;>)]+)*)")
ROOT_ERROR = "HandledError"


def handled_errors() -> set[str]:
    """Return the name of every error that the system expects, found in the code and in that of the benches."""
    bases: dict[str, set[str]] = {}
    for path in [*modules().values(), *(ROOT / "benchmarks").rglob("*.py")]:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = {ast.unparse(base) for base in node.bases}
    found = {ROOT_ERROR}
    while fresh := {name for name, above in bases.items() if above & found} - found:
        found |= fresh
    return found


def verb_of(words: list[str]) -> Any:  # noqa: ANN401 - typer's own commands have no common public type
    """Follow words down the command tree of ./kol; None when they lead nowhere."""
    found: Any = typer.main.get_command(build_app())
    for word in words:
        if not hasattr(found, "commands"):
            break
        found = found.commands.get(word)
    return found


def plain_words(call: str) -> list[str]:
    """Return the verb's words of a call: lower-case ones that stand before any option, `--set NAME=VALUE` left out."""
    words = re.sub(r"--set \S+|--json|--help", "", call).split()
    stop = next((index for index, word in enumerate(words) if not re.fullmatch(r"[a-z]+", word)), len(words))
    return words[:stop]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    targets = [target.split("#")[0] for target in LINK.findall(page.read_text()) if "://" not in target]
    assert not [target for target in targets if target and not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    named = set(re.findall(rf"\b{PREFIX}[A-Z0-9_]+", page.read_text()))
    assert not named - {PREFIX + name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_verb_that_a_page_names_exists(page: Path) -> None:
    calls = [plain_words(call) for call in CALL.findall(page.read_text())]
    assert not [words for words in calls if words and verb_of(words) is None]


def test_the_check_of_verbs_sees_a_wrong_one() -> None:
    assert verb_of(plain_words(" model lisst")) is None
    assert verb_of(plain_words(" --set api_port=0 up")) is not None


def test_every_error_of_the_system_stands_in_the_operations_page() -> None:
    assert not handled_errors() - set(re.findall(r"`(\w+Error)`", OPERATIONS))


def test_the_operations_page_names_no_error_that_is_gone() -> None:
    assert not set(re.findall(r"`(\w+Error)`", OPERATIONS)) - handled_errors()


def test_every_reason_of_a_refusal_is_explained() -> None:
    explained = re.findall(r"^\| `(\w+)` \| [^|]*\|$", EVENTS, re.MULTILINE)
    assert tuple(explained) == Reason.__args__  # type: ignore[attr-defined]  # typing hides the members of a Literal


def test_the_fields_of_the_event_are_described_as_they_are() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|[^|]*\|[^|]*\| (yes|no) \|", EVENTS, re.MULTILINE))
    for column in RAW_COLUMNS:
        assert rows.pop(column.name) == ("yes" if column.required else "no")
    assert set(rows) == {"schema_version", "event_id", "event_time", "kol_id"}


def test_the_decisions_are_numbered_without_a_gap() -> None:
    names = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))


def test_the_licence_is_the_one_that_the_project_names() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text()


def test_the_changelog_has_the_version_that_is_worked_on() -> None:
    version = re.search(r'^version = "([\d.]+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert f"## [{version[1]}]" in (ROOT / "CHANGELOG.md").read_text()
