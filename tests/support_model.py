"""A small real model for tests that need one: trained in a second on seeded accounts labelled by a simple rule."""

import functools
import hashlib

import lightgbm
import numpy as np

from features.catalogue import NAMES, contract_hash, feature_matrix
from features.profile import RAW_COLUMNS, RAW_NAMES, Column, Profiles
from registry.calibration import Platt
from registry.leaves import round_leaves
from registry.package import FORMAT, Manifest, Package
from registry.shelf import Activation, Shelf

ROWS = 4_000
PARAMETERS = {"objective": "binary", "num_leaves": 7, "learning_rate": 0.2, "min_data_in_leaf": 20, "verbosity": -1}
SETTLED = {"num_threads": 1, "deterministic": True, "force_row_wise": True}


def seeded_profiles(rows: int, seed: int) -> Profiles:
    """Return accounts over the whole range of counts, with a fifth of the optional fields unknown."""
    chance = np.random.default_rng(seed)
    columns: dict[str, Column] = {}
    for column in RAW_COLUMNS:
        wide = np.floor(10 ** chance.uniform(0, 6, rows))
        columns[column.name] = wide if column.kind == "count" else chance.integers(0, 2, rows).astype(np.float64)
        if not column.required:
            columns[column.name][chance.random(rows) < 0.2] = np.nan
    columns["account_age_days"] = np.floor(chance.uniform(0, 5000, rows))
    columns["bio_length"] = np.minimum(columns["bio_length"], 160)
    return Profiles.of_columns(columns)


def is_untrustworthy(profiles: Profiles) -> Column:
    """Label accounts: young, follow-for-follow, or empty ones; 0.0 or 1.0."""
    young = profiles.account_age_days < 365
    follows_back = profiles.following_count > profiles.followers_count / 2
    empty = profiles.has_profile_image == 0
    signs: Column = young.astype(np.float64) + follows_back + empty
    return np.where(signs >= 2, 1.0, 0.0)


@functools.cache
def tiny_package(seed: int = 1) -> Package:
    """Return a packaged model; another seed gives another model of the same kind."""
    profiles = seeded_profiles(ROWS, seed)
    data = lightgbm.Dataset(feature_matrix(profiles), is_untrustworthy(profiles), feature_name=list(NAMES))
    booster = lightgbm.train({**PARAMETERS, **SETTLED, "seed": seed}, data, num_boost_round=30)
    text = round_leaves(booster.model_to_string())
    return Package.of(_manifest(profiles, text, seed), text)


def tiny_shelf(shelf: Shelf, seed: int = 1, promotion_seq: int = 1) -> Activation:
    """Put a tiny model on a shelf and into Production; return the activation."""
    activation = Activation(
        sha=shelf.put(tiny_package(seed)),
        promotion_seq=promotion_seq,
        name="trust-score-lightgbm-optuna",
        version=promotion_seq,
        effective_from="2026-01-01T00:00:00.000000Z",
    )
    shelf.activate(activation)
    return activation


def _manifest(profiles: Profiles, text: str, seed: int) -> Manifest:
    """Describe the model; `has_url` has no range, as in real data."""
    known = profiles.columns()
    ranges = {name: (float(np.nanmin(known[name])), float(np.nanmax(known[name]))) for name in RAW_NAMES}
    del ranges["has_url"]
    return Manifest(
        format=FORMAT,
        name="trust-score-lightgbm-optuna",
        contract=contract_hash(),
        features=NAMES,
        model_sha256=hashlib.sha256(text.encode()).hexdigest(),
        calibration=Platt(1.0, 0.0),
        ranges=ranges,
        metrics={"roc_auc": 0.99},
        training={"data": "seeded", "seed": str(seed)},
        synthetic=True,
    )
