"""The published JSON Schema of the KOL event and of the raw profile, made from the one list of raw columns."""

from typing import Any

from features.event import SCHEMA_VERSION
from features.profile import LARGEST_COUNT, RAW_COLUMNS, RawColumn
from features.scrutiny import MOST_IDENTIFIER_BYTES

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def column_schema(column: RawColumn) -> dict[str, Any]:
    """Describe one raw column; an optional one may be null = unknown."""
    kind = "boolean" if column.kind == "flag" else "integer"
    bounds = {} if column.kind == "flag" else {"minimum": 0, "maximum": LARGEST_COUNT}
    described = f"{column.meaning} Unit: {column.unit}." if column.unit != "-" else column.meaning
    return {"type": kind if column.required else [kind, "null"], **bounds, "description": described}


def profile_schema() -> dict[str, Any]:
    """Describe the raw profile as a JSON object."""
    return {
        "type": "object",
        "properties": {column.name: column_schema(column) for column in RAW_COLUMNS},
        "required": [column.name for column in RAW_COLUMNS if column.required],
    }


def event_schema() -> dict[str, Any]:
    """Describe the event on `kol.events`."""
    profile = profile_schema()
    identifier = {
        "type": "string",
        "minLength": 1,
        "maxLength": MOST_IDENTIFIER_BYTES,
        "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$",
    }
    identity = {
        "schema_version": {"const": SCHEMA_VERSION},
        "event_id": {**identifier, "description": "Unique name of this event."},
        "event_time": {
            "type": "string",
            "format": "date-time",
            "description": "When the profile was observed: RFC 3339, UTC, microseconds at most.",
        },
        "kol_id": {**identifier, "description": "Opaque name of the KOL, e.g. twitter:nasa; at most 128 UTF-8 bytes."},
    }
    return {
        "$schema": DIALECT,
        "title": "KOL event",
        "description": "A KOL's raw profile as observed at event_time; message on kol.events, key = kol_id.",
        "type": "object",
        "properties": {**identity, **profile["properties"]},
        "required": [*identity, *profile["required"]],
    }
