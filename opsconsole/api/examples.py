"""An example of everything that the OpenAPI document describes, made from the examples of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOMENT = "2026-11-21T02:10:00Z"
UUID = "7f9c24e8-3b12-4fef-91d0-9e0c5a1c2b6d"
OF_FORMAT = {"date-time": MOMENT, "uuid": UUID}
OF_TYPE: Mapping[str, Any] = {"string": "", "integer": 0, "number": 0.0, "boolean": False, "null": None, "object": {}}


def example_of(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """A value that fits the schema: its own example or default where it has one. Pure; schemas are not recursive."""
    if "$ref" in schema:
        return example_of(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    for word in ("examples", "enum"):
        if schema.get(word):
            return schema[word][0]
    for word in ("example", "default", "const"):
        if word in schema:
            return schema[word]
    if choices := schema.get("anyOf") or schema.get("allOf"):
        return example_of(choices[0], definitions)
    return _of_type(schema, definitions)


def _of_type(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    if "properties" in schema:
        return {name: example_of(value, definitions) for name, value in schema["properties"].items()}
    if schema.get("type") == "array":
        return [example_of(schema.get("items", {}), definitions)]
    return OF_FORMAT.get(schema.get("format", ""), OF_TYPE.get(schema.get("type", ""), None))
