"""`./kol settings`: every setting, its value here and what it means."""

import typer

from cli.context import AsJson, settings_of
from cli.output import emit
from runtime.settings import PREFIX, Settings


def settings(context: typer.Context, as_json: AsJson = False) -> None:  # noqa: FBT002 - a command-line flag
    """List all settings: variable, value in force, meaning.

    Example: KOL_API_PORT=9000 ./kol settings
    """
    values = settings_of(context).model_dump(mode="json")
    rows = [
        {"variable": PREFIX + name.upper(), "value": values[name], "meaning": field.description}
        for name, field in Settings.model_fields.items()
    ]
    emit(rows, title="Settings", as_json=as_json)
