"""The ledger's own reading of the tables, and its own telling of what each event was when it arrived."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from streaming.ledger_read import Ints

PLACE = ("topic_id", "partition", "offset")
SOURCE = ("source_topic_id", "source_partition", "source_offset")
ARRIVED = ["landing", "topic_id", "partition", "offset"]
COLUMNS = ["kol_id", "event_id", "event_time", "body_hash", "disposition", "conflict", *ARRIVED]


def rows(lake: str, table: str, columns: list[str]) -> pa.Table | None:
    """Read columns of a table, or None when there is no such table."""
    place = f"{lake.rstrip('/')}/{table}"
    if not DeltaTable.is_deltatable(place):
        return None
    return DeltaTable(place).to_pyarrow_table(columns=columns)


def offsets(
    lake: str, table: str, of: tuple[str, int], *, by: tuple[str, str, str] = PLACE, topic: str | None = None
) -> Ints:
    """Return the offsets that a table has of a topic's partition, as often as it has them.

    Args:
        lake: Where the tables are.
        table: Which one.
        of: The topic's id and the partition.
        by: The columns that say where a message stood: its own place, or that of the event.
        topic: Only rows of the topic with this name, where the table knows it.
    """
    found = rows(lake, table, [*by, *(["topic"] if topic else [])])
    if found is None:
        return np.empty(0, np.int64)
    wanted = pc.and_(pc.equal(found[by[0]], of[0]), pc.equal(found[by[1]], of[1]))
    if topic:
        wanted = pc.and_(wanted, pc.equal(found["topic"], topic))
    places: Ints = found.filter(wanted)[by[2]].to_numpy()
    return places


def doubled(lake: str, table: str) -> tuple[int, list[str]]:
    """Count the rows of a table that stand at the same place as another one, with examples."""
    found = rows(lake, table, list(PLACE))
    if found is None:
        return 0, []
    places = found.group_by(list(PLACE)).aggregate([([], "count_all")])
    twice = places.filter(pc.greater(places["count_all"], 1))
    examples = [
        f"{table} has {row['topic_id']}/{row['partition']}/{row['offset']} {row['count_all']} times"
        for row in twice.slice(0, 3).to_pylist()
    ]
    return len(found) - len(places), examples


def dispositions(lake: str) -> tuple[dict[str, int], int, list[str]]:
    """Tell again what each landed event was; return how many of each there are, how many rows say otherwise, examples.

    Events in the order of (landing, partition, offset): one whose id came before with the same content is a duplicate;
    else, one older than another event of the KOL before it is superseded; else it is new.
    """
    counts = {"new": 0, "duplicate": 0, "superseded": 0, "conflict": 0, "unclassified": 0}
    wrong, examples = 0, list[str]()
    for row, what, conflict in retold(lake):
        *_, told, told_conflict, _, topic_id, partition, offset = row
        if told is None:
            counts["unclassified"] += 1
            continue
        counts[what] += 1
        counts["conflict"] += conflict
        if (told, told_conflict) != (what, conflict):
            wrong += 1
            if len(examples) < 3:
                examples.append(
                    f"events {topic_id}/{partition}/{offset} says {told}, was {what}"
                    f"{' in conflict' if conflict else ''}"
                )
    return counts, wrong, examples


def retold(lake: str) -> Iterator[tuple[tuple[object, ...], str, bool]]:
    """Yield each landed event in the order of arrival with what it was."""
    found = rows(lake, "events", COLUMNS)
    if found is None:
        return
    keys = [(name, "ascending", "at_start") for name in ARRIVED]
    found = found.take(pc.sort_indices(found, sort_keys=keys))
    contents: dict[str, set[str]] = {}
    newest: dict[str, tuple[int, str, str]] = {}
    times = found["event_time"].cast(pa.int64()).to_pylist()
    columns = (found[name].to_pylist() for name in COLUMNS if name != "event_time")
    for at, (kol_id, event_id, body, *rest) in zip(times, zip(*columns, strict=True), strict=True):
        row = (kol_id, event_id, body, *rest)
        known = contents.setdefault(event_id, set())
        if body in known:
            yield row, "duplicate", False
            continue
        order = (at, event_id, body)
        older = kol_id in newest and order < newest[kol_id]
        if not older:
            newest[kol_id] = order
        yield row, "superseded" if older else "new", bool(known)
        known.add(body)
