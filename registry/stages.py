"""Stages as people say them, and their mirrors in MLflow: aliases, `stage` tags, MLflow's own deprecated stages.

All of them follow from the truth (`registry.promotion`) and may be written again at any time.
"""

from collections.abc import Mapping
from enum import StrEnum

from registry.promotion import History
from registry.tracking import STAGE_TAG, Tracking, Version


class Stage(StrEnum):
    """Where in its life a version is."""

    NONE = "None"
    """Registered, nothing more."""
    STAGING = "Staging"
    """Found fit for use; waits for the gate, at most one of each name."""
    PRODUCTION = "Production"
    """The one that scores."""
    ARCHIVED = "Archived"
    """Was in Production or in Staging."""


def stage_of(version: Version, history: History) -> Stage:
    """Tell the stage of a version: the truth says which one is in Production, its tag what else it may be."""
    if history.now is not None and history.now.is_of(version.name, version.number):
        return Stage.PRODUCTION
    told = Stage(version.tags.get(STAGE_TAG, Stage.NONE))
    if told is Stage.PRODUCTION or (told is Stage.NONE and history.has_served(version.name, version.number)):
        return Stage.ARCHIVED
    return told


def mirror(tracking: Tracking, name: str, history: History) -> None:
    """Bring tags, MLflow's stages and aliases of one registered model in line with the truth.

    The version in Production comes first, so that at no moment none is; what is right already is not written again.
    """
    versions = tracking.versions(name)
    stages = {version.number: stage_of(version, history) for version in versions}
    for version in sorted(versions, key=lambda version: stages[version.number] is not Stage.PRODUCTION):
        stage = stages[version.number]
        if version.tags.get(STAGE_TAG) != stage:
            tracking.set_version_tag(version, STAGE_TAG, stage)
        if version.mlflow_stage != stage:
            tracking.mirror_stage(version, stage)
    _mirror_aliases(tracking, name, wanted_aliases(name, stages, history))


def wanted_aliases(name: str, stages: Mapping[int, Stage], history: History) -> dict[str, int | None]:
    """Tell which version each alias of a registered model should point to; None = there should be none."""
    return {
        "production": history.now.version if history.now and history.now.name == name else None,
        "staging": max((number for number, stage in stages.items() if stage is Stage.STAGING), default=None),
        "previous": history.before.version if history.before and history.before.name == name else None,
    }


def _mirror_aliases(tracking: Tracking, name: str, wanted: Mapping[str, int | None]) -> None:
    """Set the aliases that are not as wanted."""
    there = tracking.aliases(name)
    for alias, number in wanted.items():
        if there.get(alias) != number:
            tracking.set_alias(name, alias, number)
