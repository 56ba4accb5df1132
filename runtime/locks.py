"""Process locks that a JVM holds and Python can see: two drivers on one checkpoint or table damage it.

Python's own `flock` is neither inherited by the JVM nor seen by it, and a killed Python can leave its JVM writing for
a moment. So the JVM holds the lock (`FileChannel.tryLock`, a POSIX record lock), and Python tests it before it starts
one. The kernel frees it when the JVM is gone, so there is no stale lock.
"""

import fcntl
from pathlib import Path

from pyspark.sql import SparkSession

from runtime.failure import HandledError
from runtime.settings import Settings


class LockedError(HandledError):
    """Another process does this work already."""


def lock_path(settings: Settings, name: str) -> Path:
    """Where the lock of a job is."""
    folder = settings.runs / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.lock"


def refuse_if_held(settings: Settings, name: str) -> None:
    """Stop before a JVM is started when another one holds the lock.

    Raises:
        LockedError: Another process holds it.
    """
    path = lock_path(settings, name)
    with path.open("a+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LockedError(f"another process runs {name!r} (it holds {path}); see ./kol status") from error
        fcntl.lockf(file, fcntl.LOCK_UN)


def hold(spark: SparkSession, settings: Settings, name: str) -> None:
    """Let the driver's JVM take the lock and keep it until it ends.

    Raises:
        LockedError: Another process was faster.
    """
    path = lock_path(settings, name)
    jvm = spark.sparkContext._jvm  # noqa: SLF001 - pyspark has no public door to the JVM
    if jvm is None:
        raise LockedError("the Spark session is stopped; start a new one")
    held = jvm.java.lang.System.getProperties()
    mark = f"kol.lock.{path}"
    if held.containsKey(mark):  # this JVM has it; Java refuses to lock a file twice
        return
    lock = jvm.java.io.RandomAccessFile(str(path), "rw").getChannel().tryLock()
    if lock is None:
        raise LockedError(f"another process runs {name!r} (it holds {path}); see ./kol status")
    held.put(mark, lock)  # a lock that nobody refers to is collected, and with it released
