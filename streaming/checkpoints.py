"""Where the two queries begin. Landing asks the tables at every start; scoring has a checkpoint that must be sound.

With asynchronous progress the logs of a sound checkpoint have gaps, its newest batches may be in neither of them, and
left-over `.tmp` and `.crc` files are normal. A newest commit without its offsets, or a file cut short, is not.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from zlib import crc32

import msgspec
from pyarrow.fs import FileSelector, FileSystem, FileType

from runtime.failure import HandledError
from runtime.files import open_store, publish, read_published
from runtime.settings import Settings
from runtime.topics import EVENTS

REBUILD = "./kol stream rebuild"
LOG_VERSION = "v1"
SCORING = "scoring"
CHECKED = 2
"""Newest files of each log whose checksum is looked at: those that a start reads."""
Offsets = dict[int, int]
"""An offset per partition."""


class CheckpointError(HandledError):
    """A checkpoint is damaged, of other topics, or Kafka no longer has what comes next; nothing was started."""

    @classmethod
    def damaged(cls, place: str, what: str) -> Self:
        """Say which checkpoint cannot be trusted, and why."""
        return cls(f"the checkpoint {place} is damaged: {what}; to go on from what the lake holds: {REBUILD}")

    @classmethod
    def expired(cls, topic: str, partition: int, *, wanted: int, kept: int) -> Self:
        """Say which messages are gone."""
        return cls(
            f"offsets {wanted} to {kept - 1} of {topic}/{partition} are next, but Kafka's retention has deleted them; "
            f"they are lost unless their sender has them. To go on at {kept}: {REBUILD} --accept-loss"
        )

    @classmethod
    def beyond(cls, place: str, partition: int, *, wanted: int, end: int) -> Self:
        """Say that a checkpoint knows more than there is."""
        return cls.damaged(place, f"it is at offset {wanted} of {EVENTS}/{partition}, which ends at {end}")


class TopicsRecreatedError(HandledError):
    """A topic was deleted and made again: what is known of its offsets means nothing for the new one."""

    @classmethod
    def of(cls, topic: str, known: str, now: str | None) -> Self:
        """Say which topic, and its two ids."""
        return cls(
            f"{topic} was deleted and made again (its id was {known}, now it is {now or 'gone'}); "
            f"to go on with the new one from its beginning: {REBUILD}"
        )


class Origin(msgspec.Struct, frozen=True):
    """Which topic scoring reads, and the offsets before which nothing is expected: `checkpoints/scoring.json`."""

    topic_id: str
    floor: Offsets


@dataclass(frozen=True, slots=True)
class Kept:
    """What Kafka has of a topic: per partition the first offset and the end."""

    begins: Offsets
    ends: Offsets


def refuse_other_topics(known: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Stop when a topic is not the one it was.

    Raises:
        TopicsRecreatedError: The message names the first of them.
    """
    for topic, topic_id in known.items():
        if now.get(topic) != topic_id:
            raise TopicsRecreatedError.of(topic, topic_id, now.get(topic))


def read_origin(settings: Settings) -> Origin | None:
    """Return which topic the scoring query reads, or None before its first start.

    Raises:
        CheckpointError: The file cannot be read.
    """
    place = f"{settings.checkpoint_uri}/{SCORING}.json"
    content = read_published(place)
    try:
        return None if content is None else msgspec.json.decode(content, type=Origin)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CheckpointError.damaged(place, str(error)) from error


def write_origin(settings: Settings, origin: Origin) -> None:
    """Write which topic the scoring query reads."""
    publish(f"{settings.checkpoint_uri}/{SCORING}.json", msgspec.json.encode(origin))


def position(settings: Settings, kept: Kept) -> Offsets | None:
    """Return where the scoring query goes on by its checkpoint, or None when there is none.

    Raises:
        CheckpointError: It is damaged, or Kafka does not have what comes next.
    """
    place = f"{settings.checkpoint_uri}/{SCORING}"
    store, folder = open_store(place)
    if store.get_file_info(folder).type == FileType.NotFound:
        return None
    logs = {name: numbered(store, f"{folder}/{name}") for name in ("offsets", "commits")}
    if "id" not in _json(place, _text(store, place, f"{folder}/metadata")):
        raise CheckpointError.damaged(place, "its metadata has no id")
    for name in ("commits", "offsets"):
        for number in logs[name]:
            _lines(store, place, f"{folder}/{name}/{number}")
        for number in logs[name][-CHECKED:]:
            _refuse_flipped(store, place, f"{folder}/{name}/{number}")
    reached = _reached(store, place, folder, logs)
    for partition, offset in reached.items():
        if offset > kept.ends.get(partition, 0):
            raise CheckpointError.beyond(place, partition, wanted=offset, end=kept.ends.get(partition, 0))
    refuse_expired(EVENTS, reached, kept)
    return reached


