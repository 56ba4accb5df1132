"""The API through real HTTP: answers, errors, bad input, and a document that says what it does."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from features.catalogue import NAMES, feature_matrix
from features.profile import RAW_NAMES, Profiles
from features.reference import TRUSTWORTHY, UNTRUSTWORTHY
from features.score import Maker
from registry.shelf import Shelf
from runtime.settings import Settings
from tests.conftest import NewSettings
from tests.support_api import ODD_NAMES, api_at, views_of
from tests.support_http import Client, running
from tests.support_model import tiny_shelf
from tests.support_views import NOON, later

GOOD = dict(zip(RAW_NAMES, TRUSTWORTHY.values(), strict=True))
POOR = dict(zip(RAW_NAMES, UNTRUSTWORTHY.values(), strict=True))
FEATURES = dict(zip(NAMES, feature_matrix(Profiles.of_rows([TRUSTWORTHY.values()]))[0].tolist(), strict=True))


@pytest.fixture(scope="module")
def settings(new_settings: NewSettings) -> Settings:
    made = new_settings()
    views_of(made, tiny_shelf(Shelf.at(made.shelf)))
    return made


@pytest.fixture(scope="module")
def api(settings: Settings) -> Iterator[Client]:
    with running(api_at(settings, later(75))) as client:
        yield client


@pytest.fixture
def empty_api(new_settings: NewSettings) -> Iterator[Client]:
    bare = new_settings()
    with running(api_at(bare, NOON)) as client:
        yield client


def test_the_newer_streamed_score_is_the_answer(api: Client) -> None:
    answer = api.get("/kols/twitter:nasa/trust").json
    told = {
        name: answer[name] for name in ("prediction_source", "observed_at", "age_seconds", "stale", "stale_because")
    }
    assert told == {
        "prediction_source": "realtime",
        "observed_at": "2026-03-01T12:01:00.000000Z",
        "age_seconds": 15.0,
        "stale": False,
        "stale_because": [],
    }


@pytest.mark.parametrize("kol_id", ODD_NAMES[1:])
def test_a_kol_may_have_any_name(api: Client, kol_id: str) -> None:
    got = api.get(f"/kols/{quote(kol_id, safe='')}/trust")
    assert (got.status, got.json["kol_id"], got.json["prediction_source"]) == (200, kol_id, "batch")


def test_the_merge_is_explained_on_request(api: Client) -> None:
    debug = api.get("/kols/twitter:nasa/trust?debug=merge").json["debug"]
    assert (debug["lost"], debug["lost_because"], debug["rescored"]) == ("batch", "older_event", False)
    assert debug["batch"]["event_time"] < debug["realtime"]["event_time"]


def test_a_row_of_another_model_is_scored_again(api: Client, settings: Settings) -> None:
    answer = api.get("/kols/old:model/trust?debug=merge").json
    assert answer["model_sha"] == Shelf(settings.shelf).production().sha
    assert (answer["prediction_source"], answer["risk_level"], answer["debug"]["rescored"]) == ("batch", "low", True)
    assert answer["debug"]["batch"]["trust_score"] == 0.01


def test_an_unknown_kol_is_a_404_with_a_remedy(api: Client) -> None:
    got = api.get("/kols/nobody/trust")
    assert (got.status, got.headers["content-type"]) == (404, "application/problem+json")
    assert (got.json["reason"], got.json["field"]) == ("unknown_kol", "kol_id")
    assert "POST /predict/trust" in got.json["remedy"]


def test_many_kols_each_get_their_own_status(api: Client) -> None:
    asked = ["twitter:nasa", "nobody", 7, "", "old:model", None, "twitter:nasa"]
    rows = api.post("/kols/trust", {"kol_ids": asked}).json
    assert [row["status"] for row in rows["results"]] == ["ok", "unknown", "invalid", "invalid", "ok", "invalid", "ok"]
    assert rows["counts"] == {"ok": 3, "unknown": 1, "invalid": 3}
    assert rows["results"][0]["answer"] == rows["results"][6]["answer"] == api.get("/kols/twitter:nasa/trust").json


def test_the_reference_profiles_are_told_apart(api: Client) -> None:
    good, poor = api.post("/predict/trust", GOOD).json, api.post("/predict/trust", POOR).json
    assert (good["trust_score"] > 80, good["risk_level"]) == (True, "low")
    assert (poor["trust_score"] < 40, poor["risk_level"]) == (True, "high")
    assert (good["prediction_source"], good["kol_id"], good["event_id"]) == ("realtime", None, None)


def test_a_name_sent_along_is_echoed(api: Client) -> None:
    assert api.post("/predict/trust", {**GOOD, "kol_id": "twitter:x"}).json["kol_id"] == "twitter:x"


def test_unknown_facts_are_evidence_that_is_partial(api: Client) -> None:
    answer = api.post("/predict/trust", {**GOOD, "verified": None, "bio_length": None, "has_url": None}).json
    assert (answer["evidence"], answer["missing"]) == (["partial"], ["verified", "bio_length"])


def test_facts_outside_the_training_ranges_are_named(api: Client) -> None:
    answer = api.post("/predict/trust", {**GOOD, "post_count": 2**53}).json
    assert (answer["evidence"], answer["out_of_range"]) == (["out_of_range"], ["post_count"])


def test_features_give_the_profiles_score_in_any_order(api: Client) -> None:
    backwards = dict(reversed(FEATURES.items()))
    got = api.post("/predict/trust/features", {"features": backwards})
    assert got.json["trust_score"] == api.post("/predict/trust", GOOD).json["trust_score"]
    assert (got.json["profile"], got.json["missing"]) == (None, [])


def test_a_null_feature_is_unknown(api: Client) -> None:
    answer = api.post("/predict/trust/features", {"features": {**FEATURES, "verified": None}}).json
    assert (answer["evidence"], answer["missing"]) == (["partial"], ["verified"])


def test_many_profiles_are_scored_like_each_by_itself(api: Client) -> None:
    bad = {**GOOD, "post_count": -1}
    rows = api.post("/predict/trust/batch", {"profiles": [GOOD, bad, {**POOR, "kol_id": "k"}, 3]}).json["results"]
    assert [row["status"] for row in rows] == ["ok", "invalid", "ok", "invalid"]
    assert (rows[1]["error"]["field"], rows[1]["error"]["reason"]) == ("post_count", "negative")
    singly = [api.post("/predict/trust", body).json["trust_score"] for body in (GOOD, POOR)]
    assert [rows[0]["answer"]["trust_score"], rows[2]["answer"]["trust_score"]] == singly
    assert rows[2]["kol_id"] == "k"


def test_a_thousand_profiles_fit_into_one_request(api: Client) -> None:
    assert api.post("/predict/trust/batch", {"profiles": [GOOD] * 1_000}).json["counts"] == {"ok": 1_000}


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in FEATURES.items() if key != name}


BAD_BODIES: dict[str, tuple[str, object, str, str | None]] = {
    "no JSON": ("/predict/trust", b"{", "unparsable", None),
    "no UTF-8": ("/predict/trust", b'{"a":"\xff"}', "unparsable", None),
    "nothing": ("/predict/trust", b"", "empty", None),
    "a list": ("/predict/trust", [], "not_an_object", None),
    "a missing fact": ("/predict/trust", {"followers_count": 1}, "missing_field", "following_count"),
    "a text as count": ("/predict/trust", {**GOOD, "post_count": "3"}, "wrong_type", "post_count"),
    "a fraction as count": ("/predict/trust", {**GOOD, "post_count": 3.0}, "wrong_type", "post_count"),
    "a number as flag": ("/predict/trust", {**GOOD, "verified": 1}, "wrong_type", "verified"),
    "NaN": ("/predict/trust", b'{"followers_count": NaN}', "not_finite", None),
    "a key twice": ("/predict/trust", b'{"has_bio": true, "has_bio": true}', "duplicate_key", "has_bio"),
    "a name that is none": ("/predict/trust", {**GOOD, "kol_id": ""}, "bad_identifier", "kol_id"),
    "a number as name": ("/predict/trust", {**GOOD, "kol_id": 5}, "wrong_type", "kol_id"),
    "deep nesting": ("/predict/trust", b'{"a":' * 10_000, "unparsable", None),
    "no list of profiles": ("/predict/trust/batch", {"profile": []}, "unparsable", "profiles"),
    "too many profiles": ("/predict/trust/batch", {"profiles": [0] * 1_001}, "too_many", "profiles"),
    "too many names": ("/kols/trust", {"kol_ids": ["a"] * 501}, "too_many", "kol_ids"),
    "names that are no list": ("/kols/trust", {"kol_ids": "a"}, "unparsable", "kol_ids"),
    "no features": ("/predict/trust/features", {}, "unparsable", None),
    "features as list": ("/predict/trust/features", {"features": list(FEATURES.values())}, "unparsable", None),
    "a missing feature": ("/predict/trust/features", {"features": without("verified")}, "missing_field", "verified"),
    "an extra feature": ("/predict/trust/features", {"features": {**FEATURES, "luck": 1}}, "unknown_field", "luck"),
    "a flag as feature": (
        "/predict/trust/features",
        {"features": {**FEATURES, "has_bio": True}},
        "wrong_type",
        "has_bio",
    ),
    "a text as feature": (
        "/predict/trust/features",
        {"features": {**FEATURES, "has_bio": "1"}},
        "wrong_type",
        "has_bio",
    ),
    "a huge feature": (
        "/predict/trust/features",
        {"features": {**FEATURES, "log_posts": 10**400}},
        "not_finite",
        "log_posts",
    ),
    "1e999": (
        "/predict/trust/features",
        json.dumps({"features": {**FEATURES, "log_posts": "X"}}).replace('"X"', "1e999").encode(),
        "not_finite",
        "log_posts",
    ),
    "a negative feature": (
        "/predict/trust/features",
        {"features": {**FEATURES, "log_posts": -1}},
        "negative",
        "log_posts",
    ),
    "a flag of 2": ("/predict/trust/features", {"features": {**FEATURES, "has_bio": 2}}, "too_large", "has_bio"),
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_bad_input_is_a_422_that_names_the_field_the_reason_and_the_remedy(api: Client, case: str) -> None:
    path, body, reason, field = BAD_BODIES[case]
    got = api.post(path, body)
    assert (got.status, got.headers["content-type"]) == (422, "application/problem+json")
    assert (got.json["reason"], got.json["field"]) == (reason, field)
    assert got.json["remedy"]
    assert got.json["type"] == f"urn:kol-trust:problem:{reason}"


@pytest.mark.parametrize(
    "path", ["/kols//trust", "/kols/a%00b/trust", f"/kols/{'x' * 129}/trust", "/kols/a/trust?debug=x"]
)
def test_a_bad_name_or_parameter_is_a_422(api: Client, path: str) -> None:
    assert api.get(path).status == 422


def test_a_body_over_one_mebibyte_is_a_413(api: Client) -> None:
    got = api.post("/predict/trust/batch", b" " * (2**20 + 1))
    assert (got.status, got.json["reason"]) == (413, "body_too_large")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nope", 404), ("PUT", "/livez", 405)])
def test_what_the_framework_refuses_is_a_problem_too(api: Client, method: str, path: str, status: int) -> None:
    got = api.send(method, path)
    assert (got.status, got.headers["content-type"]) == (status, "application/problem+json")


def test_model_info_tells_what_is_loaded(api: Client, settings: Settings) -> None:
    info = api.get("/predict/trust/model-info").json
    activation = Shelf(settings.shelf).production()
    assert Maker(info["model_sha"], info["promotion_seq"], info["model_version"]) == activation.maker()
    assert (info["stage"], info["features"], info["engine"] in {"onedal", "lightgbm"}) == (
        "Production",
        list(NAMES),
        True,
    )


def test_without_model_and_views_everything_is_a_503_with_retry_after(empty_api: Client) -> None:
    for got in (
        empty_api.get("/kols/a/trust"),
        empty_api.post("/predict/trust", GOOD),
        empty_api.get("/predict/trust/model-info"),
        empty_api.get("/readyz"),
    ):
        assert (got.status, "retry-after" in got.headers) == (503, True)
    assert empty_api.get("/livez").status == 200


def test_ready_says_what_is_late(api: Client) -> None:
    got = api.get("/readyz")
    assert (got.status, got.json["status"]) == (200, "ready")


def test_figures_count_requests_by_route(api: Client) -> None:
    api.get("/kols/twitter:nasa/trust")
    text = api.get("/metrics").body.decode()
    assert 'kol_requests_total{method="GET",route="/kols/{kol_id}/trust",status="200"}' in text
    assert 'kol_answers_total{source="realtime",stale="false"}' in text
    assert "kol_ready 1.0" in text
