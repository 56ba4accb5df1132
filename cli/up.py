"""`./kol up|down|status`: the whole system in the background."""

import msgspec
import typer

from cli.context import AsJson, settings_of
from cli.output import Steps, emit, emit_json, to_people


def up(context: typer.Context, as_json: AsJson = False) -> None:  # noqa: FBT002 - a command-line flag
    """Start broker, topics, stream, API and view keeper, each waited for until it is ready; safe to repeat.

    Example: ./kol up
    """
    from cli.services import start_services
    from cli.setup import ensure_ready

    settings = settings_of(context)
    ensure_ready(settings)
    steps = Steps()
    services = start_services(settings, steps)
    if as_json:
        emit_json({"api": services.address, "streaming": services.streaming, "seconds": steps.seconds})
    else:
        steps.note(f"API on {services.address}  docs: {services.address}/docs  stop: ./kol down")


def down(context: typer.Context, as_json: AsJson = False) -> None:  # noqa: FBT002 - a command-line flag
    """Stop everything that `./kol up` started, in reverse order; a Kafka of your own stays.

    Example: ./kol down
    """
    from cli.services import stop_services

    settings = settings_of(context)
    with to_people().status("stopping"):
        stopped = stop_services(settings)
    if as_json:
        emit_json({"stopped": stopped})
    else:
        to_people().print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


def status(context: typer.Context, as_json: AsJson = False) -> None:  # noqa: FBT002 - a command-line flag
    """Show every background service: process, port, memory, and whether it is ready.

    Example: ./kol status --json
    """
    from cli.service_status import service_states

    rows = [msgspec.to_builtins(found) for found in service_states(settings_of(context))]
    emit(rows, title="Services", as_json=as_json)
