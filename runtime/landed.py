"""`landed.json`: up to which offset the topics stand in the lake. Written by landing, read by the nightly job."""

import msgspec
from msgspec import Struct

from runtime.files import publish, read_published
from runtime.settings import Settings

FILE = "landed.json"
Positions = dict[str, dict[int, int]]
"""Next offset to land, by topic and partition."""


class Landed(Struct, frozen=True):
    """How far landing is.

    Attributes:
        topic_ids: Id of each topic when it was read; another id = another topic, whose offsets mean nothing here.
        positions: Next offset to land, by topic and partition.
        at: When this was written (RFC 3339, UTC).
    """

    topic_ids: dict[str, str]
    positions: Positions
    at: str


def location(settings: Settings) -> str:
    """Where the file is."""
    return f"{settings.lake_uri.rstrip('/')}/{FILE}"


def read_landed(settings: Settings) -> Landed | None:
    """Return how far landing is, or None before its first batch."""
    content = read_published(location(settings))
    return None if content is None else msgspec.json.decode(content, type=Landed)


def advance_landed(settings: Settings, newer: Landed) -> None:
    """Write the positions of a batch that is in the lake; partitions it did not touch keep theirs."""
    before = read_landed(settings)
    positions = newer.positions
    if before is not None and before.topic_ids == newer.topic_ids:
        positions = {
            topic: before.positions.get(topic, {}) | newer.positions.get(topic, {}) for topic in newer.topic_ids
        }
    content = msgspec.json.encode(Landed(newer.topic_ids, positions, newer.at))
    publish(location(settings), msgspec.json.format(content))
