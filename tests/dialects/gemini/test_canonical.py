"""One spelling for what protobuf's JSON allows in several."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.gemini import GEMINI
from dialects.gemini.canonical import canonical, standard_base64
from models.chat import ToolChoice
from models.errors import BadRequest
from models.json_types import Json, JsonObject
from tests.dialects.gemini.support import content, dig, read, request

CAMEL: JsonObject = {
    "contents": [
        {"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "QUJD"}}]},
        {
            "role": "model",
            "parts": [{"functionCall": {"id": "c", "name": "f", "args": {"a_b": 1}}}],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"id": "c", "name": "f", "response": {"c_d": 2}}}],
        },
    ],
    "systemInstruction": {"parts": [{"text": "S"}]},
    "tools": [
        {
            "functionDeclarations": [
                {
                    "name": "f",
                    "parameters": {
                        "type": "OBJECT",
                        "properties": {
                            "any_of": {"type": "ARRAY", "items": {"type": "STRING"}, "minItems": 1},
                            "max_items": {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]},
                        },
                    },
                },
                {
                    "name": "g",
                    "parametersJsonSchema": {"type": "object", "properties": {"x_y": {}}},
                },
            ]
        }
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    "generationConfig": {
        "maxOutputTokens": 5,
        "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True},
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object", "properties": {"p_q": {"type": "string"}}},
    },
    "labels": {"team_a": "x"},
}
_FREE = ("args", "response", "labels", "parametersJsonSchema", "responseJsonSchema")


def snaked(value: Json, key: str = "") -> Json:
    """Return the same request as protobuf's other spelling has it."""
    if key in _FREE:
        return value
    if isinstance(value, list):
        return [snaked(one) for one in value]
    if not isinstance(value, dict):
        return value
    names = key == "properties"
    return {
        name if names else "".join("_" + c.lower() if c.isupper() else c for c in name): snaked(
            child, "" if names else name
        )
        for name, child in value.items()
    }


def test_both_spellings_mean_the_same() -> None:
    told = snaked(CAMEL)
    assert isinstance(told, dict)
    assert "system_instruction" in told
    assert GEMINI.decode_request(told) == GEMINI.decode_request(CAMEL)
    assert canonical(told) == CAMEL


def test_names_that_others_chose_stay() -> None:
    told = canonical(CAMEL)
    assert told == CAMEL
    schema = GEMINI.decode_request(CAMEL).tools[0].schema
    assert dig(schema, "properties", "max_items") == {
        "anyOf": [{"type": "string"}, {"type": "integer"}]
    }


def test_a_field_in_both_spellings_is_refused_by_its_path() -> None:
    part: JsonObject = {"inlineData": {"mimeType": "a/b", "mime_type": "a/b", "data": ""}}
    with pytest.raises(BadRequest) as caught:
        read(contents=[content("user", part)])
    assert caught.value.path == "contents[0].parts[0].inlineData.mimeType"


def test_a_body_too_deep_is_refused() -> None:
    inner: Json = {}
    for _ in range(400):
        inner = {"items": inner}
    with pytest.raises(BadRequest, match="nested"):
        read(generationConfig=inner)


@pytest.mark.parametrize(
    ("mode", "choice"),
    [
        ("AUTO", "auto"),
        ("auto", "auto"),
        (1, "auto"),
        ("any", "required"),
        (2, "required"),
        ("NONE", "none"),
        (3, "none"),
        ("VALIDATED", "auto"),
        (4, "auto"),
    ],
)
def test_enums_come_as_words_of_any_case_or_numbers(mode: Json, choice: str) -> None:
    told = read(toolConfig={"functionCallingConfig": {"mode": mode}})
    assert told.tool_choice == ToolChoice(choice)  # type: ignore[arg-type]  # one of its words


@pytest.mark.parametrize("limit", [500, "500", 500.0])
def test_integers_come_in_any_form(limit: Json) -> None:
    assert read(generationConfig={"maxOutputTokens": limit}).max_tokens == 500


@pytest.mark.parametrize("limit", ["5.5", "x", "", 5.5, [], "1e400", "9" * 30])
def test_what_is_no_integer_is_refused(limit: Json) -> None:
    with pytest.raises(BadRequest) as caught:
        read(generationConfig={"maxOutputTokens": limit})
    assert caught.value.path == "generationConfig.maxOutputTokens"


def test_numbers_come_as_strings_too() -> None:
    assert read(generationConfig={"temperature": "0.25"}).sampling.temperature == 0.25


@given(st.binary(max_size=40))
def test_every_base64_becomes_standard(data: bytes) -> None:
    standard = base64.b64encode(data).decode()
    for written in (base64.urlsafe_b64encode(data).decode(), standard):
        assert standard_base64(written) == standard
        assert standard_base64(written.rstrip("=")) == standard


def test_request_has_the_smallest_body() -> None:
    assert canonical(request()) == request()
