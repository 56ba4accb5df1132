"""The audit: who did what to which version, when, why and with which verdict. Lines are added, never changed.

Promotions and rollbacks have their record in the truth's own chain (`registry.promotion`), which a crash cannot leave
behind the truth. All else that is done to a version is a tag `audit.NNNNNN` of the registered model here. Each line
holds the hash of the one before, so a line that was changed or removed afterwards shows.
"""

import getpass
import hashlib
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from registry.promotion import History, Promotion
from runtime.failure import HandledError

AUDIT_PREFIX = "audit."
MAIN_METRICS = ("roc_auc", "pr_auc", "brier", "ece15", "masked_roc_auc")
"""Figures that a line of the audit holds; the package has all."""

Deed = Literal["register", "validate", "stage", "archive", "refuse"]


class AuditError(HandledError):
    """A line of the audit cannot be read; the message shows what stands there."""


class Entry(Struct, frozen=True):
    """One thing that was done to a version, or refused.

    Attributes:
        at: When, RFC 3339 in UTC.
        by: Who, as `user@host`.
        deed: What.
        name: Registered model.
        version: Its version.
        sha: Sha of its package.
        came_from: Stage before.
        went_to: Stage after; the same where it was refused.
        why: What for, in words.
        metrics: Main figures of the version.
        verdict: What validation or the gate said, in words.
    """

    at: str
    by: str
    deed: str
    name: str
    version: int
    sha: str
    came_from: str
    went_to: str
    why: str = ""
    metrics: dict[str, float] = {}
    verdict: str = ""


class Line(Struct, frozen=True):
    """A stored entry and the SHA-256 of the line before; empty for the first."""

    entry: Entry
    before: str


def next_line(tags: Mapping[str, str], entry: Entry) -> tuple[str, str]:
    """Return the tag, name and text, that adds an entry to the audit in `tags`. The caller holds the release lock."""
    lines = _lines(tags)
    number = int(lines[-1][0].removeprefix(AUDIT_PREFIX)) + 1 if lines else 1
    before = _hash(lines[-1][1]) if lines else ""
    return f"{AUDIT_PREFIX}{number:06d}", msgspec.json.encode(Line(entry, before)).decode()


def read_audit(tags: Mapping[str, str]) -> tuple[Entry, ...]:
    """Return everything that was done, oldest first, promotions and rollbacks included.

    Raises:
        AuditError: A line is no such text.
        PromotionError: The truth or its records cannot be read.
    """
    entries = [_parse(tag, text).entry for tag, text in _lines(tags)]
    entries += _of_history(History.of_tags(tags))
    return tuple(sorted(entries, key=lambda entry: entry.at))


def tampered_lines(tags: Mapping[str, str]) -> tuple[str, ...]:
    """Name the lines whose predecessor is not the one that stood there when they were added."""
    lines = _lines(tags)
    before = ["", *(_hash(text) for _, text in lines)]
    return tuple(tag for (tag, text), wanted in zip(lines, before, strict=False) if _parse(tag, text).before != wanted)


def main_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Choose the figures that a line holds."""
    return {name: metrics[name] for name in MAIN_METRICS if name in metrics}


def who() -> str:
    """Name who does this, `user@host`; in a container the user may have no name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def _of_history(history: History) -> Sequence[Entry]:
    """Tell each promotion and rollback as an entry, and the archiving that it brings about."""
    told: list[Entry] = []
    for number, one in enumerate(history.promotions):
        told.append(_entry(one, one.kind, one.came_from, "Production", one))
        before = history.promotions[number - 1] if number else None
        if before and not before.is_of(one.name, one.version):
            told.append(_entry(one, "archive", "Production", "Archived", before))
    return told


def _entry(cause: Promotion, deed: str, came_from: str, went_to: str, of: Promotion) -> Entry:
    """Tell what a promotion does to one of the two versions that it concerns."""
    itself = cause is of
    return Entry(
        at=cause.at,
        by=cause.by,
        deed=f"{deed} (forced)" if itself and cause.forced else deed,
        name=of.name,
        version=of.version,
        sha=of.sha,
        came_from=came_from,
        went_to=went_to,
        why=cause.why if itself else f"{cause.kind} {cause.name} version {cause.version}",
        metrics=of.metrics,
        verdict=cause.verdict if itself else "",
    )


def _lines(tags: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return tags and texts of the audit's lines, oldest first."""
    return sorted((tag, text) for tag, text in tags.items() if tag.startswith(AUDIT_PREFIX))


def _parse(tag: str, text: str) -> Line:
    """Read one line."""
    try:
        return msgspec.json.decode(text, type=Line)
    except msgspec.DecodeError as error:
        raise AuditError(f"the audit's line {tag!r} is {text!r}: {error}; mend it in MLflow") from error


def _hash(text: str) -> str:
    """Name a line by its content."""
    return hashlib.sha256(text.encode()).hexdigest()
