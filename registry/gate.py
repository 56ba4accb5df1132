"""The gate to Production: a model passes when it is fit for use and better than the one in use, on the same rows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from features.catalogue import NAMES
from features.profile import Column
from features.score import FULL, Hundredths
from registry.accounts import Accounts
from registry.bootstrap import auc_gain_interval
from registry.checks import Check, Checks, Rules
from registry.drift import drift
from registry.engines import EngineKind
from registry.evaluation import calibration_error, roc_auc
from registry.holdout import is_held_out
from registry.model import TrustModel, cached_model
from registry.package import METRICS_FROM, REFITTED, ModelRefusedError, Package
from registry.shadow import ShadowTraffic
from registry.validation import validate

GAIN = "gain in roc_auc over Production"
SURE_GAIN = "gain at the lower end of its 95 % interval"
ECE = "ece15 on the holdout"
FLIPS = "share of risk levels that flip"
TWIN = "measured in the stead of"
LIVE_FLIPS = "share of KOLs whose risk level would flip, in the shadow"

MOST_LOSS = 0.005
"""ROC-AUC. A gain on few accounts may be chance: it does not pass unless a loss of more than this is ruled out."""
MOST_TIER_LOSS = 0.02
"""ROC-AUC that one follower tier may lose, whatever the whole gains."""
LEAST_OF_EACH_LABEL = 100
"""Accounts of each label from which on a tier is judged: with fewer, the standard error of its ROC-AUC is over 0.02."""
MOST_ECE = 0.05
"""Error of the calibration on the holdout that a model in use may have, before chance."""
TIERS = ("nano", "micro", "mid", "macro", "mega")


@dataclass(frozen=True, slots=True)
class Measured:
    """Two models on the same locked accounts; scores in hundredths, P(untrustworthy) as shown."""

    labels: Column
    tiers: Column
    new: Hundredths
    old: Hundredths

    @property
    def new_p(self) -> Column:
        """P of the new model."""
        return 1.0 - self.new / FULL

    @property
    def old_p(self) -> Column:
        """P of the model in use."""
        return 1.0 - self.old / FULL


TwinOf = Callable[[Package], Package | None]
"""Tells what is measured in a model's stead: the model itself, a refit's twin, or None when that is not at hand."""


def itself(package: Package) -> Package | None:
    """Return the model itself, and nothing for a refit: its twin is not at hand."""
    return None if REFITTED in package.verified_manifest().training else package


def judge(  # noqa: PLR0913 - the keyword-only ones are the circumstances
    candidate: Package,
    production: Package | None,
    accounts: Accounts | None,
    *,
    rules: Rules,
    engine: EngineKind,
    twin_of: TwinOf = itself,
) -> Checks:
    """Decide whether `candidate` may replace `production`.

    Args:
        candidate: The model that wants to be Production.
        production: The model in use. Without one, or with one that this version cannot load, being fit for use is
            enough: something must serve.
        accounts: The accounts that `candidate` was trained on, when they are at hand: both models are measured on
            their holdout. Else the stored figures count, if they come from the same data.
        rules: What it must be.
        engine: What to score with; both give the same figures.
        twin_of: Finds what is measured in the stead of a refit, which knows the holdout.

    Returns:
        The lines of the verdict: validation's, then the gate's.
    """
    validation = validate(candidate, engine)
    if production is None or not validation.passed:
        return validation
    try:
        serving = cached_model(production, engine)
    except ModelRefusedError as error:
        line = Check("Production", str(error), "anything: a model that cannot be loaded may be replaced", passed=True)
        return Checks((*validation.lines, line))
    data = _data(cached_model(candidate, engine), serving)
    twins = (twin_of(candidate), twin_of(production))
    compared = _compared(*twins, accounts, rules=rules, engine=engine)
    return Checks((*validation.lines, data, *_twin_lines(candidate, production, *twins), *compared))


def _compared(
    new: Package | None, in_use: Package | None, accounts: Accounts | None, *, rules: Rules, engine: EngineKind
) -> tuple[Check, ...]:
    """Compare two models that may be measured, on the holdout or by their stored figures; nothing of absent ones."""
    if new is None or in_use is None:
        return ()
    ours, theirs = cached_model(new, engine), cached_model(in_use, engine)
    measured = measure(ours, theirs, accounts)
    return measured_lines(measured, rules) if measured else (_stored_gain(ours, theirs, rules),)


def _twin_lines(
    candidate: Package, production: Package, new: Package | None, in_use: Package | None
) -> tuple[Check, ...]:
    """Say of each refit which model is measured in its stead; one whose twin is not at hand fails."""
    sides = (("the new model", candidate, new), ("Production", production, in_use))
    return tuple(_twin_line(*side) for side in sides if REFITTED in side[1].verified_manifest().training)


def _twin_line(whose: str, refit: Package, twin: Package | None) -> Check:
    """Say which model is measured in the stead of a refit."""
    named = refit.verified_manifest().training.get(METRICS_FROM, "unknown")[:12]
    told = f"{named}, of the same recipe" if twin else f"{named}, which is not registered or not its twin"
    bound = "registered: a refit knows the holdout, nothing can be measured on it"
    return Check(f"{TWIN} {whose}", told, bound, passed=twin is not None)


def measure(new: TrustModel, in_use: TrustModel, accounts: Accounts | None) -> Measured | None:
    """Score the holdout of the accounts that the new model was trained on with both, if these are they.

    A model refitted on all rows has seen that holdout: nothing measured there says which of the two is better.
    """
    refitted = REFITTED in new.manifest.training or REFITTED in in_use.manifest.training
    if accounts is None or accounts.digest != _dataset(new) or refitted:
        return None
    held = accounts.take(is_held_out(accounts.ids))
    ours, theirs = (model.score(held.profiles) for model in (new, in_use))
    tiers = ours.matrix[:, NAMES.index("followers_tier")].astype(np.float64)
    return Measured(held.labels, tiers, ours.hundredths, theirs.hundredths)


def measured_lines(measured: Measured, rules: Rules) -> tuple[Check, ...]:
    """Return the lines that need both models' scores of the same accounts."""
    labels, ours, theirs = measured.labels, measured.new_p, measured.old_p
    low, high = auc_gain_interval(labels, ours, theirs)
    tiers = (_tier(measured, number) for number in range(len(TIERS)))
    return (
        _gain(roc_auc(labels, ours), roc_auc(labels, theirs), rules.margin),
        Check(SURE_GAIN, f"{low:+.5f} (to {high:+.5f})", f"> -{MOST_LOSS:g}", passed=low > -MOST_LOSS),
        _calibration(labels, ours),
        *tiers,
        _flips(measured, rules.most_flips),
    )


