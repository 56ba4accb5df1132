"""The proof that the layers agree: the same 10,000 profiles, the same features and scores, bit for bit.

Through the stream (Kafka, Spark, pandas UDF), the nightly run (Delta, Arrow), the API (HTTP) and `./kol score`
(files), each with oneDAL and with LightGBM. Half of the profiles are real accounts where the data is there.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from batch.nightly import run_nightly
from batch.plan import plan_run
from cli.score_models import Scorer
from cli.score_rows import scored_rows
from features.catalogue import NAMES, Matrix, feature_matrix
from features.profile import RAW_NAMES, Profiles
from features.reference import TRUSTWORTHY, TRUSTWORTHY_ABOVE, UNTRUSTWORTHY, UNTRUSTWORTHY_BELOW
from features.score import decode_score
from registry.accounts import find_accounts
from registry.replay import account_events
from registry.shelf import Activation, Shelf
from runtime.broker import Broker
from runtime.lake import KOL_FEATURES, TRUST_SCORES
from runtime.profile_files import read_records
from runtime.settings import Settings
from runtime.tables import open_table
from runtime.topics import SCORES
from serving.app import create_app
from serving.lmdb_reader import LmdbReader
from serving.models import ServedModel
from tests.conftest import NewSettings
from tests.support_events import Values, encoded_events, event_of, varied_values
from tests.support_http import running
from tests.support_model import tiny_shelf
from tests.support_stream import land_all, messages_of, renew_topics, score_all, send

pytestmark = pytest.mark.jvm
PROFILES = 10_000
REAL = 5_000
PER_REQUEST = 1_000

Outcome = dict[str, tuple[int, tuple[str, ...]]]
"""Hundredths and out-of-range fields by KOL."""


def profiles(settings: Settings) -> list[Values]:
    """Return real accounts where they are, and generated edge cases always."""
    source = find_accounts(settings)
    real: list[Values] = []
    if not source.synthetic:
        events = account_events(source.load(), observed_at=datetime.now(UTC))
        real = [event.values() for _, event in zip(range(REAL), events, strict=False)]
    return varied_values(PROFILES - len(real), seed=21) + real


@dataclass(frozen=True, slots=True)
class Run:
    """All profiles, sent through all layers with one engine."""

    settings: Settings
    activation: Activation
    values: list[Values]

    @property
    def names(self) -> list[str]:
        """KOLs in the order of the values."""
        return [event_of(row, number, at=datetime.now(UTC)).kol_id for number, row in enumerate(self.values)]

    def expected(self) -> Outcome:
        """Score directly, without any layer."""
        scored = (
            Shelf.at(self.settings.shelf).load(self.activation.sha, "lightgbm").score(Profiles.of_rows(self.values))
        )
        found = zip(scored.hundredths.tolist(), map(scored.out_of_range, range(len(self.values))), strict=True)
        return dict(zip(self.names, found, strict=True))


@pytest.fixture(scope="module", params=["onedal", "lightgbm"])
def run(request: pytest.FixtureRequest, new_settings: NewSettings, broker: Broker, spark: SparkSession) -> Run:
    """Send every profile to the topic, score it in the stream, land it, and run a night over it."""
    settings = new_settings(kafka_servers=broker.servers, engine=request.param)
    renew_topics(settings)
    activation = tiny_shelf(Shelf.at(settings.shelf))
    values, now = profiles(settings), datetime.now(UTC)
    send(settings, encoded_events(values, at=now))
    score_all(spark, settings, activation)
    land_all(spark, settings)
    run_nightly(spark, settings, plan_run(settings, datetime.now(UTC), now=now))
    return Run(settings, activation, values)


def test_the_stream_agrees(run: Run) -> None:
    scores = [decode_score(value) for value in messages_of(run.settings, SCORES)]
    assert {score.kol_id: (score.hundredths, score.out_of_range) for score in scores} == run.expected()


def test_the_nightly_scores_agree(run: Run) -> None:
    rows = open_table(run.settings, TRUST_SCORES).to_pyarrow_table(columns=["kol_id", "hundredths", "out_of_range"])
    found = {row["kol_id"]: (row["hundredths"], tuple(row["out_of_range"])) for row in rows.to_pylist()}
    assert found == run.expected()


def test_the_nightly_features_are_the_same_bits(run: Run) -> None:
    table = open_table(run.settings, KOL_FEATURES).to_pyarrow_table().sort_by("kol_id")
    columns = [table[name].to_numpy().astype(np.float32) for name in NAMES]
    assert table["kol_id"].to_pylist() == run.names
    assert same_bits(np.stack(columns, axis=1), feature_matrix(Profiles.of_rows(run.values)))


def same_bits(left: Matrix, right: Matrix) -> bool:
    """Compare float32 by their bits; every NaN is the one unknown."""
    unknown = np.isnan(left)
    equal = np.ascontiguousarray(left).view(np.int32) == np.ascontiguousarray(right).view(np.int32)
    return bool((unknown == np.isnan(right)).all() and (equal | unknown).all())


def test_the_api_agrees(run: Run) -> None:
    served = ServedModel(run.settings, lambda: datetime.now(UTC))
    app = create_app(run.settings, LmdbReader.open(run.settings), served, lambda: datetime.now(UTC))
    bodies = [
        {"kol_id": name, **dict(zip(RAW_NAMES, row, strict=True))}
        for name, row in zip(run.names, run.values, strict=True)
    ]
    found: Outcome = {}
    with running(app) as client:
        for start in range(0, PROFILES, PER_REQUEST):
            answer = client.post("/predict/trust/batch", {"profiles": bodies[start : start + PER_REQUEST]})
            for result in (row["answer"] for row in answer.json["results"]):
                found[result["kol_id"]] = (round(result["trust_score"] * 100), tuple(result["out_of_range"]))
    assert found == run.expected()


def test_the_file_scorer_agrees(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "profiles.jsonl"
    rows = (
        {"kol_id": name, **dict(zip(RAW_NAMES, row, strict=True))}
        for name, row in zip(run.names, run.values, strict=True)
    )
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    scorer = Scorer("production", Shelf.at(run.settings.shelf).load(run.activation.sha, run.settings.engine))
    found = {
        row.kol_id: (row.hundredths, tuple(row.out_of_range or ()))
        for chunk in scored_rows(read_records(file), scorer)
        for row in chunk
    }
    assert found == run.expected()


def test_the_reference_profiles_land_on_their_sides_in_the_stream(run: Run) -> None:
    scores = {score.kol_id: score for score in map(decode_score, messages_of(run.settings, SCORES))}
    good, poor = scores[run.names[0]], scores[run.names[1]]
    assert (good.values(), poor.values()) == (TRUSTWORTHY.values(), UNTRUSTWORTHY.values())
    assert good.hundredths > TRUSTWORTHY_ABOVE
    assert poor.hundredths < UNTRUSTWORTHY_BELOW
    assert (good.risk_level, poor.risk_level) == ("low", "high")
