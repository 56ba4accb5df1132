"""Rows that kill the scorer: found in child processes, refused by name, while all other rows are scored as usual.

Native code may die of a row, or never come back from it. Spark runs the task again, the row kills it again, and the
query would stop for ever at the same offsets. So a task that is run again tries its rows in a child first.
"""

import faulthandler
import multiprocessing
from collections.abc import Callable, Sequence
from datetime import datetime
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Self

import msgspec
import structlog

from features.refusal import Refusal
from runtime.failure import HandledError
from streaming.outcomes import Message, Outcome, reject

if TYPE_CHECKING:  # deciding knows no Spark
    from pyspark.sql import SparkSession

Decide = Callable[[Sequence[Message]], list[Outcome]]
"""Gives one outcome per message, in order."""

IDLE = "spark.sql.execution.pyspark.udf.idleTimeoutSeconds"
KILL = "spark.sql.execution.pyspark.udf.killOnIdleTimeout"
NEVER = "0ms"
"""What Spark answers for `IDLE` where nothing was set."""
IDLE_SECONDS = 120
"""How long a worker may say nothing before it counts as hung. Loading a model takes seconds; finding a row that hangs
takes the sum of the times below, 40 s for one among 20,000."""
START_SECONDS = 1.0
SECONDS_PER_ROW = 1 / 2000
"""What a child may take; a row takes some 20 microseconds, and too little only leads to smaller parts."""
CONFIRM_SECONDS = 5.0
"""What one row may take alone, at last; it usually takes hundredths."""
MOST_UNSCORABLE = 50
"""Rows refused in one part of a micro-batch. Where the scorer dies of more, rows are not what is wrong."""


class ScorerBrokenError(HandledError):
    """The scorer dies of too many rows; nothing of the micro-batch was refused."""

    @classmethod
    def of(cls, count: int) -> Self:
        """Say how many."""
        return cls(
            f"the scorer died of more than {MOST_UNSCORABLE} of {count} events, so it is the scorer that is broken; "
            "go back to the version before: ./kol model rollback, or try --set engine=lightgbm"
        )


def watch_workers(spark: "SparkSession") -> None:
    """Let Spark kill a worker that hangs, so that its task is run again; what a setting says goes before."""
    if spark.conf.get(IDLE) == NEVER:
        spark.conf.set(IDLE, str(IDLE_SECONDS))
    spark.conf.set(KILL, "true")


def decide_safely(messages: Sequence[Message], decide: Decide, *, attempt: int, at: datetime) -> list[Outcome]:
    """Decide messages; in children when this is not the first attempt, because a worker has died of it.

    Args:
        messages: As they came from Kafka.
        decide: Decides them; may kill the process that calls it.
        attempt: How often Spark has begun this task before.
        at: When they are decided.

    Returns:
        What `decide` gives, but a rejection for each message that kills a child twice when it is alone in it.

    Raises:
        ScorerBrokenError: There are more than `MOST_UNSCORABLE` of these.
    """
    return isolate(messages, decide, at=at) if attempt else decide(messages)


def isolate(messages: Sequence[Message], decide: Decide, *, at: datetime) -> list[Outcome]:
    """Decide messages in children, halving what kills one until single messages are left; see `decide_safely`."""
    decided: list[Outcome] = []
    waiting = [messages]
    unscorable = 0
    while waiting:
        part = waiting.pop()
        found = in_child(part, decide, START_SECONDS + len(part) * SECONDS_PER_ROW)
        if found is None and len(part) > 1:
            middle = len(part) // 2
            waiting += [part[middle:], part[:middle]]
            continue
        if found is None:
            found = in_child(part, decide, CONFIRM_SECONDS)
        if found is None:
            unscorable += 1
            found = [refuse(part[0], at)]
        if unscorable > MOST_UNSCORABLE:
            raise ScorerBrokenError.of(len(messages))
        decided += found
    return decided


def refuse(message: Message, at: datetime) -> Outcome:
    """Make the rejection of a message that kills the scorer."""
    place = message.provenance
    structlog.get_logger().error(
        "event_kills_the_scorer", partition=place.partition, offset=place.offset, remedy="./kol stream rejected list"
    )
    detail = "the scorer died of it twice, or did not come to an end; report it together with the model's version"
    return reject(message, Refusal("unscorable", None, detail), at)


def in_child(messages: Sequence[Message], decide: Decide, seconds: float) -> list[Outcome] | None:
    """Decide messages in a child process; None when it dies or takes longer than `seconds`.

    An exception is no death: it is raised here, as without a child.
    """
    forked = multiprocessing.get_context("fork")  # the child has the model, which a new process would have to load
    receiver, sender = forked.Pipe(duplex=False)
    child = forked.Process(target=_answer, args=(sender, decide, messages), daemon=True)
    child.start()
    sender.close()
    try:
        if receiver.poll(seconds):
            return msgspec.msgpack.decode(receiver.recv_bytes(), type=list[Outcome])
    except EOFError:
        child.join(seconds)
    finally:
        exit_code = child.exitcode
        child.kill()
        child.join()
        child.close()
        receiver.close()
    return decide(messages) if exit_code and exit_code > 0 else None


def _answer(sender: Connection, decide: Decide, messages: Sequence[Message]) -> None:
    """Decide in the child and send what comes out."""
    faulthandler.disable()  # its file is the worker's
    sender.send_bytes(msgspec.msgpack.encode(decide(messages)))
