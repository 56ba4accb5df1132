"""What the tests share: a home of their own, the jars of this checkout, one real broker and one Spark per run."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.broker import Broker, start_broker, stop_broker
from runtime.processes import Life
from runtime.settings import Settings, load_settings

if TYPE_CHECKING:  # importing Spark costs a second, and most tests need none
    from pyspark.sql import SparkSession

NewSettings = Callable[..., Settings]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--long`."""
    parser.addoption("--long", action="store_true", help="run the long suites too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put what needs a JVM last, and skip what is long unless it is asked for."""
    items.sort(key=lambda item: item.get_closest_marker("jvm") is not None)
    if config.getoption("--long"):
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="long; run it with --long"))


@pytest.fixture(scope="session")
def jars_home() -> Path:
    """Return the folder of the jars that './kol setup' brought, so that no test downloads them again."""
    return load_settings().home.resolve() / "jars"


@pytest.fixture(scope="session")
def new_settings(tmp_path_factory: pytest.TempPathFactory, jars_home: Path) -> NewSettings:
    """Return a function that makes settings with a fresh home, in which the jars are there."""

    def make(**flags: object) -> Settings:
        home = tmp_path_factory.mktemp("home")
        (home / "jars").symlink_to(jars_home)
        return load_settings({"home": home, **flags})

    return make


@pytest.fixture
def settings(new_settings: NewSettings) -> Settings:
    """Return settings with a fresh home for one test."""
    return new_settings()


@pytest.fixture(scope="session")
def broker(new_settings: NewSettings) -> Iterator[Broker]:
    """Start the one broker of this run; tests that use it are marked `jvm`."""
    own = new_settings()
    yield start_broker(own, Life.WITH_PARENT)
    stop_broker(own)


@pytest.fixture
def kafka_settings(new_settings: NewSettings, broker: Broker) -> Settings:
    """Return settings with a fresh home that use the shared broker."""
    return new_settings(kafka_servers=broker.servers)


@pytest.fixture(scope="module")
def module_settings(new_settings: NewSettings, broker: Broker) -> Settings:
    """Return settings with a home for one test file that use the shared broker."""
    return new_settings(kafka_servers=broker.servers)


@pytest.fixture(scope="session")
def spark(new_settings: NewSettings) -> Iterator["SparkSession"]:
    """Start the one Spark session of this run; tests that use it are marked `jvm`."""
    from runtime.session import spark_session

    session = spark_session(new_settings(), "tests")
    yield session
    session.stop()
