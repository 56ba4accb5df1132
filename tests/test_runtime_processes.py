"""Background processes: recorded, found again, stopped as a whole, never somebody else's."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from runtime import processes
from runtime.processes import Life, Process, ProcessError, free_port, is_alive, running, start, stop, wait_ready
from runtime.settings import ROOT, Settings

SLEEP = ["sleep", "60"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal; signal.signal(15, signal.SIG_IGN); print('set', flush=True); signal.pause()",
]


@pytest.fixture
def home(settings: Settings) -> Iterator[Settings]:
    """Settings whose process `x` is stopped at the end."""
    yield settings
    stop(settings, "x", 0.1)


def log_says(process: Process, text: str) -> bool:
    return text in Path(process.log).read_text()


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"{pid} still runs"
        time.sleep(0.02)


def test_a_started_process_is_found_again_by_its_name(home: Settings) -> None:
    process = start(home, "x", SLEEP, port=1234)
    assert running(home, "x") == process
    assert (process.command, process.port, os.getpgid(process.pid)) == (SLEEP, 1234, process.pid)


def test_one_name_runs_once(home: Settings) -> None:
    start(home, "x", SLEEP)
    with pytest.raises(ProcessError, match="x runs already"):
        start(home, "x", SLEEP)


def test_stopping_ends_it_and_removes_its_record(home: Settings) -> None:
    process = start(home, "x", SLEEP)
    assert stop(home, "x")
    assert not is_alive(process)
    assert not (home.runs / "x.json").exists()
    assert not stop(home, "x")


def test_one_that_ignores_the_polite_signal_is_killed(home: Settings) -> None:
    process = start(home, "x", STUBBORN)
    wait_ready(lambda: log_says(process, "set"), process, 10)
    assert stop(home, "x", 0.2)
    assert not is_alive(process)


def test_its_children_go_with_it(home: Settings) -> None:
    process = start(home, "x", ["sh", "-c", "sleep 60 & echo child=$!; wait"])
    wait_ready(lambda: log_says(process, "child="), process, 10)
    child = int(Path(process.log).read_text().split("child=")[1])
    stop(home, "x")
    wait_for_end(child)


def test_a_recycled_pid_is_never_touched(home: Settings) -> None:
    bystander = subprocess.Popen(SLEEP, start_new_session=True)
    process = start(home, "x", SLEEP)
    stop(home, "x")
    other = msgspec.structs.replace(process, pid=bystander.pid, created=process.created - 3600)
    (home.runs / "x.json").write_bytes(msgspec.json.encode(other))
    assert running(home, "x") is None
    assert not stop(home, "x")
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_process_that_ended_but_was_not_waited_for_does_not_run(home: Settings) -> None:
    process = start(home, "x", SLEEP)
    os.kill(process.pid, signal.SIGKILL)
    wait_for_end(process.pid)
    assert running(home, "x") is None


def test_an_early_death_is_told_with_the_end_of_the_log(home: Settings) -> None:
    process = start(home, "x", ["sh", "-c", "echo out of luck >&2; exit 3"])
    with pytest.raises(ProcessError, match=r"ended before it was ready[\s\S]*out of luck"):
        wait_ready(lambda: False, process, 10)


def test_waiting_has_an_end(home: Settings) -> None:
    process = start(home, "x", ["sh", "-c", "echo still warming up; sleep 60"])
    wait_ready(lambda: log_says(process, "warming"), process, 10)
    with pytest.raises(ProcessError, match=r"was not ready after 0.1 s[\s\S]*still warming up"):
        wait_ready(lambda: False, process, 0.1)


def test_stdin_is_empty_and_output_is_in_the_log(home: Settings) -> None:
    process = start(home, "x", ["sh", "-c", "cat; echo out; echo err >&2; sleep 60"])
    wait_ready(lambda: log_says(process, "out\nerr"), process, 10)


def test_a_missing_program_is_an_error_at_once(home: Settings) -> None:
    with pytest.raises(FileNotFoundError):
        start(home, "x", ["no-such-program-here"])
    assert running(home, "x") is None


def test_a_large_log_is_put_aside(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOG_KEPT_BYTES", 3)
    home.runs.mkdir()
    (home.runs / "x.log").write_text("long ago")
    start(home, "x", SLEEP)
    assert (home.runs / "x.log.1").read_text() == "long ago"


STARTER = """
import signal, sys
from runtime.processes import Life, start
from runtime.settings import load_settings
start(load_settings({"home": sys.argv[1]}), "x", ["sleep", "60"], life=Life[sys.argv[2]])
print("started", flush=True)
signal.pause()
"""


@pytest.mark.parametrize("life", Life)
def test_a_tied_process_dies_with_a_killed_parent_and_a_free_one_lives_on(home: Settings, life: Life) -> None:
    command = [sys.executable, "-c", STARTER, str(home.home), life.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": "."}) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"started\n"
        process = running(home, "x")
        assert process
        wait_ready(lambda: psutil.Process(process.pid).name() == "sleep", process, 5)
        parent.kill()
    if life is Life.WITH_PARENT:
        wait_for_end(process.pid)
    assert is_alive(process) is (life is Life.OWN)


def test_the_wanted_port_is_given_when_free_and_another_one_when_not() -> None:
    port = free_port()
    assert free_port(port) == port
    with socket.create_server(("127.0.0.1", port)):
        assert free_port(port) != port
