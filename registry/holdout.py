"""The locked holdout: a fifth of the accounts, chosen by their ids alone, that no choice of the training ever sees."""

import hashlib

import numpy as np
from numpy.typing import NDArray

HOLDOUT_PERCENT = 20


def is_held_out(ids: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Mark the accounts of the holdout.

    An account is in it or not whatever else is in the data: by a hash of its id, never by its place or by a seed.
    """
    return np.fromiter((_percentile(account) < HOLDOUT_PERCENT for account in ids.tolist()), np.bool_, len(ids))


def _percentile(account: str) -> int:
    """Return 0 .. 99, evenly spread over ids."""
    return int.from_bytes(hashlib.sha256(account.encode()).digest()[:8]) % 100
