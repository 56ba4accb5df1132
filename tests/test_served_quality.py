"""What is served is what was measured: the ROC-AUC of served scores is that of the manifest."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from registry.evaluation import roc_auc
from registry.holdout import is_held_out
from registry.package import MANIFEST, TEXT
from registry.synthetic import synthetic_csv
from runtime.settings import Settings
from tests.support_cli import kol
from tests.support_registry import ROWS, STRONG, package_of, small_accounts


def test_served_scores_have_the_quality_that_the_manifest_says(settings: Settings, tmp_path: Path) -> None:
    package = package_of(STRONG)
    (tmp_path / MANIFEST).write_bytes(package.manifest)
    (tmp_path / TEXT).write_bytes(package.text)
    accounts = small_accounts()
    held = accounts.take(is_held_out(accounts.ids))
    rows = list(csv.DictReader(io.StringIO(synthetic_csv(ROWS, seed=3).decode())))
    wanted, unseen = set(held.ids.tolist()), tmp_path / "unseen.csv"
    with unseen.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row for row in rows if row["id"] in wanted)

    out = tmp_path / "scores.csv"
    assert kol("score", str(unseen), "--out", str(out), "--model", str(tmp_path), settings=settings).code == 0

    with out.open() as file:
        scores = np.array([float(row["trust_score"]) for row in csv.DictReader(file)])
    measured = package.verified_manifest().metrics["roc_auc"]
    assert len(scores) == len(held) > 200
    assert roc_auc(held.labels, 1 - scores / 100) == pytest.approx(measured, abs=5e-5)
