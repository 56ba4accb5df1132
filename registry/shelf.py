"""The model shelf: verified models by content, and the list of which was in Production from when on.

Spark workers and API workers read it; only the process that talks to MLflow writes it.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from features.score import Maker
from registry.artifacts import check_files
from registry.engines import EngineKind
from registry.model import TrustModel, unpack
from registry.package import MANIFEST, TEXT, ModelRefusedError, Package
from runtime.failure import HandledError
from runtime.files import write_whole

ACTIVATIONS = "activations.json"
STAGED = "staged.json"


class ShelfError(HandledError):
    """The shelf has no Production model or not the model asked for; the message says what to run."""


class Activation(Struct, frozen=True, forbid_unknown_fields=True):
    """One promotion or rollback: from `effective_from` (RFC 3339, UTC) on, this version is Production."""

    sha: str
    promotion_seq: int
    name: str
    version: int
    effective_from: str

    def maker(self) -> Maker:
        """Return what scores made under this activation say of their maker."""
        return Maker(self.sha, self.promotion_seq, f"{self.name}-Production-v{self.version}")


class Staged(Struct, frozen=True, forbid_unknown_fields=True):
    """A version in Staging: it is scored in Production's shadow, and no caller is answered with it."""

    sha: str
    name: str
    version: int

    def maker(self) -> Maker:
        """Return what shadow scores say of their maker; no promotion has put it in use."""
        return Maker(self.sha, 0, f"{self.name}-Staging-v{self.version}")


@dataclass(frozen=True, slots=True)
class Shelf:
    """A folder `<sha>/` per model, `activations.json` and `staged.json`; every write appears whole or not at all."""

    folder: Path

    def put(self, package: Package) -> str:
        """Store a verified package; return its sha. Storing it again changes nothing."""
        package.verified_manifest()
        target = self.folder / package.sha
        if not target.exists():
            aside = self.folder / f".{package.sha}.{os.getpid()}"
            aside.mkdir(parents=True, exist_ok=True)
            write_whole(aside / MANIFEST, package.manifest)
            write_whole(aside / TEXT, package.text)
            aside.rename(target)
        return package.sha

    def package(self, sha: str) -> Package:
        """Read a package.

        Raises:
            ShelfError: It is not there.
            ModelRefusedError: It is not what its name says.
        """
        package = read_package(self.folder / sha)
        if package.sha != sha:
            raise ModelRefusedError(
                f"the model in {self.folder / sha} is {package.sha[:12]}; delete it, export it again"
            )
        return package

    def load(self, sha: str, engine: EngineKind = "auto") -> TrustModel:
        """Read, verify and unpack a model."""
        return unpack(self.package(sha), engine)

    def activations(self) -> tuple[Activation, ...]:
        """Return all activations, oldest first; none when nothing was ever promoted."""
        path = self.folder / ACTIVATIONS
        if not path.exists():
            return ()
        return msgspec.json.decode(path.read_bytes(), type=tuple[Activation, ...])

    def production(self) -> Activation:
        """Return the activation in force.

        Raises:
            ShelfError: Nothing was promoted yet.
        """
        activations = self.activations()
        if not activations:
            raise ShelfError(
                f"no model in {self.folder} is in Production; take the one that comes with the code (./kol model "
                "register bundled) or your own (./kol train, ./kol model register), then: ./kol model promote VERSION"
            )
        return activations[-1]

    def activate(self, activation: Activation) -> None:
        """Add an activation; the model must be on the shelf and the promotion newer than all before.

        An activation that is already the last one changes nothing.

        Raises:
            ShelfError: See above.
        """
        earlier = self.activations()
        if earlier and earlier[-1] == activation:
            return
        if earlier and earlier[-1].promotion_seq >= activation.promotion_seq:
            raise ShelfError(f"promotion {activation.promotion_seq} is not newer than {earlier[-1].promotion_seq}")
        self.package(activation.sha)
        write_whole(self.folder / ACTIVATIONS, msgspec.json.format(msgspec.json.encode((*earlier, activation))))

    def staged(self) -> Staged | None:
        """Return the version in Staging that is scored in the shadow, or None."""
        path = self.folder / STAGED
        return msgspec.json.decode(path.read_bytes(), type=Staged | None) if path.exists() else None

    def stage(self, staged: Staged | None) -> None:
        """Say which version is in Staging, or that none is; what is said already is not written again.

        Raises:
            ShelfError: Its model is not on the shelf.
            ModelRefusedError: Its model is broken.
        """
        if staged == self.staged():
            return
        if staged is not None:
            self.package(staged.sha)
        write_whole(self.folder / STAGED, msgspec.json.encode(staged))

    def __iter__(self) -> Iterator[str]:
        """Yield the shas of the models on the shelf."""
        return (path.parent.name for path in sorted(self.folder.glob(f"*/{MANIFEST}")) if path.parent.name[0] != ".")

    @classmethod
    def at(cls, folder: Path) -> Self:
        """Open the shelf, making its folder when there is none."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder)


def read_package(folder: Path) -> Package:
    """Read the two files of a model.

    Raises:
        ShelfError: One of them is not there.
        ModelRefusedError: One of them is a link or too large to be a model; it is not read.
    """
    try:
        check_files(folder)
        return Package((folder / MANIFEST).read_bytes(), (folder / TEXT).read_bytes())
    except OSError as error:
        raise ShelfError(f"no model in {folder}: {error.strerror} {error.filename}") from error
