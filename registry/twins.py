"""Refits and their twins: a model that learned from all rows is measured by the one of the same recipe that did not.

A refit has seen the locked holdout, so nothing measured there says how good it is. Its honest twin, named by
`metrics_from_sha`, learned from the other accounts only: what is asked of the refit is asked of the twin.
"""

from registry.package import METRICS_FROM, REFITTED, Manifest, ModelRefusedError, Package
from registry.shelf import Shelf, ShelfError
from registry.tracking import RegistryError, Version
from registry.truth import NAMES, Registry
from runtime.settings import TRAINED

OF_THE_FIT = frozenset({"dataset_sha256", "fingerprint", "rows", "metrics_from", METRICS_FROM, REFITTED})
"""Training facts that a refit does not share with its twin; the recipe is all the others."""


def is_refit(package: Package) -> bool:
    """Tell whether a model learned from the locked holdout too.

    Raises:
        ModelRefusedError: The package is broken.
    """
    return REFITTED in package.verified_manifest().training


def twin_sha(package: Package) -> str:
    """Name the package that is measured in this one's stead: its own, or that of a refit's twin; empty = unknown."""
    training = package.verified_manifest().training
    return training.get(METRICS_FROM, "") if REFITTED in training else package.sha


def find_twin(registry: Registry, package: Package) -> Package | None:
    """Return what is measured in a model's stead: itself, or the twin of a refit.

    Returns:
        None when a refit's twin is neither registered nor among the models that were trained here, its files are lost
        or broken, or it is of another recipe or other accounts than the refit says.
    """
    if not is_refit(package):
        return package
    sha = twin_sha(package)
    version = version_of(registry, sha)
    try:
        twin = registry.package(version) if version else Shelf(registry.home / TRAINED).package(sha)
        return twin if are_twins(package.verified_manifest(), twin.verified_manifest()) else None
    except (ModelRefusedError, RegistryError, ShelfError):
        return None


def version_of(registry: Registry, sha: str) -> Version | None:
    """Return the version that a package is registered as, or None."""
    versions = (version for name in NAMES for version in registry.tracking.versions(name))
    return next((version for version in versions if sha and version.sha == sha), None)


def refit_of(registry: Registry, version: Version) -> Version | None:
    """Return the newest registered refit of a version, or None."""
    versions = reversed(registry.tracking.versions(version.name))
    return next((one for one in versions if one.tags.get(METRICS_FROM) == version.sha), None)


def are_twins(refit: Manifest, honest: Manifest) -> bool:
    """Tell whether two models are of one recipe and the same accounts, the second one not itself a refit."""
    same_accounts = _accounts(refit) == _accounts(honest)
    return REFITTED not in honest.training and same_accounts and _recipe(refit) == _recipe(honest)


def _accounts(manifest: Manifest) -> str:
    """Name the accounts, without the words on what of them was learned."""
    return manifest.training.get("dataset_sha256", "").partition(" ")[0]


def _recipe(manifest: Manifest) -> dict[str, str]:
    """Return all that shaped a model but the rows."""
    choices = {name: value for name, value in manifest.training.items() if name not in OF_THE_FIT}
    return {"kind": manifest.kind, "contract": manifest.contract, **choices}
