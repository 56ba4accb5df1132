"""What the OpenAPI document says: schemas of bodies and answers, examples, and the errors that any route may give."""

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from features.catalogue import CATALOGUE, feature_matrix
from features.profile import RAW_NAMES, Profiles
from features.reference import TRUSTWORTHY, UNTRUSTWORTHY
from features.schema import profile_schema
from serving.answers import Answer
from serving.bodies import MOST_KOLS, MOST_PROFILES
from serving.problems import MEDIA_TYPE, Problem
from serving.service import ModelInfo, Readiness, Rows

SHAPES = (Answer, Rows, ModelInfo, Readiness, Problem)
Document = dict[str, Any]

DESCRIPTION = """\
A trust score of 0 to 100 for every KOL (key opinion leader, influencer): precomputed every night, recomputed within a
second when a KOL's numbers change, and on demand.

An unknown fact is null or absent and stays unknown: it is never taken for zero. `favorites_count` counts the likes an
account *gave*, not those it received. The score is a trust assessment learned from public labels of accounts as a
proxy; it does not say what an account is.
"""


def reference(name: str) -> dict[str, Any]:
    """Return the profile of a reference KOL as clients send it."""
    profile = {"trustworthy": TRUSTWORTHY, "untrustworthy": UNTRUSTWORTHY}[name]
    return dict(zip(RAW_NAMES, profile.values(), strict=True))


EXAMPLE_NAMES = ("trustworthy", "untrustworthy")


def profile_body() -> Document:
    """Describe the body of `POST /predict/trust`."""
    schema = profile_schema()
    kol_id = {"type": ["string", "null"], "description": "Name of the KOL, echoed in the answer."}
    named = {**schema, "properties": {"kol_id": kol_id, **schema["properties"]}}
    return _body(named, {name: reference(name) for name in EXAMPLE_NAMES})


def profiles_body() -> Document:
    """Describe the body of `POST /predict/trust/batch`."""
    profiles = {"type": "array", "maxItems": MOST_PROFILES, "items": {}}
    profiles["items"] = {
        "description": "A raw profile as in POST /predict/trust; a bad one is an error of its own row."
    }
    example = {"profiles": [reference(name) for name in EXAMPLE_NAMES]}
    return _body(_object_of("profiles", profiles), {"both": example})


def kol_ids_body() -> Document:
    """Describe the body of `POST /kols/trust`."""
    kol_ids = {"type": "array", "maxItems": MOST_KOLS, "items": {"description": "Name of a KOL."}}
    return _body(_object_of("kol_ids", kol_ids), {"two": {"kol_ids": ["twitter:nasa", "twitter:nobody"]}})


def features_body() -> Document:
    """Describe the body of `POST /predict/trust/features`."""
    properties = {
        feature.name: {
            "type": ["number", "null"],
            "minimum": feature.low,
            **({} if feature.high is None else {"maximum": feature.high}),
            "description": f"{feature.meaning} Unit: {feature.unit}.",
        }
        for feature in CATALOGUE
    }
    features = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    rows = feature_matrix(Profiles.of_rows([TRUSTWORTHY.values(), UNTRUSTWORTHY.values()])).tolist()
    examples = {
        name: {"features": dict(zip(properties, row, strict=True))}
        for name, row in zip(EXAMPLE_NAMES, rows, strict=True)
    }
    return _body(_object_of("features", features), examples)


def debug_parameter() -> Document:
    """Describe `?debug=merge`."""
    meaning = "merge = show both candidates, which lost and why."
    schema = {"type": "string", "enum": ["merge"]}
    return {
        "parameters": [{"name": "debug", "in": "query", "required": False, "description": meaning, "schema": schema}]
    }


def answers_with(shape: type[msgspec.Struct], *problems: int) -> dict[int | str, Document]:
    """Describe the responses of a route: its answer, and the problems it may give."""
    described: dict[int | str, Document] = {200: _content(shape.__name__, "application/json", "The answer.")}
    for status in problems:
        described[status] = _content("Problem", MEDIA_TYPE, "What was wrong and what to do (RFC 9457).")
    return described


def document(app: FastAPI) -> Document:
    """Return the OpenAPI document of the app, with the schemas of what is sent and answered."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        _, shapes = msgspec.json.schema_components(SHAPES, ref_template="#/components/schemas/{name}")
        made.setdefault("components", {})["schemas"] = shapes
        for operation in (operation for path in made["paths"].values() for operation in path.values()):
            _drop_foreign_422(operation)
        app.openapi_schema = made
    return app.openapi_schema


def _drop_foreign_422(operation: Document) -> None:
    """Remove FastAPI's own description of bad input where the route does not have one of ours."""
    described = operation["responses"].get("422", {})
    if "application/json" in described.get("content", {}):
        del operation["responses"]["422"]


def _body(schema: Document, examples: dict[str, Any]) -> Document:
    shown = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "examples": shown}}}}


def _object_of(name: str, schema: Document) -> Document:
    return {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}


def _content(schema: str, media_type: str, description: str) -> Document:
    return {
        "description": description,
        "content": {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }
