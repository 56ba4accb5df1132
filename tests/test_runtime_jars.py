"""The jars are those of the lock, or there is an error that says which are not."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from runtime import jars
from runtime.jars import JarsError, broker_jars, fetch_jars, read_lock, spark_jars, verify_jars, write_lock
from runtime.settings import Settings, load_settings

NO_NETWORK = "-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=9 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9"
CONTENT = b"the content of a jar"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def own(tmp_path: Path, jars_home: Path) -> Settings:
    """Settings whose folder of jars can be spoiled: links to the real ones."""
    folder = tmp_path / "jars"
    folder.mkdir()
    for jar in read_lock():
        (folder / jar.file).symlink_to(jars_home / jar.file)
    return load_settings({"home": tmp_path})


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings for a lock of one jar, which Ivy finds on this disk; the network is out of reach."""
    place = tmp_path / "ivy" / "local" / "org.acme" / "thing" / "1.0"
    (place / "jars").mkdir(parents=True)
    (place / "ivys").mkdir()
    (place / "jars" / "thing.jar").write_bytes(CONTENT)
    (place / "ivys" / "ivy.xml").write_text("""<ivy-module version="2.0"><info organisation="org.acme" module="thing"
        revision="1.0"/><configurations><conf name="master"/></configurations>
        <publications><artifact conf="master"/></publications></ivy-module>""")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", f"{NO_NETWORK} -Divy.default.ivy.user.dir={tmp_path / 'ivy'}")
    monkeypatch.setattr(jars, "LOCK", tmp_path / "jars.lock")
    return load_settings({"home": tmp_path / "home"})


def lock_one_jar(sha256: str, name: str = "thing") -> None:
    jars.LOCK.write_text(f"# a note\nspark org.acme {name} 1.0 {sha256}\n")


def test_the_lock_names_what_spark_and_the_broker_need() -> None:
    lock = read_lock()
    files = {group: [jar.file for jar in lock if jar.group == group] for group in ("spark", "broker")}
    assert len(lock) == len(files["spark"]) + len(files["broker"])
    assert len(files["spark"]) == 9
    assert {"kafka-clients-3.9.2.jar", "delta-spark_4.2_2.13-4.4.0.jar"} <= set(files["spark"])
    assert {"kafka-clients-4.4.0.jar", "kafka_2.13-4.4.0.jar"} <= set(files["broker"])
    assert all(len(jar.sha256) == 64 for jar in lock)


def test_all_jars_are_there_and_as_locked(own: Settings) -> None:
    assert verify_jars(own) == []
    assert [path.name for path in spark_jars(own)] == [jar.file for jar in read_lock() if jar.group == "spark"]
    assert [path.name for path in broker_jars(own)] == [jar.file for jar in read_lock() if jar.group == "broker"]


def test_looking_again_is_cheap(own: Settings) -> None:
    verify_jars(own)
    begin = time.perf_counter()
    spark_jars(own)
    broker_jars(own)
    assert time.perf_counter() - begin < 0.3


def test_a_missing_jar_is_named_with_the_command(own: Settings) -> None:
    (own.home / "jars" / "delta-storage-4.4.0.jar").unlink()
    with pytest.raises(JarsError, match=r"delta-storage-4\.4\.0\.jar is missing.*\./kol setup"):
        spark_jars(own)
    assert broker_jars(own)


def test_a_jar_changed_after_it_was_verified_is_noticed(own: Settings) -> None:
    verify_jars(own)
    changed = own.home / "jars" / "delta-storage-4.4.0.jar"
    changed.unlink()
    changed.write_bytes(CONTENT)
    with pytest.raises(JarsError, match=f"delta-storage-4.4.0.jar has SHA-256 {SHA256}, the lock says"):
        spark_jars(own)


def test_a_change_that_size_and_time_hide_is_found_by_the_full_check(repository: Settings) -> None:
    lock_one_jar(SHA256)
    jar = jars.jars_folder(repository) / "thing-1.0.jar"
    jar.write_bytes(CONTENT)
    spark_jars(repository)
    before = jar.stat()
    jar.write_bytes(CONTENT.replace(b"content", b"CONTENT"))
    os.utime(jar, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert spark_jars(repository)
    assert "thing-1.0.jar has SHA-256" in verify_jars(repository)[0]


def test_a_spoiled_stamp_only_costs_time(own: Settings) -> None:
    (own.home / "jars" / jars.STAMP).write_text("{")
    assert spark_jars(own)


def test_nothing_is_downloaded_when_all_are_there(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", NO_NETWORK)
    assert fetch_jars(own) == []


@pytest.mark.jvm
def test_a_missing_jar_is_brought_once(repository: Settings) -> None:
    lock_one_jar(SHA256)
    (brought,) = fetch_jars(repository)
    assert (brought.read_bytes(), spark_jars(repository)) == (CONTENT, [brought])
    assert fetch_jars(repository) == []
    assert sorted(path.name for path in brought.parent.iterdir()) == ["thing-1.0.jar", jars.STAMP]


@pytest.mark.jvm
def test_a_jar_that_comes_with_another_content_is_not_kept(repository: Settings) -> None:
    lock_one_jar("0" * 64)
    with pytest.raises(JarsError, match=f"thing-1.0.jar has SHA-256 {SHA256}, the lock says 0000"):
        fetch_jars(repository)
    assert not list(jars.jars_folder(repository).glob("*.jar"))


@pytest.mark.jvm
def test_a_bad_jar_is_replaced(repository: Settings) -> None:
    lock_one_jar(SHA256)
    (jars.jars_folder(repository) / "thing-1.0.jar").write_bytes(b"spoiled")
    assert [path.read_bytes() for path in fetch_jars(repository)] == [CONTENT]


@pytest.mark.jvm
def test_offline_the_error_names_the_jar_and_says_so(repository: Settings) -> None:
    lock_one_jar(SHA256, name="other")
    with pytest.raises(JarsError, match=r"could not download other-1\.0\.jar; is this machine online\?"):
        fetch_jars(repository)


@pytest.mark.jvm
def test_the_lock_is_written_anew_with_its_notes(repository: Settings) -> None:
    lock_one_jar("-")
    write_lock()
    assert jars.LOCK.read_text() == f"# a note\nspark org.acme thing 1.0 {SHA256}\n"
