"""What every verb gets from the root command: the settings, read once."""

from typing import Annotated, Any

import typer

from runtime.logs import configure_logs
from runtime.settings import Settings, SettingsError, load_settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON to stdout; progress stays on stderr.")]


def parse_flags(pairs: list[str]) -> dict[str, Any]:
    """Turn NAME=VALUE words into settings.

    Raises:
        SettingsError: A word has no `=`.
    """
    flags: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise SettingsError(f"--set takes NAME=VALUE; there was {pair!r}")
        flags[name] = value
    return flags


def settings_of(context: typer.Context, **flags: object) -> Settings:
    """Return the settings of this call; a verb's own flags win over `--set`."""
    given = context.find_root().params
    settings = load_settings(parse_flags(given["overrides"]) | {k: v for k, v in flags.items() if v is not None})
    configure_logs(settings)
    return settings
