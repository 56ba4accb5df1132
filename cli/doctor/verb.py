"""The verb: makes all checks and prints what they found."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
import typer

from cli.context import AsJson, settings_of
from cli.output import emit_json, emit_table, to_people

if TYPE_CHECKING:
    from cli.doctor.finding import Check, Finding
    from runtime.settings import Settings


def doctor(context: typer.Context, as_json: AsJson = False) -> None:  # noqa: FBT002 - a command-line flag
    """Check machine, parts, models and data; exit 1 when something failed, each failure with its cause and its remedy.

    What is not there yet on a fresh machine is a note, not a failure. Nothing is changed.

    Example: ./kol doctor --json
    """
    findings = diagnose(settings_of(context), all_checks())
    failed = [finding.check for finding in findings if finding.status == "fail"]
    rows = [msgspec.to_builtins(finding) for finding in findings]
    if as_json:
        emit_json({"ok": not failed, "findings": rows})
    else:
        emit_table("Doctor", rows)
    if failed:
        to_people().print(f"failed: {', '.join(failed)}")
        raise typer.Exit(1)


def all_checks() -> "tuple[Check, ...]":
    """Return all checks, those first on which the others rest."""
    from cli.doctor.data import data_checks
    from cli.doctor.machine import machine_checks
    from cli.doctor.models import model_checks
    from cli.doctor.parts import part_checks

    return (*machine_checks(), *part_checks(), *model_checks(), *data_checks())


def diagnose(settings: "Settings", checks: "Iterable[Check]") -> "list[Finding]":
    """Make the checks one after the other."""
    from cli.doctor.finding import examine

    with to_people().status("looking") as spinner:
        findings = []
        for check in checks:
            spinner.update(f"looking at {check.name}")
            findings.append(examine(check, settings))
    return findings
