"""`./kol serve`: the API and its view keeper."""

from typing import Annotated

import typer

from cli.context import settings_of
from cli.output import to_people


def serve(
    context: typer.Context,
    port: Annotated[
        int | None, typer.Option(help="Port; 0 = any free one. By default 8000 or the next free one.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes; all read the same views.")] = None,
) -> None:
    """Serve trust scores over HTTP until stopped (Ctrl-C or SIGTERM); only this machine can reach it by default.

    Example: ./kol serve --port 8000 --workers 2
    """
    from serving.server import serve as serve_api

    console = to_people()

    def announce(address: str) -> None:
        console.print(f"API on {address}  docs: {address}/docs  stop: Ctrl-C")

    serve_api(settings_of(context, api_port=port, api_workers=workers), announce)