def refuse_expired(topic: str, wanted: Offsets, kept: Kept) -> None:
    """Stop when Kafka deleted what comes next.

    Raises:
        CheckpointError: The message names the first partition.
    """
    for partition, offset in wanted.items():
        begin = kept.begins.get(partition, 0)
        if offset < begin:
            raise CheckpointError.expired(topic, partition, wanted=offset, kept=begin)


def numbered(store: FileSystem, folder: str) -> list[int]:
    """Return the numbers of the files of a log, ascending."""
    found = store.get_file_info(FileSelector(folder, allow_not_found=True))
    return sorted(int(file.base_name) for file in found if re.fullmatch(r"\d+", file.base_name))


def move_aside(location: str) -> str | None:
    """Move a checkpoint out of the way; return where it is now, or None when there was none."""
    store, folder = open_store(location)
    if store.get_file_info(folder).type == FileType.NotFound:
        return None
    parent, _, name = folder.rpartition("/")
    store.create_dir(f"{parent}/aside")
    aside = f"{parent}/aside/{name}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    store.move(folder, aside)
    return aside


def forget(location: str) -> None:
    """Remove a checkpoint that is made anew from the lake."""
    store, folder = open_store(location)
    if store.get_file_info(folder).type != FileType.NotFound:
        store.delete_dir(folder)


def _reached(store: FileSystem, place: str, folder: str, logs: Mapping[str, list[int]]) -> Offsets:
    offsets, commits = logs["offsets"], logs["commits"]
    if commits and commits[-1] not in offsets:
        raise CheckpointError.damaged(place, f"commits/{commits[-1]} has no offsets/{commits[-1]}")
    if offsets and not commits and offsets[0] > 0:
        raise CheckpointError.damaged(place, f"offsets/{offsets[0]} is its first, and nothing is committed")
    if commits:
        source = _lines(store, place, f"{folder}/offsets/{commits[-1]}")
    else:
        source = _lines(store, place, f"{folder}/sources/0/0")
    by_topic = _json(place, source[-1])
    if list(by_topic) != [EVENTS]:
        raise CheckpointError.damaged(place, f"it is of the topics {sorted(by_topic)}, not of {EVENTS}")
    return {int(partition): offset for partition, offset in by_topic[EVENTS].items()}


def _refuse_flipped(store: FileSystem, place: str, path: str) -> None:
    """Refuse a file that is not what Hadoop's checksum beside it says; not every file system keeps one."""
    parent, _, name = path.rpartition("/")
    beside = f"{parent}/.{name}.crc"
    if store.get_file_info(beside).type == FileType.NotFound:
        return
    said, content = _bytes(store, place, beside), _bytes(store, place, path)
    chunk = int.from_bytes(said[4:8], "big")
    sums = [crc32(content[at : at + chunk]) for at in range(0, len(content), chunk)]
    if said[8:] != b"".join(each.to_bytes(4, "big") for each in sums):
        raise CheckpointError.damaged(place, f"{path.removeprefix(place)} is not what its checksum says")


def _lines(store: FileSystem, place: str, path: str) -> list[str]:
    lines = _text(store, place, path).splitlines()
    if len(lines) < 2 or lines[0] != LOG_VERSION:
        raise CheckpointError.damaged(place, f"{path.removeprefix(place)} is no log of version {LOG_VERSION}")
    for line in lines[1:]:
        _json(place, line)
    return lines


def _text(store: FileSystem, place: str, path: str) -> str:
    try:
        return _bytes(store, place, path).decode()
    except UnicodeDecodeError as error:
        raise CheckpointError.damaged(place, f"{path} is no text ({error})") from error


def _bytes(store: FileSystem, place: str, path: str) -> bytes:
    try:
        with store.open_input_stream(path) as stream:
            return bytes(stream.read())
    except OSError as error:
        raise CheckpointError.damaged(place, f"{path} cannot be read ({error})") from error


def _json(place: str, text: str) -> dict[str, dict[str, int]]:
    try:
        return msgspec.json.decode(text, type=dict)
    except msgspec.DecodeError as error:
        raise CheckpointError.damaged(place, f"{text[:40]!r} is no JSON object ({error})") from error
