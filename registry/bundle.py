"""The model that comes with the code: trained by `./kol train` on real accounts, as text, with its card.

The accounts may not be passed on, what was learned from them may. So a machine without them gives meaningful scores.
"""

from pathlib import Path
from typing import Self

from registry.card import model_card
from registry.model import unpack
from registry.package import MANIFEST, TEXT, Package
from registry.shelf import read_package
from runtime.failure import HandledError
from runtime.files import write_whole

BUNDLED = "bundled"
"""What it is called where a model is asked for."""
FOLDER = Path(__file__).with_name("bundled")
CARD = "MODEL_CARD.md"


class BundleError(HandledError):
    """A model is not fit to be shipped; the message says why."""

    @classmethod
    def synthetic(cls, sha: str) -> Self:
        """Say that it knows no real account."""
        return cls(
            f"model {sha[:12]} was trained on generated accounts, which say nothing of real ones; train it on labelled "
            "accounts: ./kol train --dataset CSV"
        )


def bundled_package() -> Package:
    """Read the model that comes with the code.

    Raises:
        ShelfError: Its files are not there; the copy of the code is not whole.
    """
    return read_package(FOLDER)


def write_bundle(package: Package, folder: Path = FOLDER) -> Path:
    """Put a model in the place of the one that comes with the code; return its card.

    Raises:
        BundleError: It was trained on generated accounts.
        ModelRefusedError: It is broken or made for another feature contract.
    """
    manifest = unpack(package).manifest
    if manifest.synthetic:
        raise BundleError.synthetic(package.sha)
    write_whole(folder / MANIFEST, package.manifest)
    write_whole(folder / TEXT, package.text)
    write_whole(folder / CARD, model_card(manifest, package.sha).encode())
    return folder / CARD
