"""Tools, settings and the rest of a Gemini request, read."""

import pytest

from dialects.gemini import GEMINI
from dialects.spelling import spelled
from models.chat import OutputFormat, Sampling, Thinking, Tool, ToolChoice
from models.errors import BadRequest, Unrepresentable
from models.json_types import Json, JsonObject
from tests.dialects.gemini.support import read, request


def config(**fields: Json) -> JsonObject:
    return {"generationConfig": {**fields}}


# --- tools ------------------------------------------------------------------------------------


def declared(**fields: Json) -> tuple[Tool, ...]:
    return read(tools=[{"functionDeclarations": [{"name": "f", **fields}]}]).tools


@pytest.mark.parametrize(
    ("given", "schema"),
    [
        ({"type": "STRING"}, {"type": "string"}),
        ({"type": 6, "properties": {"a": {"type": 3}}}, None),
        ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
        (
            {"type": "STRING", "enum": ["a"], "format": "enum", "nullable": True},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        (
            {"type": "ARRAY", "minItems": "1", "maxItems": 2},
            {"type": "array", "minItems": 1, "maxItems": 2},
        ),
        (
            {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}], "nullable": True},
            {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]},
        ),
        ({"type": "OBJECT", "propertyOrdering": ["a"], "example": {}}, {"type": "object"}),
        ({"type": "TYPE_UNSPECIFIED", "description": "d"}, {"description": "d"}),
    ],
)
def test_googles_schemas_become_json_schema(given: JsonObject, schema: JsonObject | None) -> None:
    if schema is None:
        schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    expected = {"type": "object", "properties": {"p": schema}}
    wrapped: JsonObject = {"type": "OBJECT", "properties": {"p": given}}
    for field in ("parameters", "parametersJsonSchema"):
        assert declared(**{field: wrapped})[0].schema == expected


def test_json_schema_itself_stays() -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {"type": {"type": ["string", "null"]}, "x": {"$ref": "#/$defs/Nullable"}},
        "$defs": {"Nullable": {"const": "OBJECT"}},
        "required": ["type"],
    }
    assert declared(parameters_json_schema=schema)[0].schema == schema


def test_a_function_is_read_whole() -> None:
    assert declared(description="d", behavior="BLOCKING", response={"type": "STRING"}) == (
        Tool(
            "f",
            "d",
            dialect="gemini",
            extras={"behavior": "BLOCKING", "response": {"type": "STRING"}},
        ),
    )


def test_googles_own_tools_are_kept_as_they_came() -> None:
    tools = read(
        tools=[{"googleSearch": {}, "functionDeclarations": []}, {"code_execution": {}}]
    ).tools
    assert tools == (
        Tool("googleSearch", raw={"googleSearch": {}}, dialect="gemini"),
        Tool("codeExecution", raw={"codeExecution": {}}, dialect="gemini"),
    )


@pytest.mark.parametrize(
    ("calling", "choice"),
    [
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, ToolChoice("one", ("f",))),
        (
            {"mode": "ANY", "allowedFunctionNames": ["f", "g"]},
            ToolChoice("subset", ("f", "g"), subset_required=True),
        ),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["f"]}, ToolChoice("subset", ("f",))),
        ({"mode": "MODE_UNSPECIFIED"}, None),
        ({}, None),
    ],
)
def test_choices(calling: JsonObject, choice: ToolChoice | None) -> None:
    assert read(toolConfig={"functionCallingConfig": calling}).tool_choice == choice


# --- settings ---------------------------------------------------------------------------------


def test_settings() -> None:
    told = read(
        **config(
            temperature=0,
            topP=0.5,
            topK=40.0,
            maxOutputTokens=9,
            stopSequences=["a", "b", "a", ""],
            seed=7,
            presencePenalty=1,
            frequencyPenalty=-1,
            candidateCount=2,
            responseLogprobs=True,
            logprobs=3,
        )
    )
    assert told.sampling == Sampling(0, 0.5, 40, -1, 1, 7, None, 2, True, 3)
    assert told.max_tokens == 9
    assert told.stop == ("a", "b")
    assert told.extras == {}


@pytest.mark.parametrize(
    ("given", "thinking"),
    [
        ({"includeThoughts": True}, Thinking(shown=True)),
        ({"thinkingBudget": 0}, Thinking("off")),
        ({"thinkingBudget": -1, "includeThoughts": False}, Thinking("auto", shown=False)),
        ({"thinkingBudget": 900}, Thinking("budget", 900)),
        ({"thinkingLevel": "HIGH"}, Thinking("effort", effort="high")),
        ({"thinkingLevel": "minimal"}, Thinking("effort", effort="minimal")),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, Thinking()),
        ({}, Thinking()),
    ],
)
def test_thinking(given: JsonObject, thinking: Thinking) -> None:
    assert read(**config(thinkingConfig=given)).thinking == thinking


