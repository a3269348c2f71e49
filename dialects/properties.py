"""Property names of tools within what Anthropic and Google accept.

One bad name among the root properties of one tool fails a whole request; deeper ones are not
looked at. `renames.Restorer` gives the names back in the arguments of an answer.
"""

import re
from collections.abc import Mapping
from typing import Final

from dialects.names import changed_names, wire_names
from dialects.schema import MAX_DEPTH
from models.json_types import Json, JsonObject

LEFT_OUT: Final = "\0"
"""Stands for the client's name of a property that only the provider was told of; objects inside
arguments may hold it as well."""

_BAD_CHARACTER: Final = re.compile(r"[^a-zA-Z0-9_.-]")


def wire_properties(schema: JsonObject | None) -> dict[str, str]:
    """Return own name -> accepted name of the root properties that need another one."""
    properties = schema.get("properties") if schema else None
    if not isinstance(properties, dict):
        return {}
    changed = changed_names(wire_names(properties, bad_character=_BAD_CHARACTER))
    return {name: wire for wire, name in changed.items()}


def renamed_schema(schema: JsonObject, names: Mapping[str, str]) -> JsonObject:
    """Return the schema with root properties renamed; the model is told their own names."""
    if not names:
        return schema
    renamed = dict(schema)
    properties, required = schema.get("properties"), schema.get("required")
    if isinstance(properties, dict):
        renamed["properties"] = {
            names.get(name, name): _told(child, name) if name in names else child
            for name, child in properties.items()
        }
    if isinstance(required, list):
        renamed["required"] = [
            names.get(name, name) if isinstance(name, str) else name for name in required
        ]
    return renamed


def renamed_arguments(arguments: JsonObject, names: Mapping[str, str]) -> JsonObject:
    """Return arguments with their root keys renamed, order kept, and without those left out."""
    for wire, name in names.items():
        if name == LEFT_OUT:
            arguments = {key: _without(value, wire) for key, value in arguments.items()}
    renamed = {names.get(key, key): value for key, value in arguments.items()}
    renamed.pop(LEFT_OUT, None)
    return renamed


def _without(value: Json, name: str, depth: int = 0) -> Json:
    """Return a value without a property, as deep as any schema can have put it."""
    match value:
        case dict() if depth <= MAX_DEPTH:
            return {k: _without(v, name, depth + 1) for k, v in value.items() if k != name}
        case list() if depth <= MAX_DEPTH:
            return [_without(inner, name, depth + 1) for inner in value]
        case _:
            return value


def _told(child: object, name: str) -> JsonObject:
    known = child if isinstance(child, dict) else {}
    return {"description": name, **known}
