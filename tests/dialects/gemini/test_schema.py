"""JSON Schema within what Google's servers take."""

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from dialects.gemini.write_schema import cleaned, openapi, openapi_output
from models.errors import BadRequest
from models.json_types import Json, JsonObject

# Google refuses a request with any other keyword in `parameters`.
OPENAPI = {
    "anyOf", "description", "enum", "format", "items", "maxItems", "maxLength", "maxProperties",
    "maximum", "minItems", "minLength", "minProperties", "minimum", "nullable", "pattern",
    "properties", "required", "title", "type",
}  # fmt: skip
CLAUDE = {"anyOf", "description", "enum", "items", "properties", "required", "title", "type"}


def in_property(schema: JsonObject, *, for_claude: bool = False) -> Json:
    """Return what becomes of a property's schema."""
    told = openapi(
        {"type": "object", "properties": {"p": schema}, "$defs": DEFINITIONS}, for_claude=for_claude
    )
    properties = told["properties"]
    assert isinstance(properties, dict)
    return properties["p"]


DEFINITIONS: JsonObject = {
    "City": {"type": "string", "description": "a city"},
    "Node": {
        "type": "object",
        "properties": {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/Node"}},
    },
    "Maybe": {"anyOf": [{"$ref": "#/$defs/Maybe"}, {"type": "null"}]},
}
TEXT: JsonObject = {"type": "string"}
NUMBER: JsonObject = {"type": "integer"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "title": "T"}, {"title": "T", "type": "string"}),
        ({"const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"enum": ["a", "b", "a", None, ""]}, {"type": "string", "enum": ["a", "b"]}),
        ({"const": 1}, {"type": "integer", "description": "one of: 1"}),
        ({"type": "number", "enum": [1, 2.5]}, {"type": "number", "description": "one of: 1, 2.5"}),
        ({"enum": [True]}, {"type": "boolean", "description": "one of: true"}),
        (
            {"type": ["string", "null"], "format": "uri"},
            {"type": "string", "nullable": True, "description": "format: uri"},
        ),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "integer", "format": "int64"}, {"type": "integer", "format": "int64"}),
        (
            {"type": ["string", "integer"]},
            {"type": "string", "description": "types: string, integer"},
        ),
        ({"anyOf": [TEXT, {"type": "null"}]}, {"type": "string", "nullable": True}),
        ({"oneOf": [TEXT, NUMBER]}, {"anyOf": [TEXT, NUMBER]}),
        (
            {"anyOf": [TEXT, NUMBER, {"type": "null"}], "description": "d"},
            {"description": "d", "nullable": True, "anyOf": [TEXT, NUMBER]},
        ),
        (
            {"allOf": [{"$ref": "#/$defs/City"}], "description": "home"},
            {"description": "home", "type": "string"},
        ),
        (
            {
                "allOf": [
                    {"properties": {"a": TEXT}, "required": ["a"]},
                    {"properties": {"b": NUMBER}},
                ]
            },
            {"type": "object", "properties": {"b": NUMBER, "a": TEXT}, "required": ["a"]},
        ),
        (
            {
                "type": "object",
                "properties": {"a": TEXT},
                "if": {},
                "then": {"properties": {"b": TEXT}},
            },
            {"type": "object", "properties": {"b": TEXT, "a": TEXT}},
        ),
        ({"$ref": "#/$defs/City"}, {"type": "string", "description": "a city"}),
        ({"$ref": "#/$defs/Unknown"}, {"type": "object"}),
        (
            {"$ref": "#/$defs/Node"},
            {
                "type": "object",
                "properties": {
                    "v": NUMBER,
                    "next": {"type": "object", "description": "as: #/$defs/Node"},
                },
            },
        ),
        ({"type": "array"}, {"type": "array", "items": TEXT}),
        ({"prefixItems": [NUMBER, TEXT]}, {"type": "array", "items": NUMBER}),
        (
            {"type": "array", "items": TEXT, "uniqueItems": True, "minItems": 1},
            {"type": "array", "items": TEXT, "minItems": 1, "description": "uniqueItems: true"},
        ),
        (
            {"type": "integer", "exclusiveMinimum": 0, "maximum": 9, "description": "d"},
            {"type": "integer", "maximum": 9, "description": "d; exclusiveMinimum: 0"},
        ),
        (
            {"type": "object", "additionalProperties": TEXT},
            {"type": "object", "description": 'values: {"type":"string"}'},
        ),
        (
            {"type": "object", "properties": {"format": TEXT}, "required": ["format", "zz"]},
            {"type": "object", "properties": {"format": TEXT}, "required": ["format"]},
        ),
        ({"type": "string", "x-y": 1, "default": "a", "$comment": "c", "deprecated": True}, TEXT),
        ({}, {"type": "object"}),
    ],
)
def test_the_subset_of_openapi(schema: JsonObject, expected: JsonObject) -> None:
    assert in_property(schema) == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (
            {"type": "string", "minLength": 2, "pattern": "a+"},
            {"type": "string", "description": "minLength: 2; pattern: a+"},
        ),
        ({"type": ["string", "null"]}, TEXT),
        ({"type": "string", "format": "date-time"}, {**TEXT, "description": "format: date-time"}),
        (
            {"anyOf": [TEXT, {"type": "object", "properties": {"a": TEXT}}]},
            {"type": "object", "properties": {"a": TEXT}},
        ),
        ({"$ref": "#/$defs/Maybe"}, {"type": "object", "description": "as: #/$defs/Maybe"}),
    ],
)
def test_for_claude_it_is_json_schema_as_well(schema: JsonObject, expected: JsonObject) -> None:
    assert in_property(schema, for_claude=True) == expected


