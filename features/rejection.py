"""A refused event as `kol.rejected` carries it: where it stood, why it was refused, and its first bytes."""

import hashlib
from datetime import datetime

import msgspec
from msgspec import Struct

from features.instant import format_instant
from features.refusal import Refusal
from features.score import Provenance

MOST_KEPT_BYTES = 65_536
"""Bytes of a refused message that are kept; its length and hash tell the rest."""


class Rejection(Struct, frozen=True, kw_only=True):
    """One refused event.

    `value_head` holds its first 64 KiB, None for a message without a value; `value_bytes` and `value_sha256` tell of
    all of it.
    """

    topic: str
    provenance: Provenance
    reason: str
    field: str | None
    detail: str
    value_head: bytes | None
    value_bytes: int
    value_sha256: str
    rejected_at: str


def rejection(refusal: Refusal, value: bytes | None, *, topic: str, provenance: Provenance, at: datetime) -> Rejection:
    """Put together the rejection of a message."""
    whole = value or b""
    return Rejection(
        topic=topic,
        provenance=provenance,
        reason=refusal.reason,
        field=refusal.field,
        detail=refusal.detail,
        value_head=None if value is None else whole[:MOST_KEPT_BYTES],
        value_bytes=len(whole),
        value_sha256=hashlib.sha256(whole).hexdigest(),
        rejected_at=format_instant(at),
    )


def encode_rejection(rejected: Rejection) -> bytes:
    """Write a rejection as `kol.rejected` carries it; bytes are base64."""
    return msgspec.json.encode(rejected)


def decode_rejection(data: bytes) -> Rejection:
    """Read a rejection.

    Raises:
        msgspec.DecodeError: The bytes are none.
    """
    return msgspec.json.decode(data, type=Rejection)
