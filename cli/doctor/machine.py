"""Checks of the machine: Java, OpenMP, memory, disk, clock."""

import ctypes
import importlib
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

import psutil

from cli.doctor.finding import Check, Found
from features.instant import format_instant, parse_instant
from registry.shelf import Shelf
from runtime.java import find_java
from runtime.publication import read_publication
from runtime.settings import ROOT, Settings

GB = 2**30
FREE_GB = 4
"""Memory and disk that the whole system takes on real data, with some room."""
LEAST_GB = 1
"""With less the broker and Spark do not start at all."""
CGROUP = Path("/sys/fs/cgroup")
CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far an event may be ahead; with a clock that is further off, events are refused or win for ever."""


def machine_checks() -> tuple[Check, ...]:
    """Return the checks of the machine."""
    return (
        Check("java", look_at_java, "./kol setup --bundled-java"),
        Check("openmp", look_at_openmp, "apt-get install -y libgomp1"),
        Check("memory", look_at_memory, "./kol down"),
        Check("disk", look_at_disk, "./kol --set home=FOLDER_ON_A_LARGER_DISK up"),
        Check("clock", look_at_clock, "timedatectl set-ntp true"),
    )


def look_at_java(_: Settings) -> Found:
    """Find the Java that Spark and the broker would run on; none that will do is an error that says what was found."""
    java = find_java()
    return Found.ok(f"{java.vendor} {java.version} in {java.home}")


def look_at_openmp(_: Settings) -> Found:
    """Load libgomp and LightGBM, which needs it."""
    try:
        ctypes.CDLL("libgomp.so.1")
        importlib.import_module("lightgbm")
    except OSError as error:
        cause = f"LightGBM needs the OpenMP runtime: {error}"
        return Found.fail("not loadable", cause=cause, mend="apt-get install -y libgomp1")
    return Found.ok(f"libgomp and LightGBM {metadata.version('lightgbm')} load")


def look_at_memory(_: Settings) -> Found:
    """See how much memory is free, for this machine and for the container that we may be in."""
    free_gb = min(psutil.virtual_memory().available, container_free()) / GB
    found = f"{free_gb:.1f} GB free"
    if free_gb >= FREE_GB:
        return Found.ok(found)
    cause = f"broker, Spark and API together want {FREE_GB} GB"
    mend = "./kol --set spark_driver_memory=1g up"
    report = Found.warn if free_gb >= LEAST_GB else Found.fail
    return report(found, cause=cause, mend=mend)


def container_free() -> float:
    """Return the bytes that the container's limit leaves; infinite without one."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        used = int((CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return float("inf")
    return float("inf") if limit == "max" else float(int(limit) - used)


def look_at_disk(settings: Settings) -> Found:
    """See how much room there is for HOME."""
    folder = settings.home.resolve()
    while not folder.exists():
        folder = folder.parent
    free_gb = shutil.disk_usage(folder).free / GB
    found = f"{free_gb:.1f} GB free for {settings.home.resolve()}"
    if free_gb >= FREE_GB:
        return Found.ok(found)
    cause = f"tables, topics, models and views want {FREE_GB} GB to begin with"
    mend = "./kol --set home=FOLDER_ON_A_LARGER_DISK up"
    report = Found.warn if free_gb >= LEAST_GB else Found.fail
    return report(found, cause=cause, mend=mend)


def look_at_clock(settings: Settings, now: datetime | None = None) -> Found:
    """Hold the clock against what was written here before: nothing of it can be from the future."""
    now = now or datetime.now(UTC)
    ahead = [(moment, what) for moment, what in known_moments(settings) if moment > now + CLOCK_TOLERANCE]
    if not ahead:
        return Found.ok(f"{format_instant(now)[:19]}Z, after everything that was written here")
    moment, what = max(ahead)
    cause = f"the clock is behind, or was ahead: {what} is from {format_instant(moment)}"
    return Found.fail(f"{format_instant(now)[:19]}Z", cause=cause, mend="timedatectl set-ntp true")


def known_moments(settings: Settings) -> Iterator[tuple[datetime, str]]:
    """Yield moments that are past for sure, each with what happened then."""
    for activation in Shelf.at(settings.shelf).activations():
        yield parse_instant(activation.effective_from), f"promotion {activation.promotion_seq}"
    if published := read_publication(settings):
        yield parse_instant(published.published_at), f"the nightly run {published.run_id}"
    for path in (ROOT / ".venv" / "kol-lock.sha256", *settings.runs.glob("*.json")):
        if path.exists():
            yield datetime.fromtimestamp(path.stat().st_mtime, UTC), str(path)
