"""`./kol test`: passes its words on to pytest, and its exit code is one of ours."""

import pytest

from cli.test import exit_code
from runtime.settings import ROOT
from tests.support_cli import kol

SELF = "tests/test_cli_test_verb.py"


@pytest.mark.parametrize(("pytest_code", "ours"), [(0, 0), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1)])
def test_only_a_full_pass_is_0(pytest_code: int, ours: int) -> None:
    assert exit_code(pytest_code) == ours


def test_it_collects_what_it_is_told_to(capfd: pytest.CaptureFixture[str]) -> None:
    assert kol("test", "--collect-only", "-q", SELF).code == 0
    assert "test_only_a_full_pass_is_0" in capfd.readouterr().out


def test_no_test_is_a_failure(capfd: pytest.CaptureFixture[str]) -> None:
    assert kol("test", "--collect-only", "-q", SELF, "-k", "nosuchtest").code == 1
    assert "deselected" in capfd.readouterr().out


def test_the_change_check_runs_style_and_types_before_the_tests() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    order = [next(i for i, line in enumerate(lines) if word in line) for word in ("ruff check", "bin/mypy", "kol test")]
    assert order == sorted(order)
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
