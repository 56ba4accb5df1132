"""The README is true: its commands run, and every setting, verb and reason is named in it."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import typer

from cli.app import build_app
from features.refusal import Reason
from registry.synthetic import synthetic_csv
from runtime.processes import free_port
from runtime.settings import PREFIX, ROOT, Settings, load_settings

README = (ROOT / "README.md").read_text("utf-8")
ACCOUNTS = 1_500
"""Generated accounts in place of 30,000 real ones: the same way in a third of the time."""
SECONDS = 420
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]


def verbs(command: object, path: str = "./kol") -> Iterator[str]:
    """Yield every verb as people type it."""
    for name, child in getattr(command, "commands", {}).items():
        nested = list(verbs(child, f"{path} {name}"))
        yield from nested or [f"{path} {name}"]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_named(name: str) -> None:
    assert f"`{PREFIX}{name.upper()}`" in README


@pytest.mark.parametrize("verb", list(verbs(typer.main.get_command(build_app()))))
def test_every_verb_is_named(verb: str) -> None:
    noun, _, last = verb.rpartition(" ")
    together = re.search(rf"`{re.escape(noun)} \w+`(, `[\w ]+`)*, `{last}`", README)
    assert f"`{verb}`" in README or together


@pytest.mark.parametrize("reason", get_args(Reason))
def test_every_reason_is_named(reason: str) -> None:
    assert f"| `{reason}` |" in README


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return an environment with a home of its own, a few generated accounts, and a free port for the API."""
    home = tmp_path_factory.mktemp("readme")
    (home / "jars").symlink_to(load_settings().home.resolve() / "jars")
    dataset = home / "accounts.csv"
    dataset.write_bytes(synthetic_csv(ACCOUNTS))
    own = {"KOL_HOME": str(home), "KOL_DATASET": str(dataset), "KOL_API_PORT": str(free_port())}
    environment = {**os.environ, **own}
    yield environment
    subprocess.run([ROOT / "kol", "down"], env=environment, cwd=ROOT, check=True, capture_output=True)


@pytest.mark.jvm
@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's questions are asked with curl")
def test_the_commands_run_in_order(surroundings: dict[str, str], tmp_path: Path) -> None:
    assert {"./kol demo", "./kol test"} <= set(COMMANDS)
    for command in COMMANDS:
        ran = run(command, surroundings, tmp_path)
        assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
        assert not re.search(r"Traceback|\bWARN|Warning", ran.stderr), f"{command}\n{ran.stderr}"


def run(command: str, environment: dict[str, str], out: Path) -> subprocess.CompletedProcess[str]:
    """Run one line of the README; the tests by collecting them only, scores into a folder of the test."""
    line = command.replace("./kol test", "./kol test --collect-only -q").replace("scores.csv", f"{out}/scores.csv")
    line = line.replace(":8000", f":{environment['KOL_API_PORT']}")
    return subprocess.run(  # noqa: S602 - the README's own lines, in the shell they are written for
        line, shell=True, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
