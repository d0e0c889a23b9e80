"""Checks a document against ``docs/doctor.schema.json``, with the few keywords that this schema uses."""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.doctor.command import ROOT

SCHEMA: dict[str, Any] = json.loads((ROOT / "docs" / "doctor.schema.json").read_text())
_KEYWORDS = {"type", "required", "additionalProperties", "properties", "items", "enum", "const", "pattern"}
_ABOUT = {"$schema", "title", "description"}
_TYPES: dict[str, type] = {"object": dict, "array": list, "string": str, "integer": int}


def problems(value: Any, schema: dict[str, Any] = SCHEMA, at: str = "$") -> Iterator[str]:
    """Yield where the document differs from the schema."""
    unknown = schema.keys() - _KEYWORDS - _ABOUT
    assert not unknown, f"this checker does not support {unknown}"
    if "type" in schema and not isinstance(value, _TYPES[schema["type"]]):
        yield f"{at} is no {schema['type']}"
        return
    if ("const" in schema and value != schema["const"]) or ("enum" in schema and value not in schema["enum"]):
        yield f"{at} is {value!r}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{at} does not match {schema['pattern']}"
    if isinstance(value, dict):
        properties = schema["properties"]
        yield from (f"{at}.{name} is missing" for name in schema["required"] if name not in value)
        yield from (f"{at}.{name} is not in the schema" for name in value.keys() - properties.keys())
        for name in value.keys() & properties.keys():
            yield from problems(value[name], properties[name], f"{at}.{name}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from problems(item, schema["items"], f"{at}[{number}]")
