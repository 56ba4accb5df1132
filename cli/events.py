"""`./kol events`: the entrance of the system."""

from pathlib import Path
from typing import Annotated

import typer

from cli.context import AsJson, settings_of
from cli.output import emit_json

app = typer.Typer(no_args_is_help=True, help="KOL events: send them, and the schema that other teams send by.")


@app.command()
def replay(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Profiles as .csv, .jsonl or .parquet, with a kol_id column.")],
    rate: Annotated[float | None, typer.Option(min=0.01, help="Events per second; as fast as it goes without.")] = None,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Send the rows of a file as events, in order, at a rate.

    Example: ./kol events replay profiles.jsonl --rate 100
    """
    from cli.sending import send_file

    send_file(settings_of(context), file, per_second=rate, as_json=as_json)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the event.

    Example: ./kol events schema > kol-event.schema.json
    """
    from features.schema import event_schema

    emit_json(event_schema())
