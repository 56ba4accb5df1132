"""MLflow's own copy of a booster, for people who load `models:/NAME/Production`: how it is described, and checked.

This system never loads it; it reads the package beside it. Needs the environment that `open_tracking` sets.
"""

from typing import Any

import lightgbm
import numpy as np

from features.catalogue import NAMES, feature_matrix
from features.profile import Profiles
from features.reference import TRUSTWORTHY, UNTRUSTWORTHY
from registry.artifacts import check_flavours
from registry.package import ModelRefusedError

OUTPUT = "p_untrustworthy"
DESCRIPTION = (
    "MLflow's copy of the booster returns P(untrustworthy), uncalibrated. The trust score is 100 * (1 - P) after the "
    "calibration in package/manifest.json; ./kol score applies both."
)
NO_COPY = (
    "An ensemble, for which MLflow knows no format without pickle: package/model.txt holds LightGBM's text, XGBoost's "
    "JSON, an isolation forest and the weights that stack them; ./kol score applies them and the calibration."
)


def described_model() -> dict[str, object]:
    """Return what MLflow's copy of a booster says of itself: inputs, output, an example and what it needs."""
    import pandas as pd  # noqa: PLC0415 - only here; half a second of every other verb
    from mlflow.models import ModelSignature  # noqa: PLC0415 - `open_tracking` sets the environment first
    from mlflow.types import ColSpec, Schema  # noqa: PLC0415 - same

    inputs = Schema([ColSpec("double", name) for name in NAMES])
    references = Profiles.of_rows([TRUSTWORTHY.values(), UNTRUSTWORTHY.values()])
    return {
        "signature": ModelSignature(inputs, Schema([ColSpec("double", OUTPUT)])),
        "input_example": pd.DataFrame(feature_matrix(references).astype(np.float64), columns=list(NAMES)),
        "pip_requirements": [f"lightgbm=={lightgbm.__version__}", f"numpy=={np.__version__}"],
    }


def check_copy(client: Any, name: str, number: int) -> None:  # noqa: ANN401 - MLflow brings no types
    """Read what the copy of a version says of itself, and refuse one that would make MLflow run or unpickle something.

    A version whose source is its package has no copy.

    Raises:
        ModelRefusedError: It would, or its source is neither of ours.
    """
    from mlflow.models import Model  # noqa: PLC0415 - `open_tracking` sets the environment first

    source = str(client.get_model_version(name, str(number)).source)
    if source.startswith("runs:/") and source.endswith("/package"):
        return
    if not source.startswith("models:/m-"):
        raise ModelRefusedError(f"{name} version {number} has the source {source!r}; register it with ./kol")
    location = client.get_logged_model(source.removeprefix("models:/")).artifact_location
    check_flavours(f"{name} version {number}", Model.load(location).flavors or {})
