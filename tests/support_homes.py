"""Fixtures: an open registry with four versions, made once per run and copied for each test."""

import shutil
from pathlib import Path

import pytest

from registry.staging import register
from registry.synthetic import synthetic_csv
from registry.truth import Registry, open_registry
from runtime.settings import Settings
from tests.conftest import NewSettings
from tests.support_registry import ROWS, STRONG, TWIN, UNFIT, WEAK, package_of


@pytest.fixture(scope="session")
def filled_home(new_settings: NewSettings) -> Path:
    """Return a home whose MLflow has four versions, none of them promoted: making it takes seconds, copying none."""
    settings = new_settings(engine="lightgbm")
    registry = open_registry(settings)
    for recipe in (WEAK, STRONG, TWIN, UNFIT):
        register(registry, package_of(recipe))
    return settings.home


@pytest.fixture
def filled(new_settings: NewSettings, filled_home: Path) -> Settings:
    """Return settings with a copy of that MLflow; the versions' files stay where they were logged."""
    settings = new_settings(engine="lightgbm")
    (settings.home / "mlflow").mkdir()
    shutil.copyfile(filled_home / "mlflow" / "mlflow.db", settings.home / "mlflow" / "mlflow.db")
    return settings


@pytest.fixture
def registry(filled: Settings) -> Registry:
    """Return the open registry of that copy."""
    return open_registry(filled)


@pytest.fixture(scope="session")
def accounts_csv(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of the accounts that the versions were trained on, as a file."""
    path = tmp_path_factory.mktemp("accounts") / "accounts.csv"
    path.write_bytes(synthetic_csv(ROWS, seed=3))
    return str(path)
