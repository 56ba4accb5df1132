"""Promotions: the one value that says which model is in Production, and the record of each that ever was."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Self

import msgspec
from msgspec import Struct

from features.instant import parse_instant
from registry.shelf import Activation
from runtime.failure import HandledError

PRODUCTION_TAG = "production"
"""Tag of the registered model that is the truth: `seq/name/version/sha`. Everything else follows from it."""

RECORD_PREFIX = "promotion."
UNRECORDED_AT = "1970-01-01T00:00:00.000000Z"
MOST_WHY = 1_000
"""Characters kept of a reason."""
MOST_VERDICT = 2_000
"""Characters kept of a verdict; the whole of it is with the run. MLflow's databases keep 5,000 of a tag."""


Kind = Literal["promote", "rollback"]


class PromotionError(HandledError):
    """The record of promotions cannot be read; the message shows what stands there."""


class Promotion(Struct, frozen=True):
    """One promotion or rollback.

    Attributes:
        seq: Raised by every promotion and rollback.
        after: The promotion that was in force before; None for the first.
        name: Registered model.
        version: Its version.
        sha: Sha of its package.
        kind: What brought it about.
        at: When, RFC 3339 in UTC.
        by: Who, as `user@host`.
        why: What for, in words.
        forced: Whether the gate had said no.
        came_from: Stage of the version before.
        metrics: Its main figures at that time.
        verdict: The gate's lines in words; empty where it was not asked.
    """

    seq: int
    after: int | None
    name: str
    version: int
    sha: str
    kind: Kind
    at: str
    by: str
    why: str
    forced: bool
    came_from: str = ""
    metrics: dict[str, float] = {}
    verdict: str = ""

    @property
    def truth(self) -> str:
        """The value of the truth while this one is in force."""
        return f"{self.seq}/{self.name}/{self.version}/{self.sha}"

    @property
    def record_tag(self) -> str:
        """Name of the tag that keeps it."""
        return f"{RECORD_PREFIX}{self.seq:06d}"

    def is_of(self, name: str, version: int) -> bool:
        """Tell whether it put that version in force."""
        return (self.name, self.version) == (name, version)

    def activation(self) -> Activation:
        """Return what the shelf says of it."""
        return Activation(self.sha, self.seq, self.name, self.version, self.at)

    def encode(self) -> str:
        """Write it as the text of a tag."""
        return msgspec.json.encode(self).decode()


class History(Struct, frozen=True):
    """All promotions in force once, oldest first; the last one is in force now."""

    promotions: tuple[Promotion, ...]

    @classmethod
    def of_tags(cls, tags: Mapping[str, str]) -> Self:
        """Read the history from the tags of the registered model.

        The truth is the last one; each record names the one before it. A record that nothing leads to was never in
        force: its promotion stopped half-way.

        Raises:
            PromotionError: The truth or a record is no such text.
        """
        if PRODUCTION_TAG not in tags:
            return cls(())
        records = [_parse_record(text) for tag, text in tags.items() if tag.startswith(RECORD_PREFIX)]
        known = {record.seq: record for record in records}
        truth = _parse_truth(tags[PRODUCTION_TAG])
        recorded = known.get(truth.seq)
        chain = [recorded if recorded and recorded.truth == truth.truth else truth]
        while (earlier := known.get(chain[-1].after or 0)) and earlier.seq < chain[-1].seq:
            chain.append(earlier)
        return cls(tuple(reversed(chain)))

    @property
    def now(self) -> Promotion | None:
        """The promotion in force, or None before the first."""
        return self.promotions[-1] if self.promotions else None

    @property
    def before(self) -> Promotion | None:
        """The one that a rollback goes back to: the newest earlier one of another model."""
        earlier = (one for one in reversed(self.promotions[:-1]) if one.sha != self.promotions[-1].sha)
        return next(earlier, None)

    def at(self, instant: datetime) -> Promotion | None:
        """Return the promotion that was in force at a time, or None when that was before the first."""
        started = (one for one in reversed(self.promotions) if parse_instant(one.at) <= instant)
        return next(started, None)

    def has_served(self, name: str, version: int) -> bool:
        """Tell whether a version was ever in Production."""
        return any(promotion.is_of(name, version) for promotion in self.promotions)


def _parse_truth(text: str) -> Promotion:
    """Read `seq/name/version/sha`; what the record would add is unknown."""
    parts = text.split("/")
    if len(parts) != 4 or not (parts[0].isdigit() and parts[2].isdigit()):
        raise PromotionError(f"the tag {PRODUCTION_TAG!r} is {text!r}, not seq/name/version/sha; mend it in MLflow")
    seq, name, version, sha = parts
    return Promotion(
        seq=int(seq),
        after=None,
        name=name,
        version=int(version),
        sha=sha,
        kind="promote",
        at=UNRECORDED_AT,
        by="unknown",
        why="not recorded",
        forced=False,
    )


def _parse_record(text: str) -> Promotion:
    """Read the text of a record's tag."""
    try:
        return msgspec.json.decode(text, type=Promotion)
    except msgspec.DecodeError as error:
        raise PromotionError(f"a promotion's record is {text!r}: {error}; mend it in MLflow") from error
