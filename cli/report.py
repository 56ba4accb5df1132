"""`./kol report`: a model's figures and pictures on one page, and its card."""

from pathlib import Path
from typing import Annotated

import typer

from cli.context import AsJson, settings_of
from cli.output import emit_json, to_people
from cli.train import note_look


def report(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="production, a version's number, or a model's folder.")] = "production",
    out: Annotated[Path | None, typer.Option("--out", help="Folder; HOME/reports/SHA by default.")] = None,
    dataset: Annotated[Path | None, typer.Option(help="CSV of labelled accounts.")] = None,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Draw a model's report on the locked holdout (report.html, pictures) and write its model card.

    Example: ./kol report production --out report
    """
    from cli.score_models import find_package
    from registry.accounts import find_accounts
    from registry.looks import refuse_learned
    from registry.report import write_report

    settings = settings_of(context, dataset=dataset)
    found = find_package(settings, model)
    accounts = find_accounts(settings).load()
    refuse_learned(found.package.verified_manifest(), accounts.digest)
    folder = out or settings.home.resolve() / "reports" / found.package.sha[:12]
    with to_people().status("drawing"):
        page = write_report(found.package, accounts, folder, prevalence=settings.prevalence)
    note_look(settings.home, found.package.sha, accounts.digest, found.package.verified_manifest().metrics)
    if as_json:
        emit_json({"model": found.name, "page": str(page), "card": str(folder / "model-card.md")})
    else:
        to_people().print(f"{found.name}: {page}", soft_wrap=True)
