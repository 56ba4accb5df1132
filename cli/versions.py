"""Versions of models as people name them, and a version as one row of a table."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import to_people
from runtime.settings import Settings

if TYPE_CHECKING:
    from registry.checks import Checks
    from registry.promotion import History
    from registry.tracking import Version
    from registry.truth import Registry

VersionWord = Annotated[
    str, typer.Argument(metavar="VERSION", help="3, or trust-score-ensemble/3, or an alias such as staging.")
]
Reason = Annotated[str, typer.Option(help="Why, kept in the audit.")]


def open_models(settings: Settings) -> "Registry":
    """Open the registry; the first time takes a few seconds."""
    from registry.truth import open_registry

    with to_people().status("opening the registry"):
        return open_registry(settings)


def find_version(registry: "Registry", word: str | None) -> "Version":
    """Return the version that a word names: `3`, `NAME/3`, or an alias of either; Production by default.

    A bare number or alias is one of the model that serves by default, `production` the one that serves now.

    Raises:
        ShelfError: Nothing is in Production.
        RegistryError: There is no such version.
    """
    from registry.shelf import ShelfError
    from registry.tracking import RegistryError
    from registry.training import MODEL_NAME
    from registry.truth import NAMES

    name, _, last = (word or "production").rpartition("/")
    if name and name not in NAMES:
        raise RegistryError(f"there is no model {name!r}; there are {' and '.join(NAMES)} (./kol model list)")
    if last.isdecimal():
        return registry.tracking.version(name or MODEL_NAME, int(last))
    if not name and last == "production":
        found = registry.production()
        if found is None:
            raise ShelfError("no model is in Production; see ./kol model list, then ./kol model promote VERSION")
        return found
    aliases = registry.tracking.aliases(name or MODEL_NAME)
    if last not in aliases:
        there = ", ".join(sorted(aliases)) or "none"
        raise RegistryError(f"{word!r} is no version: neither a number nor an alias (there are: {there})")
    return registry.tracking.version(name or MODEL_NAME, aliases[last])


def row_of(version: "Version", history: "History") -> dict[str, Any]:
    """Describe a version in one row."""
    from registry.stages import stage_of

    synthetic = version.tags.get("synthetic") == "true"
    return {
        "name": version.name,
        "version": version.number,
        "stage": stage_of(version, history).value,
        "roc_auc": version.tags.get("roc_auc"),
        "registered": version.created_at.isoformat(timespec="seconds"),
        "data": version.tags.get("dataset_sha256", "")[:12] + (" SYNTHETIC" if synthetic else ""),
        "sha": version.sha[:12],
    }


def rows_of(checks: "Checks") -> list[dict[str, Any]]:
    """Describe a verdict, a line per row."""
    return [
        {"check": line.name, "value": line.value, "bound": line.bound, "holds": "yes" if line.passed else "NO"}
        for line in checks.lines
    ]
