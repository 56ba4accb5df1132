"""`./kol model history`: what was done to which version, and what was in Production when."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import AsJson, settings_of
from cli.output import emit, emit_json, emit_table, to_people
from cli.versions import open_models

if TYPE_CHECKING:
    from registry.audit import Entry


def history(
    context: typer.Context,
    *,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Which version was in Production then? RFC 3339, with zone.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the audit, oldest first: who did what to which version, when, why, with which figures and verdict.

    Lines are added and never changed; one that was changed or removed from outside is named.

    Example: ./kol model history --at 2026-01-31T12:00:00Z
    """
    import msgspec

    from registry.audit import read_audit, tampered_lines
    from registry.training import MODEL_NAME

    registry = open_models(settings_of(context))
    if at is not None:
        _emit_then(registry.history().at(_instant(at)), at, as_json=as_json)
        return
    tags = registry.tracking.model_tags(MODEL_NAME)
    entries, tampered = read_audit(tags), tampered_lines(tags)
    if as_json:
        emit_json({"entries": msgspec.to_builtins(entries), "tampered": tampered})
    else:
        emit([_row(entry) for entry in entries], title="History", as_json=False)
    if tampered:
        to_people().print(
            f"[red]the line before {', '.join(tampered)} was changed or removed after it was written[/red]"
        )


def _instant(text: str) -> Any:  # noqa: ANN401 - a datetime; the module is imported by every verb
    """Read the time that was asked for."""
    from features.instant import parse_instant

    try:
        return parse_instant(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--at") from error


def _emit_then(promotion: Any, at: str, *, as_json: bool) -> None:  # noqa: ANN401 - a Promotion or None; same
    """Print what was in Production at a time."""
    import msgspec

    found = msgspec.to_builtins(promotion)
    if as_json:
        emit_json({"at": at, "production": found})
    elif found is None:
        to_people().print(f"no model was in Production at {at}")
    else:
        emit_table(f"Production at {at}", [{"fact": name, "value": value} for name, value in found.items()])


def _row(entry: "Entry") -> dict[str, object]:
    """Describe an entry for people; --json has all of it."""
    auc = entry.metrics.get("roc_auc")
    return {
        "at": entry.at[:19] + "Z",
        "by": entry.by,
        "what": entry.deed,
        "version": f"{entry.name}/{entry.version}",
        "from": entry.came_from or None,
        "to": entry.went_to or None,
        "roc_auc": None if auc is None else f"{auc:.5f}",
        "verdict": _shortened(entry.verdict) or None,
        "why": entry.why or None,
    }


def _shortened(verdict: str) -> str:
    """Say the verdict without the lines that held."""
    if verdict.startswith("refused"):
        return verdict.split("; held:", maxsplit=1)[0]
    return verdict.split(":", maxsplit=1)[0]
