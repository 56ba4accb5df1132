"""The jars of Spark and of the broker: brought once by PySpark's own Ivy, held to the SHA-256 in `locks/jars.lock`."""

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self
from xml.etree import ElementTree as ET

import msgspec
import structlog

from runtime.failure import HandledError
from runtime.java import Java, bundled_java, find_java
from runtime.settings import ROOT, Settings

LOCK = ROOT / "locks" / "jars.lock"
STAMP = "verified.json"
FETCH_SECONDS = 900
REMEDY = "bring them with: ./kol setup"
# Ivy resolves nothing for us: every jar stands in the lock, also those that others depend on.
DEPENDENCY = {"transitive": "false", "conf": "default->master"}

Group = Literal["spark", "broker"]


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock."""

    group: str
    organisation: str
    name: str
    revision: str
    sha256: str

    @property
    def file(self) -> str:
        """Name of the file in HOME/jars."""
        return f"{self.name}-{self.revision}.jar"


class JarsError(HandledError):
    """Jars are missing, changed or cannot be brought; the message names them and the command."""

    @classmethod
    def bad(cls, folder: Path, problems: Iterable[str]) -> Self:
        """Name each jar that is missing or not what the lock says."""
        return cls(f"jars in {folder} are not as locked: {'; '.join(problems)}. To mend it, {REMEDY}")

    @classmethod
    def unreachable(cls, wanted: Iterable[Jar], said: str) -> Self:
        """Say that Ivy could not bring them, with its own last words."""
        names = ", ".join(jar.file for jar in wanted)
        last = "\n".join(said.strip().splitlines()[-15:])
        return cls(
            f"could not download {names}; is this machine online? Then try again: ./kol setup\nIvy said:\n{last}"
        )


class Seen(msgspec.Struct, frozen=True):
    """What a jar looked like when its hash was last computed."""

    size: int
    modified: int
    """Nanoseconds since 1970."""
    sha256: str


def read_lock() -> list[Jar]:
    """Read the lock; lines are `group organisation name revision sha256`, `#` starts a comment."""
    lines = [line.split() for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    return [Jar(*parts) for parts in lines]


def spark_jars(settings: Settings) -> list[Path]:
    """Return the jars that Spark needs for Delta and Kafka.

    Raises:
        JarsError: Some are missing or not as locked.
    """
    return _locked_paths(settings, "spark")


def broker_jars(settings: Settings) -> list[Path]:
    """Return the whole class path of the embedded broker.

    Raises:
        JarsError: Some are missing or not as locked.
    """
    return _locked_paths(settings, "broker")


def fetch_jars(settings: Settings) -> list[Path]:
    """Bring the jars that are missing or wrong into HOME/jars; downloads nothing when all are as locked.

    Returns:
        The files that were brought.

    Raises:
        JarsError: They cannot be reached, or came with another content than the lock says (none of those is kept).
    """
    folder = jars_folder(settings)
    jars = read_lock()
    wrong = _problems(folder, jars)
    wanted = {jar.file: jar for jar in jars if jar.file in wrong}
    if not wanted:
        return []
    changed = [problem for file, problem in wrong.items() if (folder / file).exists()]
    structlog.get_logger().debug("fetching jars", count=len(wanted), folder=str(folder), changed=changed)
    _drop(folder, wanted)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        _download(find_java(), list(wanted.values()), Path(scratch))
        mismatches = _problems(Path(scratch), wanted.values())
        for file in wanted.keys() - mismatches.keys():
            (Path(scratch) / file).replace(folder / file)
    if mismatches:
        raise JarsError.bad(folder, mismatches.values())
    _problems(folder, jars)
    return [folder / file for file in wanted]


def verify_jars(settings: Settings) -> list[str]:
    """Hash every jar anew, whatever the stamp says, and return what is wrong; empty when all is well."""
    folder = jars_folder(settings)
    (folder / STAMP).unlink(missing_ok=True)
    return list(_problems(folder, read_lock()).values())


def write_lock() -> None:
    """Download all jars of the lock anew and write the hashes that they have now.

    Raises:
        JarsError: Some cannot be reached.
    """
    jars = read_lock()
    with tempfile.TemporaryDirectory() as scratch:
        _download(find_java(), jars, Path(scratch))
        fresh = [replace(jar, sha256=_sha256(Path(scratch) / jar.file)) for jar in jars]
    comments = [line for line in LOCK.read_text().splitlines() if line.startswith("#")]
    lines = [f"{jar.group} {jar.organisation} {jar.name} {jar.revision} {jar.sha256}" for jar in fresh]
    LOCK.write_text("\n".join([*comments, *lines]) + "\n")


def jars_folder(settings: Settings) -> Path:
    """Return the folder of the jars, made if need be."""
    folder = settings.home.resolve() / "jars"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _locked_paths(settings: Settings, group: Group) -> list[Path]:
    folder = jars_folder(settings)
    jars = [jar for jar in read_lock() if jar.group == group]
    if problems := _problems(folder, jars):
        raise JarsError.bad(folder, problems.values())
    return [folder / jar.file for jar in jars]


def _problems(folder: Path, jars: Iterable[Jar]) -> dict[str, str]:
    """Say per file what is wrong. Only files that changed since they were last hashed are hashed."""
    known = _read_stamp(folder)
    seen = {jar.file: _look(folder / jar.file, known.get(jar.file)) for jar in jars}
    fresh = known | {file: look for file, look in seen.items() if look}
    if fresh != known:
        _write_stamp(folder, fresh)
    return {jar.file: problem for jar in jars if (problem := _problem(jar, seen[jar.file]))}


def _problem(jar: Jar, look: Seen | None) -> str | None:
    if look is None:
        return f"{jar.file} is missing"
    if look.sha256 != jar.sha256:
        return f"{jar.file} has SHA-256 {look.sha256}, the lock says {jar.sha256}"
    return None


def _look(path: Path, known: Seen | None) -> Seen | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    if known and (known.size, known.modified) == (status.st_size, status.st_mtime_ns):
        return known
    return Seen(status.st_size, status.st_mtime_ns, _sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_stamp(folder: Path) -> dict[str, Seen]:
    try:
        return msgspec.json.decode((folder / STAMP).read_bytes(), type=dict[str, Seen])
    except (FileNotFoundError, msgspec.DecodeError):  # then all is hashed anew
        return {}


def _write_stamp(folder: Path, seen: dict[str, Seen]) -> None:
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".verified-", delete=False) as fresh:
        fresh.write(msgspec.json.encode(seen))
    Path(fresh.name).replace(folder / STAMP)


def _drop(folder: Path, wanted: Iterable[str]) -> None:
    for file in wanted:
        (folder / file).unlink(missing_ok=True)


def _download(java: Java, jars: list[Jar], folder: Path) -> None:
    """Bring exactly these jars into `folder` by one run of Ivy, with its default resolver and an empty cache."""
    order = folder / "ivy.xml"
    order.write_bytes(_order(jars))
    from runtime.trust import trust_options  # noqa: PLC0415 - an API machine fetches no jars and has no cryptography

    trust = trust_options(folder) if java.executable == bundled_java() else []
    command = [str(java.executable), *trust, "-jar", str(_ivy()), "-ivy", str(order), "-cache", str(folder / "cache")]
    command += ["-retrieve", f"{folder}/[artifact]-[revision].[ext]", "-types", "jar", "bundle"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise JarsError.unreachable(jars, f"nothing for {FETCH_SECONDS} s") from error
    if answer.returncode != 0 or not all((folder / jar.file).is_file() for jar in jars):
        raise JarsError.unreachable(jars, answer.stdout + answer.stderr)


def _order(jars: Iterable[Jar]) -> bytes:
    module = ET.Element("ivy-module", version="2.0")
    ET.SubElement(module, "info", organisation="kol", module="jars")
    dependencies = ET.SubElement(module, "dependencies")
    for jar in jars:
        place = {"org": jar.organisation, "name": jar.name, "rev": jar.revision}
        ET.SubElement(dependencies, "dependency", {**place, **DEPENDENCY})
    # Spark and the broker have different revisions of the same Kafka client; both are wanted.
    ET.SubElement(dependencies, "conflict", manager="all")
    return ET.tostring(module)


def _ivy() -> Path:
    pyspark = importlib.util.find_spec("pyspark")
    found = sorted(Path(pyspark.origin).parent.glob("jars/ivy-*.jar")) if pyspark and pyspark.origin else []
    if not found:
        raise JarsError("PySpark and the Ivy inside it are not installed here; install them with: ./kol setup")
    return found[-1]


if __name__ == "__main__":
    if sys.argv[1:] == ["lock"]:
        write_lock()
    else:
        sys.stderr.write(f"python -m runtime.jars lock: write {LOCK.name} anew; './kol setup' brings the jars\n")
        sys.exit(2)
