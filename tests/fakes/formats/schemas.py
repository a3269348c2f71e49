"""Which JSON schemas the providers take; each refuses the words that it does not know."""

import re
from collections.abc import Collection, Iterator
from typing import Any

from tests.fakes.formats.base import need, stranger

Schema = dict[str, Any]

# Google's subset of OpenAPI 3.0, for `parameters` and `responseSchema`.
_GEMINI = frozenset(
    [
        "type",
        "format",
        "title",
        "description",
        "nullable",
        "enum",
        "items",
        "minItems",
        "maxItems",
        "properties",
        "required",
        "propertyOrdering",
        "minProperties",
        "maxProperties",
        "minLength",
        "maxLength",
        "pattern",
        "minimum",
        "maximum",
        "anyOf",
        "example",
        "default",
    ]
)
_GEMINI_TYPES = {"string", "number", "integer", "boolean", "array", "object", "null"}
_GEMINI_FORMATS = {
    "string": {"enum", "date-time"},
    "number": {"float", "double"},
    "integer": {"int32", "int64"},
}
# Claude behind Code Assist must also be able to read it as JSON Schema.
_CLAUDE_CA_REFUSED = frozenset(
    [
        "$schema",
        "$id",
        "$ref",
        "$defs",
        "definitions",
        "const",
        "examples",
        "default",
        "format",
        "pattern",
        "patternProperties",
        "propertyNames",
        "additionalProperties",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minProperties",
        "maxProperties",
        "multipleOf",
        "oneOf",
        "allOf",
    ]
)
_OPENAI_STRICT = frozenset(
    [
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "minItems",
        "maxItems",
        "enum",
        "const",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "anyOf",
        "$ref",
        "$defs",
        "definitions",
        "title",
        "description",
    ]
)
_ANTHROPIC_OUTPUT = frozenset(
    [
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "minItems",
        "enum",
        "const",
        "format",
        "anyOf",
        "allOf",
        "$ref",
        "$defs",
        "title",
        "description",
        "default",
    ]
)
_ANTHROPIC_PROPERTY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")


def nodes(schema: Schema) -> Iterator[Schema]:
    """Every schema inside a schema, itself included; names of properties are none."""
    yield schema
    inner: list[Any] = [schema.get("items"), schema.get("additionalProperties")]
    for name in ("anyOf", "oneOf", "allOf", "prefixItems"):
        inner += schema.get(name) or []
    for name in ("properties", "$defs", "definitions", "patternProperties"):
        inner += (schema.get(name) or {}).values()
    for node in inner:
        if isinstance(node, dict):
            yield from nodes(node)


def check_gemini(schema: Schema, where: str) -> None:
    """Refuse what is not of Google's subset."""
    for node in nodes(schema):
        word = stranger(node, _GEMINI)
        need(
            word is None,
            f"Invalid JSON payload received. Unknown name \"{word}\" at '{where}': "
            "Cannot find field.",
        )
        kind = node.get("type")
        need(isinstance(kind, str | None), f"{where}.type: Proto field is not repeating")
        if kind is None:
            continue
        kind = kind.lower()
        need(kind in _GEMINI_TYPES, f"Invalid value at '{where}.type': \"{kind}\"")
        _check_gemini_node(node, kind, where)


def _check_gemini_node(node: Schema, kind: str, where: str) -> None:
    if kind == "array":
        need("items" in node, f"{where}.items: missing field")
    for value in node.get("enum") or ():
        need(isinstance(value, str), f"Invalid value at '{where}.enum' (TYPE_STRING), {value}")
        need(value, f"{where}.enum[0]: cannot be empty")
    need("enum" not in node or kind == "string", f"{where}.enum: only allowed for STRING type")
    if "format" in node and kind in _GEMINI_FORMATS:
        fits = node["format"] in _GEMINI_FORMATS[kind]
        need(fits, f"{where}: only 'enum' and 'date-time' are supported for {kind.upper()} type")
    if kind == "object":
        properties = node.get("properties") or {}
        need(properties, f"{where}.properties: should be non-empty for OBJECT type")
        for index, name in enumerate(node.get("required") or ()):
            need(name in properties, f"{where}.required[{index}]: property is not defined")


def check_claude_ca(schema: Schema, where: str) -> None:
    """Refuse what Claude behind Code Assist does not take."""
    need(
        schema.get("type") in ("object", "OBJECT"),
        f"{where}.input_schema.type: Input should be 'object'",
    )
    for node in nodes(schema):
        word = next((name for name in node if name in _CLAUDE_CA_REFUSED), None)
        need(word is None, f"{where}.input_schema: JSON schema is invalid ({word})")
        need(isinstance(node.get("type", ""), str), f"{where}.input_schema: type")
        for value in node.get("enum") or ():
            need(isinstance(value, str), f"{where}.input_schema: enum")
    for node in nodes(schema):
        if str(node.get("type")).lower() == "object":
            # Validated calls need a property that must be there.
            need(node.get("required"), f"{where}.input_schema: no required property")


def check_anthropic_tool(schema: Schema, where: str) -> None:
    """Refuse a tool's schema that Anthropic does not take."""
    need(schema.get("type") == "object", f"{where}.input_schema.type: Field required")
    for word in ("anyOf", "oneOf", "allOf"):
        need(
            word not in schema,
            f"{where}.input_schema: input_schema does not support oneOf, allOf, or anyOf "
            "at the top level",
        )
    for node in nodes(schema):
        for name in node.get("properties") or {}:
            fits = _ANTHROPIC_PROPERTY.fullmatch(name)
            need(fits, f"{where}.input_schema.properties: Property keys should match pattern")


def check_anthropic_output(schema: Schema, where: str) -> None:
    """Refuse a schema for answers (or of a strict tool) beyond Anthropic's subset."""
    for node in nodes(schema):
        _refuse_words(node, _ANTHROPIC_OUTPUT, f"{where}.schema: For")
        if node.get("type") == "object":
            closed = node.get("additionalProperties") is False
            need(closed, f"{where}.schema: 'additionalProperties' must be explicitly set to false")
        need(node.get("minItems", 0) in (0, 1), f"{where}.schema: minItems")


def check_openai(schema: Schema, name: str) -> None:
    """Refuse a function's parameters that OpenAI does not take, strict or not."""
    head = f"Invalid schema for function '{name}': "
    need(
        schema.get("type") == "object", head + "schema must be a JSON Schema of 'type: \"object\"'"
    )
    for node in nodes(schema):
        if node.get("type") == "object" and "additionalProperties" not in node:
            need("properties" in node, head + "object schema missing properties")
        if node.get("type") == "array":
            need("items" in node, head + "array schema missing items")


def check_openai_strict(schema: Schema, name: str) -> None:
    """Refuse a strict schema that breaks the rules of strictness."""
    head = f"Invalid schema for '{name}': In context=(), "
    need(schema.get("type") == "object", head + "schema must be of type object")
    need("anyOf" not in schema, head + "schema must not have 'anyOf' at the top level")
    for node in nodes(schema):
        _refuse_words(node, _OPENAI_STRICT, head)
        need("$ref" not in node or len(node) == 1, head + "$ref cannot have keywords")
        if node.get("type") == "object":
            closed = node.get("additionalProperties") is False
            need(closed, head + "'additionalProperties' is required to be supplied and to be false")
            properties = set(node.get("properties") or {})
            missing = properties ^ set(node.get("required") or ())
            need(not missing, head + f"'required' must include every key: {missing}")


def _refuse_words(node: Schema, known: Collection[str], head: str) -> None:
    word = stranger(node, known)
    need(word is None, f"{head} '{word}' is not permitted")
