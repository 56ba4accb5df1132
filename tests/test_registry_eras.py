"""Eras: learned from the accounts of one, measured on those of the next, for several seeds."""

import dataclasses

import numpy as np
import pytest

from registry.accounts import Accounts
from registry.eras import NEXT_ERA, out_of_time
from registry.split import TrainingError
from tests.support_registry import WEAK, small_accounts


def of_two_eras() -> Accounts:
    """Return accounts of which every third was created in the next era."""
    accounts = small_accounts()
    created = np.where(np.arange(len(accounts)) % 3 == 0, np.datetime64("2018-05-01"), np.datetime64("2012-05-01"))
    return dataclasses.replace(accounts, created_at=created)


def test_the_next_era_is_measured_once_for_each_seed() -> None:
    told: list[tuple[int, int]] = []
    found = out_of_time(of_two_eras(), WEAK, seeds=3, progress=lambda done, of: told.append((done, of)))
    assert (found.since, found.earlier, found.later) == (NEXT_ERA, 1_000, 500)
    assert len(set(found.roc_aucs)) > 1
    assert found.mean == pytest.approx(np.mean(found.roc_aucs))
    assert found.mean > 0.7
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_labels_of_the_next_era_have_no_say() -> None:
    accounts = of_two_eras()
    later = accounts.created_at >= np.datetime64(NEXT_ERA)
    turned = dataclasses.replace(accounts, labels=np.where(later, 1 - accounts.labels, accounts.labels))
    ours, theirs = (out_of_time(one, WEAK, seeds=2) for one in (accounts, turned))
    assert theirs.mean == pytest.approx(1 - ours.mean)


def test_accounts_of_one_era_alone_are_refused() -> None:
    accounts = of_two_eras()
    old = accounts.take(accounts.created_at < np.datetime64(NEXT_ERA))
    with pytest.raises(TrainingError, match="too small"):
        out_of_time(old, WEAK)
