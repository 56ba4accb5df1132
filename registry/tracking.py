"""MLflow, behind one door: runs, versions, tags and aliases. Beside `registry.mlflow_copy` no other imports it."""

import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightgbm
from sqlalchemy.exc import SQLAlchemyError

from registry.artifacts import MOST_BYTES, check_files, check_size, local_folder
from registry.database import make_database, one_maker
from registry.mlflow_copy import DESCRIPTION, NO_COPY, check_copy, described_model
from registry.mlflow_environment import DEFAULTS, ENFORCED
from registry.package import MANIFEST, TEXT, ModelRefusedError, Package
from registry.quarantine import look_at
from registry.shelf import read_package
from runtime.failure import HandledError
from runtime.settings import Settings

EXPERIMENT = "kol-trust"
FOLDER = "package"
"""Where in a run's artifacts the package's two files are."""
SHA_TAG = "package_sha"
STAGE_TAG = "stage"

DATABASE = "mlflow.db"


class RegistryError(HandledError):
    """MLflow cannot be reached, refuses something or has not what was asked for; the message says what and where."""


@dataclass(frozen=True, slots=True)
class Logged:
    """A finished run with a model: its id, and the model's address and id in MLflow; None where MLflow has no copy."""

    run_id: str
    model_uri: str
    model_id: str | None


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version.

    Attributes:
        name: Registered model.
        number: Version, from 1.
        run_id: Run that made it.
        created_at: When it was registered.
        mlflow_stage: MLflow's own, deprecated stage; a mirror.
        tags: Ours: package sha, contract, data, fingerprint, stage.
    """

    name: str
    number: int
    run_id: str
    created_at: datetime
    mlflow_stage: str
    tags: Mapping[str, str]

    @property
    def sha(self) -> str:
        """Sha of its package; empty when the version was not registered by us."""
        return self.tags.get(SHA_TAG, "")


@dataclass(frozen=True, slots=True)
class Tracking:
    """An open MLflow: tracking and registry at one address."""

    client: Any
    uri: str
    experiment_id: str

    def log(self, package: Package) -> Logged:
        """Log a run: how the model was made, its figures, the package's files and MLflow's own copy of the booster.

        Raises:
            ModelRefusedError: The package is broken.
            RegistryError: MLflow does not take it.
        """
        import mlflow.lightgbm  # noqa: PLC0415 - `open_tracking` sets the environment first

        manifest = package.verified_manifest()
        look_at(package)
        self._make_default()
        name = f"{manifest.name} {package.sha[:12]}"
        with _door(self.uri), mlflow.start_run(experiment_id=self.experiment_id, run_name=name) as run:
            mlflow.log_params(manifest.training)
            mlflow.log_metrics(manifest.metrics)
            mlflow.log_text(package.manifest.decode(), f"{FOLDER}/{MANIFEST}")
            mlflow.log_text(package.text.decode(), f"{FOLDER}/{TEXT}")
            if manifest.kind == "ensemble":
                # MLflow knows no such model and would pickle it; the package is the model.
                return Logged(run.info.run_id, f"runs:/{run.info.run_id}/{FOLDER}", None)
            booster = lightgbm.Booster(model_str=package.text.decode())
            with _without_warnings():
                info = mlflow.lightgbm.log_model(booster, name="model", **described_model())
        return Logged(run.info.run_id, info.model_uri, info.model_id)

    def add_version(self, name: str, logged: Logged, tags: Mapping[str, str]) -> Version:
        """Register a logged model as the next version of `name`.

        Raises:
            RegistryError: MLflow does not take it.
        """
        self._make_default()
        with _door(self.uri):
            told = {"description": DESCRIPTION if logged.model_id else NO_COPY, "model_id": logged.model_id}
            made = self.client.create_model_version(name, logged.model_uri, logged.run_id, dict(tags), **told)
        return _version(made)

    def _make_default(self) -> None:
        """Make this MLflow the process's default: logging a model and registering it look nowhere else."""
        import mlflow  # noqa: PLC0415 - `open_tracking` sets the environment first

        mlflow.set_tracking_uri(self.uri)

    def versions(self, name: str) -> tuple[Version, ...]:
        """Return all versions of a registered model, oldest first; none when there is no such model."""
        with _door(self.uri):
            found = self.client.search_model_versions(f"name='{name}'")
        return tuple(sorted(map(_version, found), key=lambda version: version.number))

    def version(self, name: str, number: int) -> Version:
        """Return one version.

        Raises:
            RegistryError: There is no such version.
        """
        versions = self.versions(name)
        for version in versions:
            if version.number == number:
                return version
        there = ", ".join(str(version.number) for version in versions) or "none"
        raise RegistryError(f"{name} has no version {number}; there are: {there} (./kol model list)")

    def package(self, version: Version) -> Package:
        """Fetch the package of a version and check that it is the one that was registered.

        Raises:
            RegistryError: The version was not registered by us, or its files cannot be fetched.
            ModelRefusedError: They are not what was registered, too large, links, or MLflow's copy would run code.
        """
        if not version.sha:
            raise RegistryError(f"{version.name} version {version.number} has no package; register it with ./kol")
        with _door(self.uri), tempfile.TemporaryDirectory() as folder:
            check_copy(self.client, version.name, version.number)
            package = self._fetch(version.run_id, folder)
        if package.sha != version.sha:
            raise ModelRefusedError(
                f"the files of {version.name} version {version.number} are {package.sha[:12]}, registered was "
                f"{version.sha[:12]}; train and register it again"
            )
        look_at(package)
        return package

    def _fetch(self, run_id: str, folder: str) -> Package:
        """Fetch the two files of a package into a folder of our own; whatever else lies there is left alone."""
        there = local_folder(self.client.get_run(run_id).info.artifact_uri)
        if there is not None:
            check_files(there / FOLDER)
        sizes = {found.path: found.file_size for found in self.client.list_artifacts(run_id, FOLDER)}
        for name in MOST_BYTES:
            path = f"{FOLDER}/{name}"
            if path not in sizes:
                raise RegistryError(f"run {run_id} has no {path}; train and register the model again")
            check_size(name, sizes[path])
            fetched = Path(self.client.download_artifacts(run_id, path, folder)).parent
        check_files(fetched)
        return read_package(fetched)

    def model_tags(self, name: str) -> dict[str, str]:
        """Return the tags of a registered model."""
        with _door(self.uri):
            return dict(self.client.get_registered_model(name).tags)

    def set_model_tag(self, name: str, key: str, value: str) -> None:
        """Set a tag of a registered model, in one transaction of MLflow's database."""
        with _door(self.uri):
            self.client.set_registered_model_tag(name, key, value)

    def set_version_tag(self, version: Version, key: str, value: str) -> None:
        """Set a tag of a version."""
        with _door(self.uri):
            self.client.set_model_version_tag(version.name, str(version.number), key, value)

    def aliases(self, name: str) -> dict[str, int]:
        """Return the aliases of a registered model and the versions they point to."""
        with _door(self.uri):
            return {alias: int(to) for alias, to in self.client.get_registered_model(name).aliases.items()}

    def set_alias(self, name: str, alias: str, number: int | None) -> None:
        """Let an alias point to a version, or remove it."""
        with _door(self.uri):
            if number is None:
                self.client.delete_registered_model_alias(name, alias)
            else:
                self.client.set_registered_model_alias(name, alias, str(number))

    def mirror_stage(self, version: Version, stage: str) -> None:
        """Set MLflow's own stage, for those who load `models:/NAME/Production` or read `current_stage`."""
        with _door(self.uri), _without_warnings():
            self.client.transition_model_version_stage(version.name, str(version.number), stage)

    def log_json(self, run_id: str, path: str, data: dict[str, object]) -> None:
        """Add a JSON file to a run's artifacts."""
        with _door(self.uri):
            self.client.log_dict(run_id, data, path)

    def log_text(self, run_id: str, path: str, text: str) -> None:
        """Add a text file to a run's artifacts."""
        with _door(self.uri):
            self.client.log_text(run_id, text, path)

    def log_folder(self, run_id: str, path: str, folder: Path) -> None:
        """Add the files of a folder to a run's artifacts, below `path`."""
        with _door(self.uri):
            self.client.log_artifacts(run_id, str(folder), path)


