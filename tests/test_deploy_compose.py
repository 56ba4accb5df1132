"""docker-compose.yml says what the code understands, and contains what runs. No engine is needed to check that."""

import ast
import json
import os
import re
import shlex
import subprocess
import time
import zipfile
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer.main
import yaml

from cli.app import build_app
from runtime.settings import PREFIX, ROOT, Settings, load_settings
from serving.lmdb_writer import LmdbWriter
from serving.routes_health import health_routes

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SCHEMA = json.loads(Path(__file__).with_name("compose.schema.json").read_text())
OWN = sorted(name for name, service in SERVICES.items() if "build" in service)
SCHEMA_BREAKERS = {
    "privileged": True,
    "image": "apache/kafka:latest",
    "user": "0:0",
    "ports": ["8000:8000"],
    "volumes": ["/var/run/docker.sock:/var/run/docker.sock"],
    "environment": {"KOL_API_PORT": 8000},
    "cap_drop": [],
}


def environment(name: str) -> dict[str, str]:
    """Return the variables of a service."""
    found: dict[str, str] = SERVICES[name].get("environment", {})
    return found


def addresses(name: str) -> Iterator[tuple[str, str]]:
    """Yield (variable, host) of every other service that the variables of one name."""
    for variable, value in environment(name).items():
        if variable.startswith(PREFIX) and (found := re.search(r"(?:^|://)([a-z-]+):\d+$", value)):
            yield variable, found[1]


