"""`./kol setup`: bring what the verbs need beside the environment, once: the jars, and a Java where there is none."""

import importlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import typer

from cli.context import AsJson, settings_of
from cli.output import emit_json, emit_table, to_people
from runtime.failure import HandledError
from runtime.java import NEEDED, Java, JavaError, bundled_java, find_java
from runtime.settings import ROOT, Settings

JAVA_LOCK = ROOT / "locks" / "java.lock"
INSTALL_SECONDS = 600
"""A Java is 40 MB; who cannot bring that in ten minutes is offline."""

Bundled = Annotated[bool, typer.Option("--bundled-java", help="Install a Java into .venv, whatever else is there.")]
Tell = Callable[[str], None]
"""Gets one line for people before something is brought."""


class SetupError(HandledError):
    """Something could not be installed; the message has the installer's words and another way."""

    @classmethod
    def of(cls, lock: Path, said: str) -> Self:
        """Repeat what the installer said."""
        other_way = "is this machine online? Then again: ./kol setup; or with root: apt-get install -y openjdk-17-jre"
        return cls(f"could not install {lock.name} ({other_way}). The installer said:\n{said.strip()}")


@dataclass(frozen=True, slots=True)
class Ready:
    """What is there after a set-up, and what had to be brought for it."""

    java: Java
    java_installed: bool
    jars_brought: tuple[Path, ...]


def setup(
    context: typer.Context,
    bundled: Bundled = False,  # noqa: FBT002 - a command-line flag
    as_json: AsJson = False,  # noqa: FBT002 - same
) -> None:
    """Bring the jars of Spark and Kafka, checked by SHA-256, and a Java if there is none; a second run brings nothing.

    Example: ./kol setup --bundled-java
    """
    settings = settings_of(context)
    installed = bundled and bundled_java() is None
    if installed:
        tell_people("installing the bundled Java into .venv")
        install_java()
    ready = ensure_ready(settings)
    facts = {
        "java": f"{ready.java.vendor} {ready.java.version}",
        "java_home": str(ready.java.home),
        "java_installed": installed or ready.java_installed,
        "jars": str(settings.home.resolve() / "jars"),
        "jars_brought": len(ready.jars_brought),
    }
    if as_json:
        emit_json(facts)
    else:
        emit_table("Ready", [{"what": name, "found": value} for name, value in facts.items()])


def ensure_ready(settings: Settings, tell: Tell | None = None) -> Ready:
    """Bring jars and Java where they are missing; takes a tenth of a second when all is there.

    Args:
        settings: `home` is where the jars belong.
        tell: Told what is being brought; people read it on stderr by default.

    Raises:
        JarsError: The jars cannot be reached or are not as locked.
        SetupError: There is no Java, and none could be installed.
    """
    from runtime.jars import fetch_jars, jars_folder

    told = tell or tell_people
    java, installed = ensure_java(told)
    if not any(jars_folder(settings).glob("*.jar")):
        told("downloading the jars of Spark and Kafka (65 MB, once)")
    return Ready(java, installed, tuple(fetch_jars(settings)))


def ensure_java(tell: Tell) -> tuple[Java, bool]:
    """Return a Java that will do, and whether it had to be installed.

    Raises:
        SetupError: There is none, and none could be installed.
        JavaError: The bundled one does not run here either.
    """
    try:
        return find_java(), False
    except JavaError:
        tell(f"there is no {NEEDED} here; installing the bundled Java into .venv (40 MB, once)")
    install_java()
    return find_java(), True


def install_java(lock: Path = JAVA_LOCK, python: Path | None = None) -> None:
    """Install the locked Java wheel, by hash, with the environment's own installer.

    Args:
        lock: What to install.
        python: Into whose environment; this process's own by default.

    Raises:
        SetupError: It cannot be reached, is not as locked, or does not exist for this machine.
    """
    here = Path(sys.executable)
    command = [str(here.with_name("uv")), "pip", "install", "--quiet", "--python", str(python or here)]
    command += ["--require-hashes", "--link-mode", "copy", "-r", str(lock)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError.of(lock, str(error)) from error
    if done.returncode != 0:
        raise SetupError.of(lock, done.stdout + done.stderr)
    importlib.invalidate_caches()


def tell_people(line: str) -> None:
    """Say it on stderr."""
    to_people().print(line, markup=False, soft_wrap=True)
