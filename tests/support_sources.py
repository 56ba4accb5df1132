"""The source text of this project as syntax trees: which module imports what, when it is imported and when it runs."""

import ast
import functools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runtime.settings import ROOT

ROOMS = ("features", "runtime", "registry", "batch", "streaming", "serving", "cli")


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module: its full name, where it stands, and whether it is imported together with the importer."""

    module: str
    place: str
    at_start: bool


def module_name(path: Path) -> str:
    """Return the dotted name of a source file below the root."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def modules() -> dict[str, Path]:
    """Return all modules of the rooms by name."""
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return {module_name(path): path for path in paths}


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """Read one source file."""
    return ast.parse(path.read_text(), str(path))


@functools.cache
def imports_of(path: Path) -> tuple[Import, ...]:
    """Return everything that a file imports; also inside functions, but not for the type checker alone."""
    late = {inner for node in ast.walk(tree_of(path)) if is_function(node) for inner in ast.walk(node)}
    typing_only = {inner for node in ast.walk(tree_of(path)) if _is_type_checking(node) for inner in ast.walk(node)}
    found: list[Import] = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import | ast.ImportFrom) and node not in typing_only:
            place = f"{path.relative_to(ROOT)}:{node.lineno}"
            found += [Import(name, place, node not in late) for name in _imported(node)]
    return tuple(found)


def is_function(node: ast.AST) -> bool:
    """Tell whether a node is a function."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def started_with(*names: str) -> set[str]:
    """Return all modules, ours by full name and others by their first word, that importing some of ours imports."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in modules():
            waiting += [found.module for found in imports_of(modules()[name]) if found.at_start]
            waiting += [parent for parent in _parents(name) if parent in modules()]
    ours = {name for name in seen if name in modules()}
    return ours | {name.split(".")[0] for name in seen - ours}


def project_files() -> list[Path]:
    """Return every file of the project: what git tracks, and what it would if it were added."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in paths if path.is_file()]


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Yield the modules that a statement names; `from room import module` names the module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    assert node.level == 0, "imports are absolute here"
    base = node.module or ""
    members = [f"{base}.{alias.name}" for alias in node.names]
    inner = [name for name in members if name in modules()]
    yield from inner
    if len(inner) < len(members):
        yield base


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]