def test_the_file_keeps_to_the_schema() -> None:
    jsonschema.validate(COMPOSE, SCHEMA, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("key", SCHEMA_BREAKERS)
def test_the_schema_refuses_what_is_unsafe(key: str) -> None:
    bad = {**COMPOSE, "services": {"kafka": SERVICES["kafka"] | {key: SCHEMA_BREAKERS[key]}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bad, SCHEMA, jsonschema.Draft202012Validator)


def test_all_the_services_are_there() -> None:
    jobs = {"kol-trainer", "stream", "nightly"}
    servers = {"kafka", "mlflow", "spark-master", "spark-worker", "keeper", "api"}
    assert set(SERVICES) == jobs | servers | {"view-processes"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_only_for_what_can_come(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        ends = SERVICES[other]["restart"] == "no"
        assert ends == (how["condition"] == "service_completed_successfully"), f"{name} waits for {other}"
        assert ends or "healthcheck" in SERVICES[other]
        assert "profiles" not in SERVICES[other], f"{name} waits for {other}, which does not start by itself"


def test_nobody_waits_in_a_circle() -> None:
    order = list(
        TopologicalSorter({name: service.get("depends_on", {}) for name, service in SERVICES.items()}).static_order()
    )
    assert order.index("kafka") < order.index("stream") < order.index("keeper") < order.index("api")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_either_ends_or_tells_how_it_is(name: str) -> None:
    assert (SERVICES[name]["restart"] == "no") != ("healthcheck" in SERVICES[name])


def test_networks_and_volumes_are_declared_and_used() -> None:
    networks = {network for service in SERVICES.values() for network in service["networks"]}
    mounts = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", ())}
    assert networks == set(COMPOSE["networks"])
    assert mounts == set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_only_who_publishes_a_port_is_on_the_outer_network(name: str) -> None:
    assert ("edge" in SERVICES[name]["networks"]) == ("ports" in SERVICES[name])
    assert COMPOSE["networks"]["inside"]["internal"]


@pytest.mark.parametrize("name", OWN)
def test_our_own_containers_are_read_only(name: str) -> None:
    assert SERVICES[name]["read_only"]
    assert SERVICES[name]["user"] == "10001:10001"


@pytest.mark.parametrize("name", SERVICES)
def test_the_settings_are_known_and_can_be_read(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in [known for known in os.environ if known.startswith(PREFIX)]:
        monkeypatch.delenv(variable)
    given = {variable: value for variable, value in environment(name).items() if variable.startswith(PREFIX)}
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    settings = load_settings()
    assert {PREFIX + field.upper() for field in settings.model_fields_set} == set(given)
    assert set(given) <= {PREFIX + field.upper() for field in Settings.model_fields}


@pytest.mark.parametrize("name", SERVICES)
def test_the_services_that_a_setting_names_are_there_and_can_be_reached(name: str) -> None:
    for variable, host in addresses(name):
        assert host in SERVICES, f"{variable} of {name} names {host}"
        assert set(SERVICES[host]["networks"]) & set(SERVICES[name]["networks"])
    assert ("KOL_SPARK_MASTER" in environment(name)) == (name in {"stream", "nightly"})


@pytest.mark.parametrize("name", ["stream", "nightly"])
def test_the_workers_find_a_driver_by_its_services_name(name: str) -> None:
    options = json.loads(environment(name)["KOL_SPARK_OPTIONS"])
    assert options["spark.driver.host"] == name
    assert options["spark.driver.bindAddress"] == "0.0.0.0"  # noqa: S104 - inside the container


def test_stream_and_nightly_run_fit_on_one_worker_together() -> None:
    command = SERVICES["spark-worker"]["command"]
    cores = [
        int(json.loads(environment(name)["KOL_SPARK_OPTIONS"])["spark.cores.max"]) for name in ("stream", "nightly")
    ]
    assert sum(cores) <= int(command[command.index("--cores") + 1])


@pytest.mark.parametrize("name", OWN)
def test_the_command_can_be_run(name: str) -> None:
    command = SERVICES[name]["command"]
    if command[:2] == ["python", "-m"]:
        assert find_spec(command[2]) is not None
    elif command[0] == "spark-class":
        assert spark_has(command[1])
    else:
        assert command == ["sleep", "infinity"] or entry_points(group="console_scripts", name=command[0])
    if command[2:3] == ["cli"]:
        assert is_verb(command[3:])


def spark_has(java_class: str) -> bool:
    """Tell whether Spark's own jar has a class."""
    spec = find_spec("pyspark")
    assert spec is not None
    assert spec.origin is not None
    (core,) = (Path(spec.origin).parent / "jars").glob("spark-core_*.jar")
    return f"{java_class.replace('.', '/')}.class" in zipfile.ZipFile(core).namelist()


def is_verb(words: list[str]) -> bool:
    """Tell whether the words lead to a verb of ./kol."""
    found: Any = typer.main.get_command(build_app())
    for word in words:
        found = getattr(found, "commands", {}).get(word)
    return found is not None and not hasattr(found, "commands")


@pytest.mark.parametrize("name", [name for name in OWN if "healthcheck" in SERVICES[name]])
def test_a_health_check_is_a_program(name: str) -> None:
    kind, *words = SERVICES[name]["healthcheck"]["test"]
    if words[:2] == ["python", "-c"]:
        ast.parse(words[2])
    elif kind == "CMD-SHELL":
        done = subprocess.run(["sh", "-n", "-c", unescaped(words[0])], check=False)
        assert done.returncode == 0
    else:
        assert words == ["true"]


def test_the_health_check_of_the_api_asks_a_path_that_exists() -> None:
    asked = re.search(r":(\d+)(/\w+)'", SERVICES["api"]["healthcheck"]["test"][-1])
    assert asked is not None
    assert asked[1] == environment("api")["KOL_API_PORT"]
    assert asked[2] in {getattr(route, "path", None) for route in health_routes().routes}


def test_the_health_check_of_the_keeper_sees_whether_it_writes(settings: Settings) -> None:
    writer = LmdbWriter.open(settings)
    file = settings.views / "realtime" / "data.mdb"
    check = unescaped(SERVICES["keeper"]["healthcheck"]["test"][1]).replace(
        "/data/views", shlex.quote(str(settings.views))
    )
    assert subprocess.run(["sh", "-c", check], check=False).returncode == 0
    minute_ago = time.time() - 60
    os.utime(file, (minute_ago, minute_ago))
    assert subprocess.run(["sh", "-c", check], check=False).returncode == 1
    writer.close()


def unescaped(text: str) -> str:
    """Return a command as the container gets it: Compose reads $$ as one dollar sign."""
    return text.replace("$$", "$")


def test_keeper_and_api_share_their_process_ids() -> None:
    assert SERVICES["keeper"]["pid"] == SERVICES["api"]["pid"] == "service:view-processes"
