"""Put on the path of a child process by a test, to make its real code fail at a chosen place; no product code knows it.

Python imports a module of this name at its start. `TEST_SABOTAGE` names what is done: a function of this file, and
what it is given, as `pause_in_udf:/folder/of/the/test`. Without it nothing is done.
"""

import os
import time
from pathlib import Path

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


def without_transactions(_: str) -> None:
    """Let landing write without telling Delta which micro-batch it is, so that a repeated one lands twice."""
    from pyspark.sql.readwriter import DataFrameWriter

    option = DataFrameWriter.option

    def forgetful(self: DataFrameWriter, key: str, value: object) -> DataFrameWriter:
        return self if key in {"txnAppId", "txnVersion"} else option(self, key, value)  # type: ignore[arg-type]

    DataFrameWriter.option = forgetful  # type: ignore[method-assign]


if wanted := os.environ.get("TEST_SABOTAGE", ""):
    name, _, given = wanted.partition(":")
    {"pause_in_udf": pause_in_udf, "without_transactions": without_transactions}[name](given)
