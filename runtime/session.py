"""The Spark session: jars from the lock, this Python for the workers, UTC, Delta, a quiet console."""

import os
import subprocess
import sys
from pathlib import Path

from pyspark import SparkContext
from pyspark.sql import SparkSession

from runtime.jars import spark_jars
from runtime.java import find_java, spark_java_home
from runtime.settings import ROOT, Settings

LOG_CONFIG = Path(__file__).with_name("spark-log4j2.properties")
LOOPBACK = "127.0.0.1"
FEW_PARTITIONS = "4"
"""Shuffle partitions: the nightly job shuffles once, and on a few cores more partitions only cost tasks."""
JVM_END_SECONDS = 60
SECRET_NAMES = "(?i)secret|password|token|access[.]?key|jaas|credential|api[._-]?key"  # noqa: S105 - a pattern, no secret


def spark_session(settings: Settings, name: str) -> SparkSession:
    """Start Spark, or return the session that runs.

    Args:
        settings: Master, memory, further options.
        name: What the job is called in Spark's listings and its log file, `HOME/run/spark-NAME.log`.

    Raises:
        JavaError: There is no Java that Spark runs on.
        JarsError: Jars are missing; `./kol setup` brings them.
    """
    prepare_environment(settings)
    builder = SparkSession.Builder().appName(f"kol-{name}").master(settings.spark_master)
    for option, value in (spark_options(settings, name) | settings.spark_options).items():
        builder = builder.config(option, value)
    return builder.getOrCreate()


def end_session(spark: SparkSession) -> None:
    """Stop Spark and its JVM, and with it every lock that the JVM holds.

    `SparkSession.stop` alone leaves the JVM running until this Python ends.
    """
    gateway = SparkContext._gateway  # noqa: SLF001 - pyspark has no public door to the JVM
    spark.stop()
    if gateway is None:
        return
    jvm: subprocess.Popen[bytes] = gateway.proc
    gateway.shutdown()
    if jvm.stdin is not None:
        jvm.stdin.close()  # the JVM ends when its standard input does
    jvm.wait(timeout=JVM_END_SECONDS)
    SparkContext._gateway = None  # noqa: SLF001 - the next session starts a JVM of its own
    SparkContext._jvm = None  # noqa: SLF001


def prepare_environment(settings: Settings) -> None:
    """Tell the JVM and its Python workers where Java, this Python and the rooms are."""
    java_home = spark_java_home(find_java(), settings.home / "java")
    os.environ.update(
        JAVA_HOME=str(java_home),
        PYSPARK_PYTHON=sys.executable,
        PYSPARK_DRIVER_PYTHON=sys.executable,
        PYTHONPATH=os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    )
    if is_local(settings):
        os.environ["SPARK_LOCAL_IP"] = LOOPBACK


def is_local(settings: Settings) -> bool:
    """Tell whether driver and workers share this machine; then nobody else need reach the driver."""
    return settings.spark_master.startswith("local")


def spark_options(settings: Settings, name: str) -> dict[str, str]:
    """Return the options of every session of this project."""
    log = settings.runs / f"spark-{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    return {
        "spark.jars": ",".join(map(str, spark_jars(settings))),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": FEW_PARTITIONS,
        "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
        "spark.driver.memory": settings.spark_driver_memory,
        **({"spark.driver.host": LOOPBACK} if is_local(settings) else {}),
        "spark.driver.extraJavaOptions": (
            f"-Dlog4j2.configurationFile={LOG_CONFIG} -Dkol.log={log} -Duser.timezone=UTC -XX:+ExitOnOutOfMemoryError"
        ),
        "spark.sql.warehouse.dir": str(settings.home.resolve() / "warehouse"),
        "spark.local.dir": str(settings.home.resolve() / "spark"),
        "spark.redaction.regex": SECRET_NAMES,
        "spark.python.worker.faulthandler.enabled": "true",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.databricks.delta.snapshotPartitions": "2",
    }
