"""The machine that a figure comes from, in one line."""

import os
import platform
from pathlib import Path

import psutil

CPU_INFO = Path("/proc/cpuinfo")


def describe_machine() -> str:
    """Return processor, cores that this process may use, memory, system and Python."""
    cores = len(os.sched_getaffinity(0))
    memory_gb = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.release()}"
    return f"{processor()}, {cores} cores, {memory_gb:.0f} GB, {system}, Python {platform.python_version()}"


def processor() -> str:
    """Return the processor's name, or its architecture where the system does not say."""
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.machine()
