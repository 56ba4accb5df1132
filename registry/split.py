"""Which accounts are learned from and which are measured on: never the same, and enough of both."""

import numpy as np

from registry import holdout
from registry.accounts import Accounts
from runtime.failure import HandledError

LOCKED = ""
"""Name of the split at the locked holdout: the ordinary one."""
LEAST_OF_EACH_LABEL = 25
"""Accounts of each label that the training part and the holdout need; with fewer no figure means anything."""


class TrainingError(HandledError):
    """No usable model came of the accounts; the message says why and what to do."""


def split_accounts(accounts: Accounts, measured_on: Accounts | None) -> tuple[Accounts, Accounts, str]:
    """Return the accounts to learn from, those to measure on, and how the manifest calls the split.

    Raises:
        TrainingError: Too few accounts, or accounts that are on both sides.
    """
    if measured_on is None:
        held_out = holdout.is_held_out(accounts.ids)
        learned, held, split = accounts.take(~held_out), accounts.take(held_out), LOCKED
    else:
        learned, held, split = accounts, measured_on, f"measured on {measured_on.digest}"
        _check_apart(learned, held)
    check_enough(learned, held)
    return learned, held, split


def check_enough(*parts: Accounts) -> None:
    """Refuse accounts of which no figure would mean anything.

    Raises:
        TrainingError: A part has too few of a label.
    """
    for part in parts:
        poor = int(part.labels.sum())
        if min(poor, len(part) - poor) < LEAST_OF_EACH_LABEL:
            raise TrainingError(
                f"{part.origin} is too small: a part of it has {poor} untrustworthy and {len(part) - poor} trustworthy "
                f"accounts, at least {LEAST_OF_EACH_LABEL} of each are needed in the training part and in the holdout"
            )


def _check_apart(learned: Accounts, held: Accounts) -> None:
    """Refuse to measure on accounts that were learned from; the same id with other numbers is another account."""
    known = _by_id(learned)
    both = [account for account, row in _by_id(held).items() if known.get(account) == row]
    if both:
        raise TrainingError(
            f"{len(both)} accounts of {held.origin} are in {learned.origin} too ({both[0]} first), so a figure on them "
            "means nothing; take them out of one of the files"
        )


def _by_id(accounts: Accounts) -> dict[str, bytes]:
    """Return the raw profile of each account, as bytes so that unknown equals unknown."""
    table = np.column_stack(list(accounts.profiles.columns().values()))
    return dict(zip(accounts.ids.tolist(), map(np.ndarray.tobytes, table), strict=True))
