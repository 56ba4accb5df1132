"""Which model a file is scored with: Production's, a registered version's, or one in a folder."""

from dataclasses import dataclass
from pathlib import Path

from registry.model import TrustModel, unpack
from registry.package import Package
from registry.shelf import Shelf, read_package
from runtime.settings import Settings

PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class Scorer:
    """A model ready to score and the name that scores made by it carry."""

    name: str
    model: TrustModel


@dataclass(frozen=True, slots=True)
class NamedPackage:
    """A model's files and the name that scores made by it carry."""

    name: str
    package: Package


def find_model(settings: Settings, asked: str) -> Scorer:
    """Load the model that was asked for; see `find_package`.

    Raises:
        ModelRefusedError: The model is broken or made for other features.
    """
    found = find_package(settings, asked)
    return Scorer(found.name, unpack(found.package, settings.engine))


def find_package(settings: Settings, asked: str) -> NamedPackage:
    """Find the files of a model: `production`, `bundled`, a version's number, or the folder of a package.

    A folder whose name is a number is written as `./3`.

    Raises:
        ShelfError: Nothing is in Production, or there is no model in that folder.
        RegistryError: There is no such version.
        ModelRefusedError: The model in that folder, or the registered one, cannot be read safely.
    """
    if asked == PRODUCTION:
        return production_package(settings)
    if asked.isdecimal():
        return registered_package(settings, int(asked))
    package = package_of(asked)
    return NamedPackage(f"{package.verified_manifest().name}-{package.sha[:12]}", package)


def package_of(asked: str) -> Package:
    """Read the model that comes with the code (`bundled`), or the one in a folder, which may come from anywhere.

    Raises:
        ShelfError: There is no model in that folder.
        ModelRefusedError: It cannot be read safely.
    """
    from registry.bundle import BUNDLED, bundled_package
    from registry.quarantine import look_at

    if asked == BUNDLED:
        return bundled_package()
    package = read_package(Path(asked))
    look_at(package)
    return package


def production_package(settings: Settings) -> NamedPackage:
    """Read what is in Production, from the shelf."""
    shelf = Shelf.at(settings.shelf)
    activation = shelf.production()
    return NamedPackage(activation.maker().model_version, shelf.package(activation.sha))


def registered_package(settings: Settings, number: int) -> NamedPackage:
    """Fetch a version of the serving model, from the registry."""
    from registry.stages import stage_of
    from registry.training import MODEL_NAME
    from registry.truth import open_registry

    registry = open_registry(settings)
    version = registry.tracking.version(MODEL_NAME, number)
    name = f"{MODEL_NAME}-{stage_of(version, registry.history())}-v{number}"
    return NamedPackage(name, registry.package(version))
