"""`./kol batch`: the nightly layer."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.context import AsJson, settings_of
from cli.output import emit_json, emit_table, to_people

app = typer.Typer(no_args_is_help=True, help="The batch layer: features and scores of every KOL, published together.")

WAIT_SECONDS = 120.0


@app.command()
def run(
    context: typer.Context,
    cutoff: Annotated[str | None, typer.Option(help="RFC 3339 instant; the last midnight UTC by default.")] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait until landing has reached the cutoff.")] = WAIT_SECONDS,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Compute, check and publish features and scores of all events before the cutoff; exit 4 when data is missing.

    Example: ./kol batch run --cutoff 2026-01-31T00:00:00Z
    """
    import msgspec

    from batch.job import run_job

    now = datetime.now(UTC)
    console = to_people()
    with console.status("nightly run"):
        report = run_job(settings_of(context), cutoff=cutoff_of(cutoff, now), now=now, wait_seconds=wait)
    facts = msgspec.to_builtins(report)
    if as_json:
        emit_json(facts)
    else:
        emit_table("Nightly run", [{"fact": name, "value": value} for name, value in facts.items()])


def cutoff_of(text: str | None, now: datetime) -> datetime:
    """Read the cutoff, the last midnight by default.

    Raises:
        typer.BadParameter: It is no RFC 3339 instant.
    """
    from batch.plan import last_midnight
    from features.instant import parse_instant

    try:
        return parse_instant(text) if text else last_midnight(now)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--cutoff") from error


@app.command("import")
def import_profiles(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Profiles as .csv, .jsonl or .parquet, with a kol_id column.")],
    as_json: AsJson = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Send the profiles in a file to `kol.events`, the one entrance; refused rows are named, the rest is sent.

    Rows without event_time count as observed now; rows without event_id get one made from the file and the row, so
    that importing the same file twice adds nothing new.

    Example: ./kol batch import profiles.csv
    """
    from cli.sending import send_file

    send_file(settings_of(context), file, per_second=None, as_json=as_json)
