"""Which of two versions answers for a KOL while they are compared: the same everywhere, remembered nowhere."""

import hashlib
from typing import Literal

Arm = Literal["production", "staging"]
"""The version that answers for a KOL."""

PLACES = 2**64
"""How many places on the line there are; a share of them, from zero on, is Staging's."""


def arm_of(kol_id: str, experiment: str, share: float) -> Arm:
    """Return the version that answers for a KOL.

    A KOL has one fixed place in an experiment, and its places in two experiments have nothing to do with each other.
    So a larger share only moves KOLs from Production to Staging, a smaller one only moves them back, and an experiment
    with a new name draws anew.

    Args:
        kol_id: The KOL.
        experiment: The name of the comparison; any text.
        share: The part of the KOLs that Staging answers for, 0 to 1; met on average, and exactly at 0 and 1.

    Raises:
        ValueError: When the share is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        message = f"the share of Staging is {share}; it must be between 0 (nobody) and 1 (everybody)"
        raise ValueError(message)
    # A power of two scales a float without rounding, and Python compares integers with floats exactly.
    return "staging" if place_of(kol_id, experiment) < share * PLACES else "production"


def place_of(kol_id: str, experiment: str) -> int:
    """Return the KOL's place in the experiment, 0 to 2^64 - 1, each as likely as any other.

    The hash is of the experiment's length in UTF-8 bytes (8 bytes, big-endian), the experiment and the KOL, so that no
    two pairs are spelled alike. Changing it deals every running experiment anew.
    """
    named = experiment.encode()
    said = len(named).to_bytes(8, "big") + named + kol_id.encode()
    return int.from_bytes(hashlib.blake2b(said, digest_size=8).digest(), "big")
