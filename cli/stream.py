"""`./kol stream`: the speed layer."""

from typing import Annotated

import typer

from cli import stream_rejected
from cli.context import AsJson, settings_of
from cli.output import emit, emit_json

app = typer.Typer(no_args_is_help=True, help="The speed layer: score events as they come, and land them in the lake.")


def build_verbs() -> typer.Typer:
    """Put the verbs of the stream together, those about refused events last."""
    verbs = typer.Typer(no_args_is_help=True, help=app.info.help)
    verbs.registered_commands = list(app.registered_commands)
    verbs.add_typer(stream_rejected.app, name="rejected")
    return verbs


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
def ledger(
    context: typer.Context,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line flag
    settled: Annotated[  # noqa: FBT002
        bool, typer.Option("--settled", help="Nothing is under way: waiting counts as missing.")
    ] = False,
) -> None:
    """Balance every offset of the topics against its outcome and its row; exit 4 on any difference.

    Example: ./kol stream ledger --settled
    """
    from cli.stream_ledger import balance_stream

    balance_stream(settings_of(context), as_json=as_json, settled=settled)


@app.command()
def rebuild(
    context: typer.Context,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line flag
    accept_loss: Annotated[  # noqa: FBT002
        bool, typer.Option("--accept-loss", help="Go on after what Kafka's retention has deleted.")
    ] = False,
) -> None:
    """Go on from what the lake holds, when a checkpoint is damaged or a topic was made anew; the stream must not run.

    Example: ./kol stream rebuild
    """
    from dataclasses import asdict

    from streaming.rebuild import rebuild as rebuild_stream

    done = asdict(rebuild_stream(settings_of(context), accept_loss=accept_loss))
    if as_json:
        emit_json(done)
    else:
        emit([done], title="The stream goes on from the lake; start it with ./kol up", as_json=False)


@app.command()
def status(
    context: typer.Context,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line flag
    watch: Annotated[bool, typer.Option("--watch", help="Every second, until Ctrl-C.")] = False,  # noqa: FBT002
) -> None:
    """Show each query's last micro-batch, its rates and how far it is behind Kafka.

    Example: ./kol stream status --watch
    """
    from cli.stream_status import show_status

    show_status(settings_of(context), as_json=as_json, watch=watch)