def open_tracking(settings: Settings, names: Sequence[str]) -> Tracking:
    """Open MLflow, making its database, the experiment and the registered models when they are not there.

    Args:
        settings: `tracking_uri` says where; the embedded one keeps its artifacts in HOME/mlflow/artifacts.
        names: Registered models that must exist.

    Raises:
        RegistryError: It cannot be reached.
    """
    os.environ.update({**DEFAULTS, **os.environ, **ENFORCED})
    home = settings.home.resolve() / "mlflow"
    with one_maker(home), _without_warnings():
        from mlflow import MlflowClient  # noqa: PLC0415 - reads the environment when it is imported

        if not settings.mlflow_uri:
            make_database(home / DATABASE, lambda uri: MlflowClient(uri, uri))
        with _door(settings.tracking_uri):
            client = MlflowClient(settings.tracking_uri, settings.tracking_uri)
            artifacts = None if settings.mlflow_uri else str(home / "artifacts")
            experiment = client.get_experiment_by_name(EXPERIMENT)
            number = experiment.experiment_id if experiment else client.create_experiment(EXPERIMENT, artifacts)
            there = {model.name for model in client.search_registered_models()}
            for name in names:
                if name not in there:
                    client.create_registered_model(name)
    return Tracking(client, settings.tracking_uri, number)


@contextmanager
def _door(uri: str) -> Iterator[None]:
    """Turn what MLflow raises into an error of ours."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - `open_tracking` sets the environment first

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        why = str(getattr(error, "orig", None) or getattr(error, "message", error)).splitlines()[0]
        raise RegistryError(f"MLflow at {uri}: {why}") from error


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Mute MLflow's warnings about itself: its type hints, an old option of SQLAlchemy, its deprecated stages.

    Stages are deprecated since 2.9 and still what people say; they go with MLflow's next major version.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _version(found: Any) -> Version:  # noqa: ANN401 - MLflow brings no types
    """Translate MLflow's version."""
    return Version(
        name=found.name,
        number=int(found.version),
        run_id=found.run_id,
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        mlflow_stage=found.current_stage,
        tags=dict(found.tags),
    )
