"""The report and the card of a registered version, kept with its run in MLflow."""

import tempfile
from pathlib import Path

from registry.accounts import Accounts
from registry.report import write_report
from registry.tracking import Version
from registry.truth import Registry
from registry.twins import find_twin

FOLDER = "report"
"""Where in a run's artifacts the page, the card and the pictures are."""


def log_report(registry: Registry, version: Version, accounts: Accounts, *, prevalence: float) -> bool:
    """Draw a version's report on the locked holdout and keep it with its run; a refit gets that of its twin.

    Returns:
        False when nothing was drawn: the twin of a refit is not there.

    Raises:
        ModelRefusedError: The model is broken.
        RegistryError: MLflow does not take it.
    """
    measured = find_twin(registry, registry.package(version))
    if measured is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        write_report(measured, accounts, Path(folder), prevalence=prevalence)
        registry.tracking.log_folder(version.run_id, FOLDER, Path(folder))
    return True
