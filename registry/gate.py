"""The gate to Production: a model passes when it is fit for use and better than the one in use, on the same rows."""

from registry.accounts import Accounts
from registry.checks import Check, Checks
from registry.engines import EngineKind
from registry.evaluation import roc_auc, shown_p
from registry.holdout import is_held_out
from registry.model import TrustModel, cached_model
from registry.package import ModelRefusedError, Package
from registry.validation import validate

GAIN = "gain in roc_auc over Production"


def judge(
    candidate: Package, production: Package | None, accounts: Accounts | None, *, margin: float, engine: EngineKind
) -> Checks:
    """Decide whether `candidate` may replace `production`.

    Args:
        candidate: The model that wants to be Production.
        production: The model in use. Without one, or with one that this version cannot load, being fit for use is
            enough: something must serve.
        accounts: The accounts that `candidate` was trained on, when they are at hand: both models are measured on
            their holdout. Else the stored figures count, if they come from the same data.
        margin: ROC-AUC that `candidate` must have more.
        engine: What to score with; both give the same figures.

    Returns:
        The lines of the verdict: validation's, then the gate's.
    """
    validation = validate(candidate, engine)
    if production is None or not validation.passed:
        return validation
    try:
        in_use = cached_model(production, engine)
    except ModelRefusedError as error:
        line = Check("Production", str(error), "anything: a model that cannot be loaded may be replaced", passed=True)
        return Checks((*validation.lines, line))
    new = cached_model(candidate, engine)
    return Checks((*validation.lines, _data(new, in_use), _gain(new, in_use, accounts, margin)))


def _data(new: TrustModel, in_use: TrustModel) -> Check:
    """Check that a model of generated accounts does not replace one of real accounts."""
    worse = new.manifest.synthetic and not in_use.manifest.synthetic
    value = "generated accounts" if new.manifest.synthetic else "real accounts"
    return Check("trained on", value, "real accounts, when Production was", passed=not worse)


def _gain(new: TrustModel, in_use: TrustModel, accounts: Accounts | None, margin: float) -> Check:
    """Check that the new model is better by more than the margin on the same locked rows."""
    figures = _measured(new, in_use, accounts) or _stored(new, in_use)
    if figures is None:
        told = f"not comparable: Production was measured on data {_dataset(in_use)[:12]}"
        wanted = f"data {_dataset(new)[:12]} at hand to measure both on (--dataset)"
        return Check(GAIN, told, wanted, passed=False)
    ours, theirs = figures
    gain = f"{ours - theirs:+.5f} ({ours:.5f} against {theirs:.5f})"
    return Check(GAIN, gain, f"> {margin:g}", passed=ours > theirs + margin)


def _measured(new: TrustModel, in_use: TrustModel, accounts: Accounts | None) -> tuple[float, float] | None:
    """Measure both on the holdout of the accounts that the new one was trained on, if these are they."""
    if accounts is None or accounts.digest != _dataset(new):
        return None
    held = accounts.take(is_held_out(accounts.ids))
    ours, theirs = (roc_auc(held.labels, shown_p(model, held.profiles)) for model in (new, in_use))
    return ours, theirs


def _stored(new: TrustModel, in_use: TrustModel) -> tuple[float, float] | None:
    """Return the stored figures, if both are there and of the same data."""
    ours, theirs = (model.manifest.metrics.get("roc_auc") for model in (new, in_use))
    if _dataset(new) != _dataset(in_use) or ours is None or theirs is None:
        return None
    return ours, theirs


def _dataset(model: TrustModel) -> str:
    """Name the data that a model was trained and measured on."""
    return model.manifest.training.get("dataset_sha256", "unknown")
