"""Checks of the models: which one is in Production, and whether its scores point the right way."""

from pathlib import Path

from cli.doctor.finding import Check, Found
from features.profile import Profiles
from features.reference import TRUSTWORTHY, TRUSTWORTHY_ABOVE, UNTRUSTWORTHY, UNTRUSTWORTHY_BELOW
from registry.shelf import Activation, Shelf
from runtime.settings import Settings


def model_checks() -> tuple[Check, ...]:
    """Return the checks of the models."""
    return (
        Check("registry", look_at_registry, "./kol model list"),
        Check("score direction", look_at_direction, "./kol model rollback"),
    )


def look_at_registry(settings: Settings) -> Found:
    """Hold the shelf, from which all layers read, against the truth in MLflow."""
    activations = Shelf.at(settings.shelf).activations()
    shelved = activations[-1] if activations else None
    if shelved is None and (settings.mlflow_uri or not database(settings).exists()):
        return Found.note("no model yet", "./kol train")
    if not (settings.mlflow_uri or database(settings).exists()):
        cause = f"{database(settings)} is gone; what is on the shelf goes on serving"
        return Found.warn(f"{named(shelved)} on the shelf, no MLflow", cause=cause, mend="./kol train")
    truth = activation_in_registry(settings)
    if truth != shelved:
        cause = f"MLflow says {named(truth)}, the shelf says {named(shelved)}"
        return Found.fail("shelf and MLflow differ", cause=cause, mend="./kol model list")
    if shelved is None:
        return Found.note("no model is in Production", "./kol model list")
    return Found.ok(f"{named(shelved)} in Production since {shelved.effective_from[:19]}Z")


def database(settings: Settings) -> Path:
    """Return where the embedded MLflow database is; one that is not there is not made by looking at it."""
    return settings.home.resolve() / "mlflow" / "mlflow.db"


def activation_in_registry(settings: Settings) -> Activation | None:
    """Return what MLflow says is in Production, without repairing anything."""
    from registry.promotion import History
    from registry.tracking import open_tracking
    from registry.training import MODEL_NAME

    now = History.of_tags(open_tracking(settings, ()).model_tags(MODEL_NAME)).now
    return now.activation() if now else None


def named(activation: Activation | None) -> str:
    """Name a model in Production."""
    if activation is None:
        return "none"
    return f"{activation.name} version {activation.version} (promotion {activation.promotion_seq})"


def look_at_direction(settings: Settings) -> Found:
    """Score the two reference profiles with the model in Production: one must be high, the other low."""
    shelf = Shelf.at(settings.shelf)
    if not shelf.activations():
        return Found.note("no model is in Production", "./kol train")
    model = shelf.load(shelf.production().sha, settings.engine)
    good, poor = model.score(Profiles.of_rows([TRUSTWORTHY.values(), UNTRUSTWORTHY.values()])).hundredths.tolist()
    found = f"trustworthy reference {good / 100:.2f}, untrustworthy {poor / 100:.2f}, engine {model.engine.name}"
    if good > TRUSTWORTHY_ABOVE and poor < UNTRUSTWORTHY_BELOW:
        return Found.ok(found)
    cause = f"wanted are above {TRUSTWORTHY_ABOVE / 100:.0f} and below {UNTRUSTWORTHY_BELOW / 100:.0f}"
    return Found.fail(found, cause=cause, mend="./kol model rollback")
