"""A packaged model: its text and a JSON manifest. Nothing in it is executed; its sha names all of its content."""

import hashlib
from dataclasses import dataclass
from typing import Literal, Self

import msgspec
from msgspec import Struct

from features.catalogue import NAMES, contract_hash
from features.profile import RAW_NAMES
from registry.calibration import CalibrationError, Platt
from runtime.failure import HandledError

FORMAT = 1
MANIFEST = "manifest.json"
TEXT = "model.txt"
"""Names of the two files in a model's folder."""
REFITTED = "refit_on_all_rows"
"""Training fact of a model that learned from the locked holdout too; nothing can be measured on that any more."""
METRICS_FROM = "metrics_from_sha"
"""Training fact of such a model: its twin, of the same recipe, that never saw the holdout and whose figures it has."""
MOST_MODEL_BYTES = 64 * 2**20
"""Largest model text, bytes; the models of this project have about 2 MB."""


class ModelRefusedError(HandledError):
    """A model is broken, made for another contract or not what its name says; the message says which and what to do."""


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """What travels with a model's text.

    Attributes:
        format: Version of this layout.
        name: Registered model's name.
        contract: Feature contract it was trained for (`features.catalogue.contract_hash`).
        features: Names of its inputs, in order.
        model_sha256: SHA-256 of the model text.
        calibration: From margin to P(untrustworthy).
        ranges: Least and largest value of each raw column in training; a column absent here was never known.
        metrics: Figures of the evaluation, by name.
        training: How it was trained: data, rows, seed, parameters, as text.
        synthetic: Whether it was trained on generated accounts.
        kind: What the text is: LightGBM's, or the parts of an ensemble (`registry.ensemble.Parts`).
    """

    format: int
    name: str
    contract: str
    features: tuple[str, ...]
    model_sha256: str
    calibration: Platt
    ranges: dict[str, tuple[float, float]]
    metrics: dict[str, float]
    training: dict[str, str]
    synthetic: bool
    kind: Literal["lightgbm", "ensemble"] = "lightgbm"


@dataclass(frozen=True, slots=True)
class Package:
    """The two files of a model as bytes; small enough to broadcast."""

    manifest: bytes
    text: bytes

    @classmethod
    def of(cls, manifest: Manifest, text: str) -> Self:
        """Pack a manifest and the model text it describes."""
        return cls(msgspec.json.format(msgspec.json.encode(manifest)), text.encode())

    @property
    def sha(self) -> str:
        """Name of the package by its content: the manifest's SHA-256, and through it the text's."""
        return hashlib.sha256(self.manifest).hexdigest()

    def verified_manifest(self) -> Manifest:
        """Check the package as far as it goes without running the model.

        Raises:
            ModelRefusedError: Broken, too large, not the text its manifest names, or made for another contract.
        """
        try:
            manifest = msgspec.json.decode(self.manifest, type=Manifest)
            manifest.calibration.check()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, CalibrationError) as error:
            raise ModelRefusedError(f"the manifest of model {self.sha[:12]} is broken: {error}") from error
        if len(self.text) > MOST_MODEL_BYTES:
            raise ModelRefusedError(f"the text of model {self.sha[:12]} has {len(self.text)} bytes, over 64 MB")
        if hashlib.sha256(self.text).hexdigest() != manifest.model_sha256:
            raise ModelRefusedError(
                f"the text of model {self.sha[:12]} is not the one its manifest names; export it again"
            )
        check_contract(manifest)
        return manifest


def check_contract(manifest: Manifest) -> None:
    """Refuse a model made for other features, naming the first difference.

    Raises:
        ModelRefusedError: Format, feature names or order, formulas or raw columns differ.
    """
    remedy = "train it again on this version (./kol train), or run the version it was made for"
    if manifest.format != FORMAT:
        raise ModelRefusedError(f"the model has format {manifest.format}, this version reads {FORMAT}; {remedy}")
    for position, (theirs, ours) in enumerate(zip(manifest.features, NAMES, strict=False)):
        if theirs != ours:
            raise ModelRefusedError(f"the model reads {theirs!r} at position {position}, here it is {ours!r}; {remedy}")
    if len(manifest.features) != len(NAMES):
        raise ModelRefusedError(f"the model reads {len(manifest.features)} features, here are {len(NAMES)}; {remedy}")
    if manifest.contract != contract_hash():
        ours = contract_hash()
        raise ModelRefusedError(f"the model's contract is {manifest.contract[:12]}, here it is {ours[:12]}; {remedy}")
    if unknown := manifest.ranges.keys() - set(RAW_NAMES):
        raise ModelRefusedError(f"the model has ranges of {sorted(unknown)}, which are no raw columns; {remedy}")
