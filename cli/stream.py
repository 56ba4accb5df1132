"""`./kol stream`: the speed layer."""

import typer

from cli.context import AsJson, settings_of
from cli.output import emit, emit_json, to_people

app = typer.Typer(no_args_is_help=True, help="The speed layer: score events as they come, and land them in the lake.")


@app.command()
def run(context: typer.Context) -> None:
    """Score and land until stopped (Ctrl-C or SIGTERM).

    Example: ./kol stream run
    """
    from streaming.service import run_stream

    run_stream(settings_of(context))


@app.command()
def land(context: typer.Context) -> None:
    """Land what the topics hold now, and end; for when the stream does not run.

    Example: ./kol stream land
    """
    from streaming.service import land_once

    land_once(settings_of(context))


@app.command()
def status(context: typer.Context, as_json: AsJson = False) -> None:  # noqa: FBT002 - a command-line flag
    """Show each query's last micro-batch and how far it is behind Kafka.

    Example: ./kol stream status --json
    """
    import msgspec

    from streaming.status import read_status

    found = read_status(settings_of(context))
    if as_json:
        emit_json(None if found is None else msgspec.to_builtins(found))
    elif found is None:
        to_people().print("the stream never ran here; start it with ./kol up or ./kol stream run")
    else:
        rows = [msgspec.to_builtins(query) for query in found.queries]
        emit(rows, title=f"Stream at {found.at}, model {found.model_version}", as_json=False)
