"""Run a verb and turn what went wrong into an exit code: 0 ok, 1 handled, 2 crash, 3 gate refused, 4 data quality."""

import sys
import traceback

from rich.text import Text

from cli.app import build_app
from cli.output import to_people
from runtime.failure import HandledError

HANDLED = 1
CRASH = 2
USAGE = 2
"""What typer exits with when the words of the command line are off; no verb of ours exits with it."""


def main() -> int:
    """Run the verb on the command line; return the exit code."""
    try:
        build_app()()
    except HandledError as error:
        to_people().print(Text.assemble(("error: ", "red"), str(error)), soft_wrap=True)
        return error.exit_code
    except SystemExit as stop:
        return HANDLED if stop.code == USAGE else int(stop.code or 0)
    except Exception:  # noqa: BLE001 - the one place where a crash becomes exit code 2
        traceback.print_exc()
        return CRASH
    return 0


if __name__ == "__main__":
    sys.exit(main())
