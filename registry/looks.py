"""Every look at the locked holdout, on record: who looks often enough finds a model that is good on it by chance."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from features.instant import format_instant
from registry.audit import who
from registry.package import REFITTED, Manifest
from runtime.clock import Clock, utc_now
from runtime.failure import HandledError
from runtime.settings import TRAINED

LOOKS = Path(TRAINED, "looks.jsonl")
"""One JSON value a line, below HOME; only ever appended to."""
TOLD = ("roc_auc", "ece15", "brier")
"""Figures that are kept with a look."""


class LearnedError(HandledError):
    """A model was to be measured on accounts that it learned; the message says which model can be."""


def refuse_learned(manifest: Manifest, dataset_sha256: str) -> None:
    """Refuse to measure a model on the locked holdout of accounts that it was refitted on: it knows them.

    Raises:
        LearnedError: It was.
    """
    if has_learned(manifest, dataset_sha256):
        raise LearnedError(
            "this model learned all of these accounts, the locked ones too: its figures on them would say nothing; "
            f"take the model that was measured, {manifest.training.get('metrics_from_sha', 'see ./kol model list')}"
        )


def has_learned(manifest: Manifest, dataset_sha256: str) -> bool:
    """Tell whether a model was refitted on all of some accounts."""
    return REFITTED in manifest.training and manifest.training["dataset_sha256"].startswith(dataset_sha256)


class Look(Struct, frozen=True, forbid_unknown_fields=True):
    """One measurement on the locked holdout.

    Attributes:
        at: When, RFC 3339, UTC.
        by: Who, `user@host`.
        sha: Package that was measured.
        dataset_sha256: Accounts whose holdout it was.
        figures: What was seen.
    """

    at: str
    by: str
    sha: str
    dataset_sha256: str
    figures: dict[str, float]


def record_look(home: Path, sha: str, dataset_sha256: str, metrics: dict[str, float], *, clock: Clock = utc_now) -> int:
    """Append a look and return how many there were at the holdout of these accounts, this one included.

    A line is written by one call in append mode, so two processes do not mix theirs.
    """
    figures = {name: metrics[name] for name in TOLD if name in metrics}
    look = Look(format_instant(clock()), who(), sha, dataset_sha256, figures)
    path = home.resolve() / LOOKS
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, msgspec.json.encode(look) + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)
    return count_looks(home, dataset_sha256)


def count_looks(home: Path, dataset_sha256: str) -> int:
    """Count the looks so far at the locked holdout of some accounts."""
    return sum(look.dataset_sha256 == dataset_sha256 for look in looks(home))


def looks(home: Path) -> tuple[Look, ...]:
    """Return all looks, oldest first; a line that a crash cut short is left out."""
    path = home.resolve() / LOOKS
    return tuple(_readable(path.read_bytes())) if path.is_file() else ()


def _readable(content: bytes) -> Iterator[Look]:
    """Yield the looks of all whole lines."""
    for line in content.splitlines():
        try:
            yield msgspec.json.decode(line, type=Look)
        except msgspec.DecodeError:
            continue
