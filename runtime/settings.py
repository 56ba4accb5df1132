"""All settings of the system, read once: command-line flags > `KOL_*` environment > `kol.toml` > defaults."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from runtime.failure import HandledError

PREFIX = "KOL_"
ROOT = Path(__file__).resolve().parents[1]
TRAINED = "trained"
"""Folder below HOME of the models that were trained here, each in a folder named by its sha."""


class SettingsError(HandledError):
    """A setting is unknown or has a bad value; the message names it, shows what was there and what to do."""

    @classmethod
    def unknown(cls, name: str, origin: str) -> Self:
        """Say which name is unknown, where it stood and what looks like it."""
        near = difflib.get_close_matches(name, Settings.model_fields, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        return cls(f"unknown setting {name!r} in {origin}{hint}; './kol settings' lists all")

    @classmethod
    def bad_value(cls, error: ValidationError) -> Self:
        """Say which setting has a bad value and what it takes."""
        lines = [
            f"setting {'.'.join(map(str, item['loc']))!r}: {item['msg']}; there was {item['input']!r}"
            for item in error.errors()
        ]
        return cls("\n".join(lines))


class Settings(BaseSettings):
    """Every setting, with its meaning and unit. Immutable; handed down from `main`, never read elsewhere.

    Paths may be relative to the working directory. An empty address means "the one this project starts itself".
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=PREFIX, toml_file="kol.toml")

    home: Path = Field(ROOT / ".kol", description="Folder for everything the system writes.")
    dataset: Path | None = Field(None, description="CSV of labelled accounts to train on and to replay.")
    dataset_url: str = Field(
        "https://huggingface.co/datasets/airt-ml/twitter-human-bots/resolve/main/twitter_human_bots_dataset.csv",
        description="Where './kol data fetch' gets the public labelled accounts.",
    )
    dataset_sha256: str = Field("", description="SHA-256 the fetched file must have; empty refuses to fetch.")

    kafka_servers: str = Field("", description="Kafka bootstrap servers, host:port,...; empty = embedded broker.")
    kafka_options: dict[str, SecretStr] = Field(
        default_factory=dict, description="Further Kafka client options by their Java name, e.g. for SASL; kept secret."
    )
    broker_heap_mb: int = Field(256, ge=128, description="Heap of the embedded broker, MB.")
    topic_partitions: int = Field(2, ge=1, description="Partitions of a topic when it is created.")
    topic_replicas: int = Field(1, ge=1, description="Copies of each partition when a topic is created.")
    topic_retention_days: int = Field(8, ge=7, description="Days Kafka keeps messages; views rebuild from >= 7 days.")

    spark_master: str = Field("local[2,4]", description="Spark master URL; local[N,4] retries a failed task 4 times.")
    spark_driver_memory: str = Field("2g", description="Heap of the Spark driver.")
    spark_options: dict[str, str] = Field(default_factory=dict, description="Further Spark options by their name.")
    lake: str = Field("", description="Folder or URI of the Delta tables; empty = HOME/lake.")
    checkpoints: str = Field("", description="Folder or URI of the streams' checkpoints; empty = HOME/checkpoints.")
    max_offsets_per_trigger: int = Field(50_000, ge=1, description="Most events in one micro-batch.")
    landing_interval_seconds: int = Field(10, ge=1, description="Seconds between two landings of topics in the lake.")

    mlflow_uri: str = Field("", description="MLflow tracking and registry URI; empty = sqlite in HOME/mlflow.")
    promotion_margin: float = Field(0.01, ge=0, le=0.5, description="ROC-AUC a new model must gain over Production.")
    promotion_most_flips: float = Field(
        1.0, ge=0, le=1, description="Largest share of accounts whose risk level a promotion may change; 1 = any."
    )
    promotion_least_shadow: int = Field(
        1_000, ge=0, description="Events a new model must have scored in the shadow, where it has scored any."
    )
    prevalence: float = Field(
        0.33, ge=0, le=1, description="Share of untrustworthy KOLs on a list, assumed where a warning's worth is told."
    )
    engine: Literal["auto", "onedal", "lightgbm"] = Field(
        "auto", description="Scoring engine; auto = oneDAL where it runs, else LightGBM. Both give the same bits."
    )

    api_host: str = Field("127.0.0.1", description="Address the API listens on.")
    api_port: int = Field(8000, ge=0, le=65535, description="Port of the API; 0 = a free one.")
    api_workers: int = Field(1, ge=1, description="API worker processes.")
    view_map_gb: int = Field(16, ge=1, description="Largest size of one view file, GB; disk is used as needed.")
    old_event_days: int = Field(30, ge=1, description="An answer from an event older than this is stale: old_event.")
    realtime_behind_seconds: int = Field(30, ge=1, description="Realtime silent or late for longer: realtime_behind.")
    batch_late_hours: int = Field(36, ge=1, description="Published cutoff older than this: batch_late.")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["auto", "pretty", "json"] = Field(
        "auto", description="auto = pretty on a terminal, JSON lines otherwise."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: flags, environment, `kol.toml`."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def lake_uri(self) -> str:
        """Where the Delta tables are."""
        return self.lake or str(self.home.resolve() / "lake")

    @property
    def checkpoint_uri(self) -> str:
        """Where the streams keep their checkpoints."""
        return self.checkpoints or str(self.home.resolve() / "checkpoints")

    @property
    def tracking_uri(self) -> str:
        """MLflow's address."""
        return self.mlflow_uri or f"sqlite:///{self.home.resolve() / 'mlflow' / 'mlflow.db'}"

    @property
    def shelf(self) -> Path:
        """Folder of the exported, verified models."""
        return self.home.resolve() / "models"

    @property
    def views(self) -> Path:
        """Folder of the serving views."""
        return self.home.resolve() / "views"

    @property
    def runs(self) -> Path:
        """Folder of pid files, logs and run reports."""
        return self.home.resolve() / "run"


def load_settings(flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Args:
        flags: Values given on the command line; None values count as not given.
        environment: The environment to check for unknown `KOL_*` names; the process's own by default.

    Raises:
        SettingsError: A name is unknown or a value is bad.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    for variable in environment if environment is not None else os.environ:
        name = variable.removeprefix(PREFIX).lower()
        if variable.startswith(PREFIX) and name not in Settings.model_fields:
            raise SettingsError.unknown(name, f"the environment ({variable})")
    try:
        return Settings(**given)
    except ValidationError as error:
        for item in error.errors():
            if item["type"] == "extra_forbidden":
                raise SettingsError.unknown(str(item["loc"][0]), "kol.toml or the flags") from error
        raise SettingsError.bad_value(error) from error


def environment_of(settings: Settings) -> dict[str, str]:
    """Return an environment in which `load_settings` gives these settings; arguments would show secrets to everyone."""
    given = {name: getattr(settings, name) for name in sorted(settings.model_fields_set)}
    variables = {PREFIX + name.upper(): _text(value) for name, value in given.items() if value is not None}
    return {**os.environ, **variables, "PYTHONPATH": str(ROOT)}


def _text(value: object) -> str:
    """Write a setting as `load_settings` reads it from a variable."""
    if isinstance(value, dict):
        return msgspec.json.encode({name: _text(inner) for name, inner in value.items()}).decode()
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