OBJECT: JsonObject = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}
SCHEMA: JsonObject = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("given", "output"),
    [
        ({}, OutputFormat()),
        ({"responseMimeType": "text/plain"}, OutputFormat()),
        ({"responseMimeType": "application/json"}, OutputFormat("json_object")),
        (
            {"responseMimeType": "application/json", "responseSchema": OBJECT},
            OutputFormat("json_schema", schema=SCHEMA),
        ),
        ({"responseJsonSchema": OBJECT}, OutputFormat("json_schema", schema=SCHEMA)),
        ({"_responseJsonSchema": OBJECT}, OutputFormat("json_schema", schema=SCHEMA)),
    ],
)
def test_the_shape_of_the_answer(given: JsonObject, output: OutputFormat) -> None:
    told = read(**config(**given))
    assert (told.output, told.extras) == (output, {})


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (config(temperature="hot"), "generationConfig.temperature"),
        (config(topK=1.5), "generationConfig.topK"),
        (config(stopSequences="x"), "generationConfig.stopSequences"),
        (config(stopSequences=[1]), "generationConfig.stopSequences[0]"),
        (config(thinkingConfig=[]), "generationConfig.thinkingConfig"),
        (
            config(thinkingConfig={"thinkingBudget": -5}),
            "generationConfig.thinkingConfig.thinkingBudget",
        ),
        (
            config(thinkingConfig={"thinkingLevel": "TINY"}),
            "generationConfig.thinkingConfig.thinkingLevel",
        ),
        (
            config(thinkingConfig={"thinkingLevel": "LOW", "thinkingBudget": 5}),
            "generationConfig.thinkingConfig",
        ),
        (config(responseSchema=[]), "generationConfig.responseSchema"),
        ({"tools": [5]}, "tools[0]"),
        ({"tools": [{"functionDeclarations": {}}]}, "tools[0].functionDeclarations"),
        (
            {"tools": [{"functionDeclarations": [{"description": "d"}]}]},
            "tools[0].functionDeclarations[0].name",
        ),
        (
            {"tools": [{"functionDeclarations": [{"name": "f", "parameters": 5}]}]},
            "tools[0].functionDeclarations[0].parameters",
        ),
        (
            {"toolConfig": {"functionCallingConfig": {"mode": "MAYBE"}}},
            "toolConfig.functionCallingConfig.mode",
        ),
        ({"systemInstruction": 5}, "systemInstruction"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(given: JsonObject, path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**given)
    assert caught.value.path == path


# --- the rest ---------------------------------------------------------------------------------


def test_what_only_google_knows_is_kept() -> None:
    told = read(
        safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        labels={"team_a": "x"},
        tomorrow={"a_b": 1},
        toolConfig={"retrievalConfig": {"languageCode": "en"}},
        **config(speechConfig={"languageCode": "de"}, responseModalities=["TEXT", "IMAGE"]),
    )
    assert told.extras["gemini"] == {
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        "labels": {"team_a": "x"},
        "tomorrow": {"aB": 1},
        "toolConfig.retrievalConfig": {"languageCode": "en"},
        "generationConfig.speechConfig": {"languageCode": "de"},
        "generationConfig.responseModalities": ["TEXT", "IMAGE"],
    }


def test_what_says_nothing_is_not_missed() -> None:
    told = read(
        safetySettings=[], store=False, cachedContent="", **config(responseModalities=["TEXT"])
    )
    assert told.extras == {}


def test_a_cache_cannot_be_taken_elsewhere() -> None:
    with pytest.raises(Unrepresentable) as caught:
        read(cached_content="cachedContents/x")
    assert caught.value.path == "cachedContent"


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        ("standard", "default"),
        ("FLEX", "flex"),
        (3, "priority"),
        ("unspecified", None),
        (None, None),
    ],
)
def test_service_tiers(tier: Json, expected: str | None) -> None:
    assert read(serviceTier=tier).service_tier == expected


def test_lost_fields_are_named_as_the_client_wrote_them() -> None:
    payload = request(generation_config={"top_k": 1, "max_output_tokens": 5}, serviceTier="flex")
    dropped = ("top_k", "max_tokens", "service_tier", "generationConfig.speechConfig")
    assert spelled(dropped, payload, GEMINI.spellings) == (
        "generation_config.top_k",
        "generation_config.max_output_tokens",
        "serviceTier",
        "generationConfig.speechConfig",
    )
    payload = request(generationConfig={"thinkingConfig": {}})
    assert spelled(("thinking",), payload, GEMINI.spellings) == ("generationConfig.thinkingConfig",)
