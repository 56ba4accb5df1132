"""`./kol model bundle`: which model comes with the code."""

from pathlib import Path
from typing import Annotated

import typer

from cli.context import AsJson
from cli.output import emit_json, to_people


def bundle(
    path: Annotated[Path, typer.Argument(help="Folder that './kol train' printed.")],
    as_json: AsJson = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Put a model trained on real accounts in the place of the one that comes with the code, and write its card.

    For those who release the code. The last line of './kol train' is the path of the model that learned all accounts.

    Example: ./kol model bundle .kol/trained/SHA
    """
    from registry.bundle import write_bundle
    from registry.shelf import read_package

    package = read_package(path)
    card = write_bundle(package)
    if as_json:
        emit_json({"sha": package.sha, "card": str(card)})
    else:
        to_people().print(f"{package.sha}: {card}", soft_wrap=True)
