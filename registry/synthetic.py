"""Generated accounts for machines without real ones: a table shaped like the public one, plausible, but no truth.

A third is untrustworthy. Those tend to be young, unverified and incomplete, to follow about as many as follow them,
and to post much and like little; the others tend the other way. The two kinds overlap as real ones do.
"""

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from registry.cells import READERS

ROWS = 4_000
SEED = 20_200_819
PREVALENCE = 1 / 3
CRAWL = datetime(2020, 8, 19)  # noqa: DTZ001 - the upstream writes UTC without a zone
"""The day as of which ages are given; the public table's crawl."""

Values = NDArray[np.float64]


def synthetic_csv(rows: int = ROWS, seed: int = SEED) -> bytes:
    """Generate labelled accounts as CSV with the upstream's column names.

    Args:
        rows: How many.
        seed: The same seed gives the same bytes.
    """
    chance = np.random.default_rng(seed)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(READERS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_accounts(rows, chance))
    return text.getvalue().encode()


def _accounts(rows: int, chance: np.random.Generator) -> Iterator[dict[str, object]]:
    """Yield the accounts as rows of cells."""
    is_poor = chance.random(rows) < PREVALENCE
    # How strongly an account looks like its kind; below zero it looks like the other.
    looks = chance.normal(1.0, 0.9, rows) * np.where(is_poor, -1.0, 1.0)
    numbers = _numbers(looks, chance)
    marks = _marks(looks, chance)
    for row in range(rows):
        age = int(numbers["account_age_days"][row])
        yield {
            "id": f"synthetic{row:05d}",
            "created_at": CRAWL - timedelta(days=age),
            **{name: int(column[row]) for name, column in numbers.items()},
            **{name: bool(column[row]) for name, column in marks.items()},
            "description": "." * int(_bio_length(looks[row], chance)),
            "account_type": "bot" if is_poor[row] else "human",
        }


def _numbers(looks: Values, chance: np.random.Generator) -> dict[str, Values]:
    """Draw the counts: heavy-tailed, shifted by how trustworthy the account looks."""
    rows = len(looks)
    followers = np.exp(chance.normal(6.0 + 1.2 * looks, 1.8, rows))
    # Follow-for-follow keeps following near followers; the others are followed by more than they follow.
    following = followers * np.exp(chance.normal(-0.4 - 0.9 * looks, 1.0, rows)) + chance.exponential(150, rows)
    posts = np.exp(chance.normal(7.2 - 0.3 * looks, 1.5, rows))
    likes_given = posts * np.exp(chance.normal(-0.8 + 1.4 * looks, 1.2, rows))
    age = np.clip(chance.normal(2_200 + 450 * looks, 800, rows), 200, 5_000)
    counts = {
        "followers_count": followers,
        "friends_count": following,
        "statuses_count": posts,
        "favourites_count": likes_given,
        "account_age_days": age,
    }
    return {name: np.floor(np.minimum(column, 5e7)) for name, column in counts.items()}


def _marks(looks: Values, chance: np.random.Generator) -> dict[str, NDArray[np.bool_]]:
    """Draw the marks of the profile."""
    rows = len(looks)
    return {
        "verified": chance.random(rows) < _share(2.0 * looks - 3.0),
        "default_profile_image": chance.random(rows) < _share(-1.2 * looks - 3.0),
    }


def _bio_length(looks: float, chance: np.random.Generator) -> float:
    """Draw the length of a biography, 0 to 160 characters; 0 = none."""
    has_bio = chance.random() < _share(np.float64(1.0 + 0.9 * looks))
    return float(np.clip(chance.normal(80 + 20 * looks, 40), 1, 160)) if has_bio else 0.0


def _share(log_odds: Values | np.float64) -> Values | np.float64:
    """Turn log-odds into a probability."""
    return 1.0 / (1.0 + np.exp(-log_odds))
