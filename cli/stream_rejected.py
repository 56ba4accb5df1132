"""`./kol stream rejected`: what was refused and why, its bytes, and another try."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import AsJson, settings_of
from cli.output import emit, emit_json, to_people
from cli.sending import sending_bar

if TYPE_CHECKING:
    from datetime import datetime

    from runtime.settings import Settings
    from streaming.rejects import Choice, Rejected
    from streaming.replay import Replayed

app = typer.Typer(
    no_args_is_help=True, help="Refused events, as far as they are landed: look at them, send them again."
)

MOST_SHOWN_BYTES = 2_000
MOST_NAMED = 5
ReasonWord = Annotated[str | None, typer.Option("--reason", help="Only of this reason; README.md lists them.")]
Since = Annotated[str | None, typer.Option("--since", help="Only those refused since then (RFC 3339).")]


@app.command("list")
def list_reasons(
    context: typer.Context,
    reason: ReasonWord = None,
    since: Since = None,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Count the refused events by reason, with the newest of each as examples.

    Example: ./kol stream rejected list --since 2026-01-31T00:00:00Z
    """
    from streaming.rejects import read_counts

    settings = settings_of(context)
    counts = [asdict(count) for count in read_counts(settings, choice_of(reason, since))]
    if as_json:
        emit_json(counts)
    elif not counts:
        to_people().print("nothing that was landed has been refused")
    else:
        rows = [{**count, "examples": "\n".join(count["examples"])} for count in counts]
        emit(rows, title="Refused events", as_json=False)


@app.command()
def show(
    context: typer.Context,
    place: Annotated[str, typer.Argument(metavar="TOPIC_ID:PARTITION:OFFSET", help="Where the event stood.")],
    as_json: AsJson = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Show one refused event: what was wrong, its first bytes, and what to do.

    Example: ./kol stream rejected show ZtzWYgxGQPyq7WgbNLUjyQ:0:42
    """
    from streaming.rejects import Place, find_reject, printable

    facts = facts_of(find_reject(settings_of(context), Place.read(place)))
    if as_json:
        emit_json(facts)
        return
    for name, value in facts.items():
        if name != "value_base64":
            typer.echo(f"{name:12} {'-' if value is None else printable(str(value).encode(errors='backslashreplace'))}")


@app.command()
def replay(  # noqa: PLR0913 - a verb's options
    context: typer.Context,
    places: Annotated[list[str] | None, typer.Argument(metavar="[PLACE]...", help="Which; all when not given.")] = None,
    *,
    reason: ReasonWord = None,
    since: Since = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing; say what would be sent.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send refused events through kol.events again, with the bytes that they had; the header kol-replay-of says so.

    They are decided like any other event and keep their row among the refused ones. Sending twice does no harm.

    Example: ./kol stream rejected replay --reason future_time --dry-run
    """
    from streaming.replay import ReplayError

    settings = settings_of(context)
    chosen = choice_of(reason, since, places or [])
    done = replay_chosen(settings, chosen, dry_run=dry_run, yes=yes)
    if as_json:
        emit_json({**asdict(done), "dry_run": dry_run})
    else:
        would = "would be sent" if dry_run else "were sent"
        to_people().print(f"{done.sent} events {would}, of which {done.accepted} would be accepted by now")
    if done.gone or done.foreign:
        kept = [*done.gone, *done.foreign]
        shown = ", ".join(kept[:MOST_NAMED]) + (" ..." if len(kept) > MOST_NAMED else "")
        raise ReplayError(
            f"{len(done.gone)} events have more bytes than the table keeps and are gone from Kafka, "
            f"{len(done.foreign)} never were events: {shown}; they stay where they are, ask their producers"
        )


def replay_chosen(settings: "Settings", chosen: "Choice", *, dry_run: bool, yes: bool) -> "Replayed":
    """Check that every named place is there, ask, and send."""
    from streaming.rejects import find_reject, read_counts, read_rejects
    from streaming.replay import Replayed
    from streaming.replay import replay as send_again

    for place in chosen.places:
        find_reject(settings, place)
    count = len(chosen.places) or sum(each.events for each in read_counts(settings, chosen))
    if not count:
        return Replayed()
    if not (dry_run or yes):
        typer.confirm(f"send {count} refused events through kol.events again?", abort=True, err=True)
    with sending_bar() as bar:
        task = bar.add_task("replaying", total=count)
        rejects = read_rejects(settings, chosen)
        return send_again(settings, rejects, dry_run=dry_run, report=lambda n: bar.update(task, completed=n))


def choice_of(reason: str | None, since: str | None, places: list[str] | None = None) -> "Choice":
    """Turn words into a choice.

    Raises:
        typer.BadParameter: There is no such reason, or the time is none.
    """
    from typing import get_args

    from features.refusal import Reason
    from streaming.rejects import Choice, Place

    if reason is not None and reason not in get_args(Reason):
        raise typer.BadParameter(f"there is no reason {reason!r}; there are: {', '.join(get_args(Reason))}")
    return Choice(reason, instant_of(since), tuple(Place.read(words) for words in places or []))


def instant_of(text: str | None) -> "datetime | None":
    """Read a time.

    Raises:
        typer.BadParameter: It is none.
    """
    from features.instant import parse_instant

    try:
        return parse_instant(text) if text else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from error


def facts_of(rejected: "Rejected") -> dict[str, object]:
    """Return what is known of a refused event, with its first bytes as text and as base64, and what to do."""
    import base64

    from streaming.rejects import REMEDIES, printable

    head = rejected.value_head
    text = None if head is None else printable(head[:MOST_SHOWN_BYTES])
    return {
        "place": str(rejected.place),
        "topic": rejected.topic,
        "reason": rejected.reason,
        "field": rejected.field,
        "detail": rejected.detail,
        "rejected_at": rejected.rejected_at,
        "bytes": rejected.value_bytes,
        "sha256": rejected.value_sha256,
        "whole": rejected.is_whole,
        "begins_with": text,
        "value_base64": None if head is None else base64.b64encode(head).decode(),
        "what_to_do": dict(REMEDIES).get(rejected.reason),  # type: ignore[call-overload]  # a word of another version
    }
