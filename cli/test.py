"""`./kol test`: all tests, those without a JVM first."""

import subprocess
import sys
from typing import Annotated

import typer

from cli.context import settings_of
from cli.setup import ensure_ready
from runtime.settings import ROOT

Long = Annotated[bool, typer.Option("--long", help="Run the kill, soak and browser suites too.")]
CollectOnly = Annotated[bool, typer.Option("--collect-only", help="Only list the tests.")]
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
"""How typer lets pytest's own options through."""


def run_tests(
    context: typer.Context,
    long: Long = False,  # noqa: FBT002 - a command-line flag
    collect_only: CollectOnly = False,  # noqa: FBT002 - same
) -> None:
    """Set up what the tests need and run them; further arguments go to pytest. Exit 1 when any test fails.

    Example: ./kol test -k decoder -x
    """
    settings = settings_of(context)
    if not collect_only:
        ensure_ready(settings)
    flags = [flag for flag, given in (("--long", long), ("--collect-only", collect_only)) if given]
    done = subprocess.run([sys.executable, "-m", "pytest", *flags, *context.args], cwd=ROOT, check=False)
    raise typer.Exit(exit_code(done.returncode))


def exit_code(pytest_code: int) -> int:
    """Return the verb's exit code: 0 when all passed, else 1, also when there was no test.

    pytest's own codes say other things than ours: its 3 and 4 are a crash and a bad argument.
    """
    return 0 if pytest_code == 0 else 1
