"""Put on the path of a child process by a test, to make its real code fail at a chosen place; no product code knows it.

Python imports a module of this name at its start. `TEST_SABOTAGE` names what is done: a function of this file, and
what it is given, as `pause_in_udf:/folder/of/the/test`. Without it nothing is done.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.profile import Profiles
    from registry.model import TrustModel

PAUSED_SECONDS = 60


def pause_in_udf(folder: str) -> None:
    """Let the UDF stop once when `armed` is there: it makes `inside`, and waits to be killed."""
    import streaming.outcomes as module

    decide = module.outcomes

    def outcomes(*args: object, **named: object) -> object:
        armed = Path(folder, "armed")
        if armed.exists():
            armed.unlink(missing_ok=True)
            Path(folder, "inside").touch()
            time.sleep(PAUSED_SECONDS)
        return decide(*args, **named)  # type: ignore[arg-type]

    module.outcomes = outcomes  # type: ignore[assignment]


def crash_on(posts: str) -> None:
    """Let scoring a profile with this many posts read address 0: the process dies by SIGSEGV, as of a bad pointer."""
    import ctypes

    before_scoring(int(posts), lambda: ctypes.string_at(0))


def hang_on(posts: str) -> None:
    """Let scoring a profile with this many posts never come to an end."""
    before_scoring(int(posts), lambda: time.sleep(3_600))


def crash_without_isolation(posts: str) -> None:
    """The same as `crash_on`, and no task tries its rows in a child."""
    import streaming.isolation as module

    def unprotected(messages: object, decide: Callable[[object], object], **_: object) -> object:
        return decide(messages)

    module.isolate = unprotected  # type: ignore[assignment]
    crash_on(posts)


def before_scoring(posts: int, do: Callable[[], object]) -> None:
    """Do something as soon as a profile with so many posts is to be scored."""
    from registry.model import TrustModel

    score = TrustModel.score

    def sabotaged(self: TrustModel, profiles: Profiles) -> object:
        if (profiles.post_count == posts).any():
            do()
        return score(self, profiles)

    TrustModel.score = sabotaged  # type: ignore[assignment,method-assign]


def without_marks(_: str) -> None:
    """Let landing not ask the tables how far they are, so that a start lands again what is there."""
    import streaming.landing as module

    def none(*_: object) -> dict[tuple[str, int], int]:
        return {}

    module.high_water_marks = none  # type: ignore[assignment,attr-defined]


def impatient(_: str) -> None:
    """Let Spark's Kafka clients wait for seconds, not for a minute, so that a short outage ends a query."""
    import streaming.landing
    import streaming.scoring
    from runtime.topics import spark_kafka_options as given

    short = {"kafka.request.timeout.ms": "2000", "kafka.default.api.timeout.ms": "3000"}
    for module in (streaming.landing, streaming.scoring):
        vars(module)["spark_kafka_options"] = lambda settings: {**given(settings), **short}


def impatient_without_revival(_: str) -> None:
    """The same, and a query that ended is not started again."""
    import streaming.revival as module

    module.MOST_IN_VAIN = 0
    impatient("")


def skip_what_is_gone(_: str) -> None:
    """Let Spark go on when Kafka no longer has what comes next."""
    from pyspark.sql.streaming.readwriter import DataStreamReader

    option = DataStreamReader.option

    def careless(self: DataStreamReader, key: str, value: object) -> DataStreamReader:
        return option(self, key, "false" if key == "failOnDataLoss" else value)  # type: ignore[arg-type]

    DataStreamReader.option = careless  # type: ignore[method-assign]


def trust_topic_names(_: str) -> None:
    """Take a topic for the one of before when it has the same name."""
    import streaming.landing
    import streaming.revival

    for module in (streaming.landing, streaming.revival):
        vars(module)["refuse_other_topics"] = lambda *_: None


if wanted := os.environ.get("TEST_SABOTAGE", ""):
    name, _, given = wanted.partition(":")
    {
        "pause_in_udf": pause_in_udf,
        "without_marks": without_marks,
        "crash_on": crash_on,
        "hang_on": hang_on,
        "crash_without_isolation": crash_without_isolation,
        "impatient": impatient,
        "impatient_without_revival": impatient_without_revival,
        "skip_what_is_gone": skip_what_is_gone,
        "trust_topic_names": trust_topic_names,
    }[name](given)
