"""Plans of nightly runs for tests."""

from datetime import UTC, datetime

from batch.plan import Plan, score_date_of
from registry.shelf import Activation

ACTIVATION = Activation(
    sha="abc",
    promotion_seq=1,
    name="trust-score-lightgbm-optuna",
    version=1,
    effective_from="2026-01-01T00:00:00.000000Z",
)


def plan_of(cutoff: datetime, activation: Activation = ACTIVATION, log_version: int = 0) -> Plan:
    """Return a plan that starts now."""
    return Plan(cutoff, score_date_of(cutoff), log_version, activation, datetime.now(UTC))