def is_measured(checks: Checks) -> bool:
    """Tell whether a verdict came of a look at the holdout, and not of stored figures alone."""
    return any(line.name == SURE_GAIN for line in checks.lines)


def shadow_lines(traffic: ShadowTraffic, rules: Rules) -> tuple[Check, ...]:
    """Return the lines about live events, where there were any: enough of them, and the KOLs whose level would flip."""
    name, bound = "events scored in the shadow", f">= {rules.least_shadow}, where there are any"
    if not traffic.events:
        return (Check(name, "none: there was no shadow traffic", bound, passed=True),)
    flipped = traffic.kols_that_flip / traffic.kols
    told = f"{flipped:.4f} ({traffic.kols_that_flip} of {traffic.kols} KOLs)"
    return (
        Check(name, traffic.events, bound, passed=traffic.events >= rules.least_shadow),
        Check(LIVE_FLIPS, told, f"<= {rules.most_flips:g}", passed=flipped <= rules.most_flips),
    )


def _calibration(labels: Column, p: Column) -> Check:
    """Check the calibration; on few accounts chance alone adds about 1 / sqrt(accounts)."""
    error, most = calibration_error(labels, p), MOST_ECE + len(labels) ** -0.5
    return Check(ECE, round(error, 5), f"<= {most:.4f} ({MOST_ECE:g} and chance)", passed=error <= most)


def _tier(measured: Measured, number: int) -> Check:
    """Check that a follower tier does not pay for the gain of the others."""
    rows = measured.tiers == number
    labels = measured.labels[rows]
    name, poor = f"gain in roc_auc of tier {TIERS[number]}", int(labels.sum())
    bound = f">= -{MOST_TIER_LOSS:g}"
    if min(poor, len(labels) - poor) < LEAST_OF_EACH_LABEL:
        told = f"not measured: {poor} untrustworthy and {len(labels) - poor} trustworthy accounts"
        return Check(name, told, f"{bound}, from {LEAST_OF_EACH_LABEL} of each on", passed=True)
    ours, theirs = (roc_auc(labels, p[rows]) for p in (measured.new_p, measured.old_p))
    told = f"{ours - theirs:+.5f} ({ours:.5f} against {theirs:.5f}, {len(labels)} accounts)"
    return Check(name, told, bound, passed=ours - theirs >= -MOST_TIER_LOSS)


def _flips(measured: Measured, most: float) -> Check:
    """Count the accounts whose risk level changes."""
    moved = drift(measured.new, measured.old)
    told = f"{moved.flipped_share:.4f} ({moved.flips} of {moved.accounts} accounts)"
    bound = f"<= {most:g}" if most < 1 else "any (KOL_PROMOTION_MOST_FLIPS)"
    return Check(FLIPS, told, bound, passed=moved.flips <= most * moved.accounts)


def _data(new: TrustModel, in_use: TrustModel) -> Check:
    """Check that a model of generated accounts does not replace one of real accounts."""
    worse = new.manifest.synthetic and not in_use.manifest.synthetic
    value = "generated accounts" if new.manifest.synthetic else "real accounts"
    return Check("trained on", value, "real accounts, when Production was", passed=not worse)


def _gain(ours: float, theirs: float, margin: float) -> Check:
    """Check that the new model is better by more than the margin."""
    told = f"{ours - theirs:+.5f} ({ours:.5f} against {theirs:.5f})"
    return Check(GAIN, told, f"> {margin:g}", passed=ours > theirs + margin)


def _stored_gain(new: TrustModel, in_use: TrustModel, rules: Rules) -> Check:
    """Compare the stored figures, if both are there and of the same data."""
    ours, theirs = (model.manifest.metrics.get("roc_auc") for model in (new, in_use))
    if _dataset(new) != _dataset(in_use) or ours is None or theirs is None:
        told = f"not comparable: Production was measured on data {_dataset(in_use)[:12]}"
        return Check(GAIN, told, f"data {_dataset(new)[:12]} at hand to measure both on (--dataset)", passed=False)
    return _gain(ours, theirs, rules.margin)


def _dataset(model: TrustModel) -> str:
    """Name the data that a model was trained and measured on."""
    return model.manifest.training.get("dataset_sha256", "unknown")
