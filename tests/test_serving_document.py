"""The API's description of itself: whole, offline, and true."""

import json
from collections.abc import Iterator

import jsonschema
import pytest

from registry.shelf import Shelf
from serving.documents import Document
from tests.conftest import NewSettings
from tests.support_api import api_at, views_of
from tests.support_http import Client, running
from tests.support_model import tiny_shelf
from tests.support_views import later


@pytest.fixture(scope="module")
def api(new_settings: NewSettings) -> Iterator[Client]:
    settings = new_settings()
    views_of(settings, tiny_shelf(Shelf.at(settings.shelf)))
    with running(api_at(settings, later(75))) as client:
        yield client


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_documentation_needs_no_other_host(api: Client, path: str) -> None:
    page = api.get(path).body.decode()
    assert "https://" not in page
    assert "/static-offline-docs/" in page
    assert api.get("/static-offline-docs/swagger-ui-bundle.js").status == 200


@pytest.fixture(scope="module")
def spec(api: Client) -> Document:
    found: Document = api.get("/openapi.json").json
    return found


def every(spec: Document) -> Iterator[tuple[str, str, Document]]:
    return ((path, method, op) for path, methods in spec["paths"].items() for method, op in methods.items())


def test_the_document_is_whole(spec: Document) -> None:
    assert spec["openapi"].startswith("3.1")
    for shape in spec["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(shape)
    text = json.dumps(spec)
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.partition('"')[0] in spec["components"]["schemas"]


def test_every_post_documents_body_and_working_examples(api: Client, spec: Document) -> None:
    for path, method, operation in every(spec):
        if method == "post":
            content = operation["requestBody"]["content"]["application/json"]
            for example in content["examples"].values():
                jsonschema.validate(example["value"], content["schema"])
                assert api.post(path, example["value"]).status == 200


def test_answers_are_what_the_document_says(api: Client, spec: Document) -> None:
    answers = {
        "Answer": api.get("/kols/twitter:nasa/trust?debug=merge"),
        "Rows": api.post("/kols/trust", {"kol_ids": ["twitter:nasa", "nobody", ""]}),
        "ModelInfo": api.get("/predict/trust/model-info"),
        "Readiness": api.get("/readyz"),
        "Problem": api.get("/kols/nobody/trust"),
    }
    for name, got in answers.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": spec["components"]}
        jsonschema.validate(got.json, schema)
