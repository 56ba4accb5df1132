"""The ledger: every offset of every topic against its outcome and its row. It shares no code with the pipeline.

Kafka is read first, the topics of outcomes after the events, the tables last: what comes in meanwhile lies beyond what
was noted of Kafka and is left out.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

from streaming.ledger_read import Ints, Sheet, read_events, read_outcomes
from streaming.ledger_tables import SOURCE, dispositions, doubled, offsets
from streaming.ledger_topics import LedgerUnreadableError, Span, Topics

EVENTS, SCORES, REJECTED, SHADOW, HEARTBEATS = (
    "kol.events",
    "kol.scores",
    "kol.rejected",
    "kol.shadow_scores",
    "kol.heartbeats",
)
OUTCOMES = (SCORES, REJECTED, HEARTBEATS)
TABLES = {
    SCORES: ("realtime_scores", "rejected_events"),
    REJECTED: ("rejected_events",),
    SHADOW: ("shadow_scores", "rejected_events"),
}
SURE_SECONDS = 60
"""An event without an outcome is lost when a later one of its partition got its own this long ago; else it waits."""
MOST_EXAMPLES = 3

Report = Callable[[str, int], None]


@dataclass(slots=True)
class Line:
    """One balance: what should be in a place, and what is.

    Attributes:
        what: The two sides.
        topic_id: Id of the topic whose offsets are balanced.
        partition: Its partition.
        expected: How many there should be.
        found: How many of them there are.
        missing: How many there are not and never will be.
        waiting: How many are still to come.
        extra: How many are there that should not be.
        double: How many contradict another one, or are there twice.
        wrong: How many are of another event than they say.
        repeated: Identical repetitions after a restart; harmless.
        rescored: Repetitions by another promotion after a restart; harmless.
        examples: Where to look.
    """

    what: str
    topic_id: str
    partition: int
    expected: int = 0
    found: int = 0
    missing: int = 0
    waiting: int = 0
    extra: int = 0
    double: int = 0
    wrong: int = 0
    repeated: int = 0
    rescored: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def balances(self) -> bool:
        """Tell whether both sides are the same."""
        return not (self.missing or self.extra or self.double or self.wrong)

    def note(self, kind: str, where: Ints) -> int:
        """Count some offsets, and keep a few of them as examples."""
        if where.size:
            shown = ", ".join(map(str, where[:MOST_EXAMPLES].tolist()))
            self.examples.append(f"{kind}: offset {shown}{' ...' if where.size > MOST_EXAMPLES else ''}")
        return int(where.size)


@dataclass(frozen=True, slots=True)
class Ledger:
    """All balances."""

    lines: list[Line]
    dispositions: dict[str, int]
    seconds: float

    @property
    def balances(self) -> bool:
        """Tell whether everything balances."""
        return all(line.balances for line in self.lines)

    def to_json(self) -> dict[str, object]:
        """Return it as JSON knows it."""
        lines = [{**asdict(line), "balances": line.balances} for line in self.lines]
        return {"balances": self.balances, "dispositions": self.dispositions, "seconds": self.seconds, "lines": lines}


@dataclass(frozen=True, slots=True)
class Noted:
    """What was read of Kafka."""

    ids: Mapping[str, str]
    spans: Mapping[str, Mapping[int, Span]]
    events: Sheet
    outcomes: Mapping[str, Sheet]
    now: float


def balance(servers: str, options: Mapping[str, str], lake: str, *, settled: bool, report: Report) -> Ledger:
    """Balance Kafka against the outcomes and the tables.

    Args:
        servers: Kafka's addresses.
        options: Further client options by their Java names.
        lake: Where the tables are.
        settled: Nothing is under way: what is not there yet is missing.
        report: Called with what is read and how many messages so far.

    Raises:
        LedgerUnreadableError: Kafka does not answer, or there is no topic of events.
    """
    started = time.monotonic()
    noted = note(Topics.at(servers, options), report)
    lines = []
    for partition, span in noted.spans[EVENTS].items():
        outcome, decided = balance_outcomes(noted, partition, settled=settled)
        lines += [outcome, balance_expired(noted, lake, partition, span)]
        lines += [balance_events(noted, lake, partition, decided=decided, settled=settled)]
    for topic in (name for name in TABLES if name in noted.ids):
        lines += [balance_table(noted, lake, topic, at=at, settled=settled) for at in noted.spans[topic].items()]
    retold, wrong, examples = dispositions(lake)
    lines.append(
        Line(
            "dispositions in events",
            "all",
            -1,
            sum(retold.values()) - retold["conflict"],
            wrong=wrong,
            examples=examples,
        )
    )
    for table in ("events", "realtime_scores", "rejected_events", "shadow_scores"):
        twice, examples = doubled(lake, table)
        lines.append(Line(f"rows of {table}", "all", -1, double=twice, examples=examples))
    return Ledger(
        [line for line in lines if line.expected or not line.balances], retold, round(time.monotonic() - started, 2)
    )


def note(topics: Topics, report: Report) -> Noted:
    """Read all topics."""
    ids = topics.ids((EVENTS, *OUTCOMES, SHADOW))
    if EVENTS not in ids:
        raise LedgerUnreadableError(f"there is no topic {EVENTS}")
    spans = {EVENTS: topics.spans(EVENTS)}
    now = time.time()
    events = read_events(topics, EVENTS, spans[EVENTS], lambda count: report(EVENTS, count))
    outcomes = {}
    for topic in (name for name in (*OUTCOMES, SHADOW) if name in ids):
        spans[topic] = topics.spans(topic)

        def told(count: int, topic: str = topic) -> None:
            report(topic, count)

        outcomes[topic] = read_outcomes(topics, topic, spans[topic], topic_id=ids[EVENTS], report=told)
    return Noted(ids, spans, events, outcomes, now)


def balance_outcomes(noted: Noted, partition: int, *, settled: bool) -> tuple[Line, dict[str, Ints]]:
    """Balance the events of a partition against their outcomes; also return the offsets decided each way."""
    line = Line("kol.events against outcomes", noted.ids[EVENTS], partition)
    there = noted.events.where(noted.events["partition"] == partition)
    span = noted.spans[EVENTS][partition]
    of = {}
    for topic in (name for name in OUTCOMES if name in noted.outcomes):
        sheet = noted.outcomes[topic]
        mine = (sheet["of"] == 1) & (sheet["partition"] == partition)
        of[topic] = sheet.where(mine & (sheet["offset"] >= span.begin) & (sheet["offset"] < span.end))
    every = Sheet.joined(list(of.values()))
    decided = np.unique(every["offset"])
    line.expected, line.found = there["offset"].size, decided.size
    absent = np.setdiff1d(there["offset"], decided)
    sure = every["offset"][every["appended"] < (noted.now - SURE_SECONDS) * 1000]
    lost = absent if settled else absent[absent < (sure.max() if sure.size else -1)]
    line.missing, line.waiting = line.note("without an outcome", lost), absent.size - lost.size
    line.extra = line.note("outcome of no event", np.setdiff1d(decided, there["offset"]))
    count_repetitions(line, of)
    line.wrong = line.note("score of another event", misattributed(there, of[SCORES]))
    return line, {topic: np.unique(sheet["offset"]) for topic, sheet in of.items()}


def count_repetitions(line: Line, of: Mapping[str, Sheet]) -> None:
    """Count the outcomes beyond the first of each event: identical, by another promotion, or contradicting it."""
    apart = [np.full(sheet["offset"].size, number) for number, sheet in enumerate(of.values())]
    every, topic = Sheet.joined(list(of.values())), np.concatenate(apart)
    order = np.lexsort((every["content"], every["maker"], topic, every["offset"]))
    same_event = np.diff(every["offset"][order]) == 0
    same_topic = np.diff(topic[order]) == 0
    same_maker = np.diff(every["maker"][order]) == 0
    same_content = np.diff(every["content"][order]) == 0
    line.repeated = int((same_event & same_topic & same_maker & same_content).sum())
    line.rescored = int((same_event & same_topic & ~same_maker).sum())
    against = same_event & (~same_topic | (same_maker & ~same_content))
    line.double = line.note("outcomes that contradict each other", np.unique(every["offset"][order][1:][against]))


def misattributed(events: Sheet, scores: Sheet) -> Ints:
    """Return the offsets whose score names another event than the one that stands there."""
    order = np.argsort(events["offset"])
    known, identity = events["offset"][order], events["identity"][order]
    at = np.searchsorted(known, scores["offset"])
    inside = at < known.size
    at = np.where(inside, at, 0)
    if not known.size:
        return scores["offset"]
    differs = inside & (known[at] == scores["offset"]) & (identity[at] != scores["identity"])
    return np.unique(scores["offset"][differs])


def balance_expired(noted: Noted, lake: str, partition: int, span: Span) -> Line:
    """Balance the events that Kafka deleted against the outcomes in the lake."""
    topic_id = noted.ids[EVENTS]
    line = Line("events deleted by retention against the lake", topic_id, partition, expected=span.begin)
    found = [
        offsets(lake, table, (topic_id, partition), by=SOURCE, topic=topic)
        for table, topic in (("realtime_scores", None), ("rejected_events", EVENTS))
    ]
    known = np.unique(np.concatenate(found))
    line.found = int((known < span.begin).sum())
    line.missing = line.note("deleted before it was landed", np.setdiff1d(np.arange(span.begin), known))
    return line


def balance_events(noted: Noted, lake: str, partition: int, *, decided: Mapping[str, Ints], settled: bool) -> Line:
    """Balance the events that were scored against the raw log."""
    line = Line("scored events against table events", noted.ids[EVENTS], partition)
    landed = within(offsets(lake, "events", (noted.ids[EVENTS], partition)), noted.spans[EVENTS][partition])
    undecided = np.setdiff1d(
        noted.events["offset"][noted.events["partition"] == partition], np.concatenate(list(decided.values()))
    )
    return compare(line, decided[SCORES], landed, also=undecided, settled=settled)


def balance_table(noted: Noted, lake: str, topic: str, *, at: tuple[int, Span], settled: bool) -> Line:
    """Balance the messages of a topic of outcomes against their tables."""
    partition, span = at
    line = Line(f"{topic} against {' + '.join(TABLES[topic])}", noted.ids[topic], partition)
    sheet = noted.outcomes[topic]
    there = sheet["own_offset"][sheet["own_partition"] == partition]
    landed = np.concatenate([offsets(lake, table, (noted.ids[topic], partition)) for table in TABLES[topic]])
    return compare(line, there, within(landed, span), also=np.empty(0, np.int64), settled=settled)


def compare(line: Line, wanted: Ints, landed: Ints, *, also: Ints, settled: bool) -> Line:
    """Fill a line: offsets that should be landed against those that are; `also` may be landed and need not.

    Landing goes forward in a partition: what is missing below its newest row is lost, what is above waits.
    """
    unique = np.unique(landed)
    line.expected, line.found = wanted.size, np.intersect1d(wanted, unique).size
    absent = np.setdiff1d(wanted, unique)
    lost = absent if settled else absent[absent < (unique.max() if unique.size else -1)]
    line.missing, line.waiting = line.note("not landed", lost), absent.size - lost.size
    line.extra = line.note("landed, but not there", np.setdiff1d(np.setdiff1d(unique, wanted), also))
    line.double = landed.size - unique.size
    return line


def within(offsets_found: Ints, span: Span) -> Ints:
    """Leave out what Kafka no longer has, and what came while the ledger read."""
    return offsets_found[(offsets_found >= span.begin) & (offsets_found < span.end)]