def test_what_newer_models_do_not_know_is_left_out_or_told() -> None:
    assert cleaned(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {
                "pattern": {"type": "string", "pattern": "a+", "default": "a"},
                "kind": {"const": "x"},
                "home": {"$ref": "#/definitions/City"},
                "both": {"allOf": [{"type": "string"}, {"description": "d"}]},
            },
            "definitions": {"City": {"type": "string", "examples": ["Roma"]}},
            "additionalProperties": False,
            "required": ["pattern"],
            "x-order": 1,
        }
    ) == {
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "description": "pattern: a+"},
            "kind": {"enum": ["x"]},
            "home": {"$ref": "#/$defs/City"},
            "both": {"type": "string", "description": "d"},
        },
        "$defs": {"City": {"type": "string"}},
        "additionalProperties": False,
        "required": ["pattern"],
    }


def test_an_answers_schema_need_not_be_an_object() -> None:
    assert openapi_output({"type": "array", "items": NUMBER}) == {"type": "array", "items": NUMBER}


def test_references_that_multiply_are_refused() -> None:
    # Each level names the next one twice: 2^40 nodes in a few bytes.
    definitions: JsonObject = {
        f"d{n}": {
            "type": "object",
            "properties": {key: {"$ref": f"#/$defs/d{n + 1}"} for key in ("a", "b")},
        }
        for n in range(40)
    }
    with pytest.raises(BadRequest, match="too large"):
        openapi({"$ref": "#/$defs/d0", "$defs": definitions})


names = st.sampled_from(["a", "x", "type", "items"])
plain: st.SearchStrategy[JsonObject] = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            ["string", "integer", "object", "array", "null", 5, None, ["null"]]
        ),
        "enum": st.sampled_from([[], [None], [1, "a"], [True], 5]),
        "const": st.sampled_from([None, True, "a", 1.5, {}]),
        "$ref": st.sampled_from(["#", "#/properties/a", "#/$defs/x", "http://x", 5]),
        "format": st.sampled_from(["uri", "int32", "enum", 5]),
        "description": st.sampled_from(["d", 5]),
        "x-y": st.just(1),
        "minimum": st.just(3),
    },
)
schemas: st.SearchStrategy[JsonObject] = st.recursive(
    plain,
    lambda inner: (
        st.builds(
            lambda node, key, child: {**node, key: child},
            plain,
            st.sampled_from(["items", "if", "then", "additionalProperties", "not"]),
            inner,
        )
        | st.builds(
            lambda node, key, children: {**node, key: children},
            plain,
            st.sampled_from(["anyOf", "oneOf", "allOf", "prefixItems"]),
            st.lists(inner | st.none(), max_size=2),
        )
        | st.builds(
            lambda node, key, named, required: {**node, key: named, "required": required},
            plain,
            st.sampled_from(["properties", "$defs"]),
            st.dictionaries(names, inner, max_size=2),
            st.lists(names, max_size=2),
        )
    ),
    max_leaves=5,
)


def keywords(node: Json) -> set[str]:
    """Return all keywords at the schema positions of a schema."""
    if not isinstance(node, dict):
        return set()
    properties, choices = node.get("properties", {}), node.get("anyOf", [])
    assert isinstance(properties, dict)
    assert isinstance(choices, list)
    found = set(node)
    for child in [*properties.values(), *choices, node.get("items")]:
        found |= keywords(child)
    return found


@given(schemas)
def test_any_schema_is_written_within_the_subset(schema: JsonObject) -> None:
    try:
        told = openapi(schema)
        for_claude = openapi(schema, for_claude=True)
    except BadRequest:
        return
    types.Schema.model_validate(told)
    assert keywords(told) <= OPENAPI
    assert keywords(for_claude) <= CLAUDE
    assert told["type"] == "object"


@given(schemas)
def test_any_schema_is_cleaned(schema: JsonObject) -> None:
    assert not {"x-y", "const", "allOf", "if"} & set(cleaned(schema))
