"""Verbs run as people run them, in this process: words in, exit code and both outputs out."""

import io
import json
import logging
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import structlog

from cli.__main__ import main
from runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Ran:
    """How a verb ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """The data that it printed."""
        return json.loads(self.out)


def kol(*words: str, settings: Settings | None = None) -> Ran:
    """Run `./kol` with these words, on the home of `settings` if given; logs go back to where they went before."""
    given = [] if settings is None else ["--set", f"home={settings.home}"]
    before, root = sys.argv, logging.getLogger()
    handlers, level = root.handlers[:], root.level
    sys.argv = ["kol", *given, *words]
    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = main()
    finally:
        sys.argv, root.handlers[:] = before, handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()
    return Ran(code, out.getvalue(), err.getvalue())
