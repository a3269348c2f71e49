"""Schemas as Gemini's clients write them, read as JSON Schema."""

from typing import Final

from dialects.schema import walked
from models.json_types import Json, JsonObject

_TYPES: Final = ("unspecified", "string", "number", "integer", "boolean", "array", "object", "null")
"""By their numbers in the protocol."""
_COUNTS: Final = frozenset(
    {"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"}
)
_OWN: Final = frozenset({"nullable", "propertyOrdering", "example"})


def read_schema(schema: JsonObject) -> JsonObject:
    """Return JSON Schema for a schema in Google's spelling; JSON Schema itself stays as it is.

    Types are upper-case there, null is a flag, and counts may be strings.
    """
    return walked(schema, _plain)


def _plain(node: JsonObject) -> JsonObject:
    plain = {key: _value(key, value) for key, value in node.items() if key not in _OWN}
    if plain.get("format") == "enum":
        del plain["format"]
    if plain.get("type") == "type_unspecified":
        del plain["type"]
    return _nullable(plain) if node.get("nullable") is True else plain


def _value(key: str, value: Json) -> Json:
    if key == "type":
        return [_type(one) for one in value] if isinstance(value, list) else _type(value)
    if key in _COUNTS and isinstance(value, str) and value.isdecimal() and len(value) < 19:
        return int(value)
    return value


def _type(value: Json) -> Json:
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < len(_TYPES):
        return _TYPES[value]
    return value.lower() if isinstance(value, str) else value


def _nullable(node: JsonObject) -> JsonObject:
    kind, choices, values = node.get("type"), node.get("anyOf"), node.get("enum")
    if isinstance(values, list) and None not in values:
        node = {**node, "enum": [*values, None]}
    if isinstance(kind, str) and kind != "null":
        node = {**node, "type": [kind, "null"]}
    if isinstance(choices, list) and kind is None:
        node = {**node, "anyOf": [*choices, {"type": "null"}]}
    return node
