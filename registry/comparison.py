"""Two versions side by side: facts, figures, parameters, ranges, and their scores of the same accounts."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from features.score import Hundredths
from registry.accounts import Accounts
from registry.drift import Drift, drift
from registry.engines import EngineKind
from registry.evaluation import roc_auc
from registry.holdout import is_held_out
from registry.looks import has_learned
from registry.model import TrustModel, cached_model
from registry.package import Package

PARTS = ("metrics", "training", "ranges", "calibration")
"""Parts of the manifest that are compared item by item; the rest are facts."""


class Difference(Struct, frozen=True):
    """One item in which two models differ; None where a model does not have it."""

    part: str
    item: str
    a: object
    b: object


class Comparison(Struct, frozen=True):
    """Two models compared.

    Attributes:
        differences: All items of the two manifests that differ.
        drift: How scores of the same accounts move from A to B.
        roc_auc: On the locked holdout of these accounts, by A and by B; None for a model that learned them.
    """

    differences: tuple[Difference, ...]
    drift: Drift
    roc_auc: tuple[float | None, float | None]


def compare(a: Package, b: Package, accounts: Accounts, engine: EngineKind) -> Comparison:
    """Compare two models; B is the newer one.

    Raises:
        ModelRefusedError: One of them is broken or made for another contract.
    """
    first, second = cached_model(a, engine), cached_model(b, engine)
    old, new = (model.score(accounts.profiles).hundredths for model in (first, second))
    held = is_held_out(accounts.ids)
    labels = accounts.labels[held]

    def figure(model: TrustModel, hundredths: Hundredths) -> float | None:
        learned = has_learned(model.manifest, accounts.digest)
        return None if learned else roc_auc(labels, -hundredths[held].astype(float))

    return Comparison(
        differences=differences(a, b),
        drift=drift(new, old),
        roc_auc=(figure(first, old), figure(second, new)),
    )


def differences(a: Package, b: Package) -> tuple[Difference, ...]:
    """Return the items in which two manifests differ, part by part."""
    ours, theirs = (msgspec.to_builtins(package.verified_manifest()) for package in (a, b))
    facts = {"bytes of model text": (len(a.text), len(b.text)), "sha": (a.sha, b.sha)}
    found = [Difference("facts", name, *values) for name, values in facts.items() if values[0] != values[1]]
    rest = [{name: value for name, value in manifest.items() if name not in PARTS} for manifest in (ours, theirs)]
    found += _items("facts", rest[0], rest[1])
    for part in PARTS:
        found += _items(part, ours.get(part, {}), theirs.get(part, {}))
    return tuple(found)


def _items(part: str, a: Mapping[str, object], b: Mapping[str, object]) -> list[Difference]:
    """Return the items of one part that differ."""
    names = [*a, *(name for name in b if name not in a)]
    return [Difference(part, name, a.get(name), b.get(name)) for name in names if a.get(name) != b.get(name)]
