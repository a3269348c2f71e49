import pytest

from dialects.output_schema import for_anthropic_output
from dialects.schema import (
    fits_strict,
    for_anthropic_tool,
    for_chat_function,
    without_keyword,
)
from models.errors import BadRequest
from models.json_types import Json, JsonObject


def test_missing_parameters_are_omitted_for_chat_and_an_empty_object_for_anthropic() -> None:
    assert for_chat_function(None) is None
    assert for_anthropic_tool(None) == {"type": "object", "properties": {}}


def test_objects_and_arrays_are_completed_for_chat() -> None:
    schema: JsonObject = {"properties": {"a": {"type": "array"}, "b": {"type": "object"}}}
    assert for_chat_function(schema) == {
        "type": "object",
        "properties": {
            "a": {"type": "array", "items": {}},
            "b": {"type": "object", "properties": {}},
        },
    }


def test_objects_and_arrays_that_may_be_null_are_completed_too() -> None:
    schema: JsonObject = {"type": "object", "properties": {"a": {"type": ["array", "null"]}}}
    assert for_chat_function(schema) == {
        "type": "object",
        "properties": {"a": {"type": ["array", "null"], "items": {}}},
    }


def test_properties_named_like_keywords_are_left_alone() -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {"type": {"type": "string"}, "items": {"type": "string"}, "$schema": {}},
    }
    assert for_chat_function(schema) == schema
    assert without_keyword({**schema, "$schema": "x"}, "$schema") == schema


def test_keywords_that_chat_takes_pass_unchanged() -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {
            "a": {"oneOf": [{"const": 1}, {"$ref": "#/$defs/d"}]},
            "u": {"type": "string", "format": "uri"},
        },
        "$defs": {"d": {"type": "string"}},
    }
    assert for_chat_function(schema) == schema


def test_a_union_at_the_root_becomes_one_object() -> None:
    schema: JsonObject = {
        "anyOf": [
            {"properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"properties": {"a": {"type": "integer"}, "b": {}}},
        ],
        "allOf": [{"properties": {"c": {}}, "required": ["c"]}, {"$ref": "#/$defs/d"}],
        "$defs": {"d": {"properties": {"d": {}}, "required": ["d"]}},
    }
    assert for_anthropic_tool(schema) == {
        "type": "object",
        "properties": {
            "a": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "b": {},
            "c": {},
            "d": {},
        },
        "required": ["c", "d"],
        "$defs": {"d": {"properties": {"d": {}}, "required": ["d"]}},
    }


def test_a_root_reference_to_itself_ends() -> None:
    schema: JsonObject = {"$ref": "#/$defs/x", "$defs": {"x": {"anyOf": [{"$ref": "#/$defs/x"}]}}}
    assert for_anthropic_tool(schema)["type"] == "object"


def test_absurdly_nested_schemas_are_refused_and_not_a_crash() -> None:
    schema: JsonObject = {"type": "object"}
    for _ in range(400):
        schema = {"type": "object", "properties": {"a": schema}}
    with pytest.raises(BadRequest, match="nested"):
        for_chat_function(schema)
    with pytest.raises(BadRequest, match="nested"):
        for_anthropic_output(schema)


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        (None, False),
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, False),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "object"}},
                "required": ["a"],
                "additionalProperties": False,
            },
            False,
        ),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, False),
    ],
)
def test_strict_mode_needs_closed_objects(schema: JsonObject | None, fits: bool) -> None:
    assert fits_strict(schema) is fits


def test_what_the_structured_output_subset_lacks_is_told_in_the_description() -> None:
    schema: JsonObject = {
        "$schema": "x",
        "type": "object",
        "title": "T",
        "properties": {
            "s": {"type": "string", "maxLength": 3, "description": "short"},
            "n": {"type": ["integer", "null"], "minimum": 1},
            "f": {"type": "string", "format": "uri"},
            "g": {"type": "string", "format": "odd"},
            "e": {"type": "string", "enum": ["a", "b"]},
            "o": {"oneOf": [{"type": "string"}, {"type": "null"}]},
            "l": {"type": "array", "items": {"type": "string"}, "minItems": 2},
        },
        "required": ["s", "zz"],
    }
    assert for_anthropic_output(schema) == {
        "type": "object",
        "title": "T",
        "properties": {
            "s": {"type": "string", "description": "short; maxLength: 3"},
            "n": {"anyOf": [{"type": "integer", "description": "minimum: 1"}, {"type": "null"}]},
            "f": {"type": "string", "format": "uri"},
            "g": {"type": "string", "description": "format: odd"},
            "e": {"enum": ["a", "b"]},
            "o": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "l": {
                "type": "array",
                "items": {"type": "string"},
                "description": "minItems: 2",
            },
        },
        "required": ["s"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": "object"}, id="free keys"),
        pytest.param(
            {"type": "object", "properties": {}, "additionalProperties": {"type": "string"}},
            id="a map",
        ),
        pytest.param({"type": "array"}, id="anything in a list"),
        pytest.param({}, id="anything"),
        pytest.param({"$ref": "https://x.test/s.json"}, id="foreign reference"),
        pytest.param(
            {
                "$ref": "#/$defs/a",
                "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}},
            },
            id="recursion",
        ),
    ],
)
def test_schemas_that_the_subset_cannot_say_are_told_apart(schema: JsonObject) -> None:
    assert for_anthropic_output(schema) is None


def test_definitions_stay_with_their_references() -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/d"}},
        "$defs": {"d": {"type": "string", "pattern": "x"}},
    }
    assert for_anthropic_output(schema) == {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/d"}},
        "$defs": {"d": {"type": "string", "description": "pattern: x"}},
        "additionalProperties": False,
    }


def test_absurdly_nested_values_in_a_schema_are_refused_and_not_a_crash() -> None:
    deep: Json = "x"
    for _ in range(3000):
        deep = [deep]
    noted: JsonObject = {"type": "string", "default": deep}
    twin: JsonObject = {"type": "string", "default": [deep]}
    with pytest.raises(BadRequest):
        for_anthropic_output({"type": "object", "properties": {"a": noted}})
    merged = for_anthropic_tool(
        {"anyOf": [{"properties": {"a": noted}}, {"properties": {"a": twin}}]}
    )
    assert merged["type"] == "object"
