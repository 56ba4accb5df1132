"""The drawing of the house: which room may use which, what starts with what, and how the code is kept small."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from runtime.settings import ROOT
from tests.support_sources import ROOMS, imports_of, is_function, modules, project_files, started_with, tree_of

MAY_IMPORT: dict[str, set[str]] = {
    "features": set(),
    "runtime": {"features"},
    "registry": {"features", "runtime"},
    "batch": {"features", "runtime", "registry"},
    "streaming": {"features", "runtime", "registry"},
    "serving": {"features", "runtime", "registry"},
    "cli": {"features", "runtime", "registry", "batch", "streaming", "serving"},
}
OUTSIDE = {"pyspark", "mlflow", "kafka", "pyarrow", "deltalake", "lmdb", "pandas", "fastapi"}
FILES_AND_PROCESSES = {"os", "pathlib", "shutil", "tempfile", "subprocess", "socket", "urllib", "http"}
SCORER = ("model", "package", "shelf", "engines", "leaves", "trees", "onedal", "calibration", "ensemble")
HEAVY = {"pyspark", "delta", "py4j", "mlflow"}

MOST_FILE_LINES = 300
MOST_FUNCTION_LINES = 40
MAY_CATCH_ALL = ["cli/__main__.py", "cli/doctor/finding.py"]
"""A crash becomes exit code 2 in one of them; in the other, a check that crashes is a finding like others."""
AT_IMPORT = (
    ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
)

# Written in halves, so that this file does not hold what it forbids.
SAID_OF_NOBODY = re.compile(
    "|".join((r"bot[ -]?" + "detect", r"\bis (not )?a " + "bot", "bot or " + "human")), re.IGNORECASE
)
REGISTRIES = ("py" + "pi.org", "python" + "hosted.org", "maven" + ".org", "maven.apache" + ".org", "npm" + "js.")
MACHINES = re.compile("|".join("/" + folder for folder in ("work/", "root/", r"home/\w+/", "Users/")))
OPEN_ENDED = ("." + "ivy2", "cdn." + "jsdelivr")


def python_files() -> list[Path]:
    """Return all Python files of the project, the launcher too."""
    return [path for path in project_files() if path.suffix == ".py" or path.name == "kol"]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function of a file, inner ones too."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function without its docstring."""
    first = function.body[0]
    documented = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def unannotated(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Yield the parameters without a type, and `return` when the result has none."""
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    yield from (arg.arg for arg in every if arg.annotation is None and arg.arg not in {"self", "cls"})
    if function.returns is None:
        yield "return"


def acts(node: ast.stmt) -> bool:
    """Tell whether a statement at the top of a module does something when the module is imported."""
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):
        return ast.unparse(node.test) not in {"TYPE_CHECKING", "__name__ == '__main__'"}
    return not isinstance(node, AT_IMPORT)


def place(path: Path, node: ast.stmt | ast.expr | ast.ExceptHandler) -> str:
    """Say where a node stands."""
    return f"{path.relative_to(ROOT)}:{node.lineno}"


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_the_floors_below(room: str) -> None:
    found = [found for name, path in modules().items() if name.split(".")[0] == room for found in imports_of(path)]
    rooms = ((found.place, found.module.split(".")[0]) for found in found)
    bad = [
        f"{where} imports {other}"
        for where, other in rooms
        if other in ROOMS and other not in MAY_IMPORT[room] | {room}
    ]
    assert found
    assert not bad, "\n".join(bad)


def test_every_room_is_in_the_drawing() -> None:
    assert set(MAY_IMPORT) == set(ROOMS)
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"benchmarks"} == set(ROOMS)


def test_features_touch_nothing_outside() -> None:
    found = [
        found for name, path in modules().items() if name.split(".")[0] == "features" for found in imports_of(path)
    ]
    bad = [f"{f.place} imports {f.module}" for f in found if f.module.split(".")[0] in OUTSIDE | FILES_AND_PROCESSES]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("name", SCORER)
def test_the_scorer_and_the_shelf_start_without_mlflow(name: str) -> None:
    assert f"registry.{name}" in modules()
    assert not HEAVY & started_with(f"registry.{name}")


def test_serving_starts_without_spark_and_mlflow() -> None:
    rooms = [name for name in modules() if name.split(".")[0] == "serving"]
    late = {found.module.split(".")[0] for name in rooms for found in imports_of(modules()[name])}
    assert not HEAVY & (started_with(*rooms) | late)


def test_the_help_starts_without_the_heavy_rooms() -> None:
    assert not HEAVY & started_with("cli.__main__")


def test_only_the_door_to_mlflow_and_what_describes_its_copies_talk_to_it() -> None:
    users = {
        name for name, path in modules().items() for found in imports_of(path) if found.module.split(".")[0] == "mlflow"
    }
    assert "registry.tracking" in users
    assert {name for name in users if not name.startswith("cli.")} == {"registry.mlflow_copy", "registry.tracking"}


def test_no_module_acts_when_it_is_imported() -> None:
    bad = [place(path, node) for path in modules().values() for node in tree_of(path).body if acts(node)]
    assert not bad, "\n".join(bad)


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {
        name: {found.module for found in imports_of(path) if found.module in modules()} - {name}
        for name, path in modules().items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_file_is_long() -> None:
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in python_files()}
    assert not {str(path): lines for path, lines in lengths.items() if lines > MOST_FILE_LINES}


def test_no_function_is_long() -> None:
    bad = [
        f"{place(path, function)} {function.name}: {length(function)} lines"
        for path in python_files()
        for function in functions(path)
        if length(function) > MOST_FUNCTION_LINES
    ]
    assert not bad, "\n".join(bad)


def test_everything_is_annotated() -> None:
    bad = [
        f"{place(path, function)} {function.name}: {', '.join(missing)}"
        for path in python_files()
        for function in functions(path)
        if (missing := list(unannotated(function)))
    ]
    assert not bad, "\n".join(bad)


def test_every_module_says_what_it_is() -> None:
    assert not [str(path.relative_to(ROOT)) for path in python_files() if not ast.get_docstring(tree_of(path))]


def test_nothing_is_caught_that_was_not_meant() -> None:
    bad = [
        place(path, node)
        for path in modules().values()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler) and catches_everything(node)
    ]
    assert [where.split(":")[0] for where in bad] == MAY_CATCH_ALL


def catches_everything(handler: ast.ExceptHandler) -> bool:
    """Tell whether a handler catches what nobody expected."""
    if handler.type is None:
        return True
    names = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
    return bool(names & {"Exception", "BaseException"})


def texts() -> Iterator[tuple[str, str]]:
    """Yield (where, line) of every text of the project that people read or write."""
    for path in project_files():
        if path.suffix not in {".lock", ".png", ".ico", ".parquet", ".gz"} and "LICENSE" not in path.name:
            for number, line in enumerate(path.read_text().splitlines(), 1):
                yield f"{path.relative_to(ROOT)}:{number}", line


def test_nobody_is_called_names() -> None:
    bad = [f"{where} {line.strip()}" for where, line in texts() if SAID_OF_NOBODY.search(line)]
    assert not bad, "\n".join(bad)


def test_no_file_knows_a_machine_or_a_registry() -> None:
    bad = [
        f"{where} {line.strip()}"
        for where, line in texts()
        if MACHINES.search(line) or any(name in line for name in REGISTRIES + OPEN_ENDED)
    ]
    assert not bad, "\n".join(bad)


def test_the_locks_know_no_registry() -> None:
    locks = [path for path in project_files() if path.suffix == ".lock"]
    assert len(locks) >= 5
    assert not [path.name for path in locks if re.search(r"https?://", path.read_text())]


def test_the_tests_of_the_house_would_see_a_bad_one() -> None:
    bad = ast.parse("import os\nos.environ.clear()\nfor name in ():\n    pass\ndef f(x): return x\n")
    assert [acts(node) for node in bad.body] == [False, True, True, False]
    assert list(unannotated(next(node for node in bad.body if isinstance(node, ast.FunctionDef)))) == ["x", "return"]
    assert is_function(bad.body[-1])
    assert SAID_OF_NOBODY.search("a bot" + "-detection service")
