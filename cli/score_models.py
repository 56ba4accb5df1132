"""Which model a file is scored with: Production's, a registered version's, or one in a folder."""

from dataclasses import dataclass
from pathlib import Path

from registry.model import TrustModel, unpack
from registry.shelf import Shelf, read_package
from runtime.settings import Settings

PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class Scorer:
    """A model ready to score and the name that scores made by it carry."""

    name: str
    model: TrustModel


def find_model(settings: Settings, asked: str) -> Scorer:
    """Load the model that was asked for: `production`, a version's number, or the folder of a package.

    A folder whose name is a number is written as `./3`.

    Raises:
        ShelfError: Nothing is in Production, or there is no model in that folder.
        RegistryError: There is no such version.
        ModelRefusedError: The model is broken or made for other features.
    """
    if asked == PRODUCTION:
        return production_model(settings)
    if asked.isdecimal():
        return registered_model(settings, int(asked))
    model = unpack(read_package(Path(asked)), settings.engine)
    return Scorer(f"{model.manifest.name}-{model.sha[:12]}", model)


def production_model(settings: Settings) -> Scorer:
    """Load what is in Production, from the shelf."""
    shelf = Shelf.at(settings.shelf)
    activation = shelf.production()
    return Scorer(activation.maker().model_version, shelf.load(activation.sha, settings.engine))


def registered_model(settings: Settings, number: int) -> Scorer:
    """Load a version of the serving model, from the registry."""
    from registry.stages import stage_of
    from registry.training import MODEL_NAME
    from registry.truth import open_registry

    registry = open_registry(settings)
    version = registry.tracking.version(MODEL_NAME, number)
    model = unpack(registry.package(version), settings.engine)
    return Scorer(f"{MODEL_NAME}-{stage_of(version, registry.history())}-v{number}", model)
