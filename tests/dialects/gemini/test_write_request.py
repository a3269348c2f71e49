"""Tools and settings, written for Gemini's models and for Claude behind Google."""

from dataclasses import replace

import pytest

from dialects.anthropic.turns import PLACEHOLDER
from dialects.gemini import GEMINI
from dialects.renames import Restorer
from models.chat import (
    ChatRequest,
    ChatResponse,
    FinishReason,
    OutputFormat,
    Sampling,
    Tool,
    ToolChoice,
)
from models.content import Text, ToolCall
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject
from models.profile import Profile
from tests.dialects.gemini.support import (
    CLAUDE,
    MIDDLE,
    NEW,
    OLD,
    asked,
    content,
    dig,
    read,
    write,
    written,
)

SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"city": {"type": ["string", "null"]}},
    "additionalProperties": False,
}
WX = Tool("wx", "Weather", SCHEMA)
BARE = Tool("now")


def declared(profile: Profile, *tools: Tool) -> list[Json]:
    functions = dig(written(asked(tools=tools), profile), "tools", 0, "functionDeclarations")
    assert isinstance(functions, list)
    return functions


def test_newer_models_read_json_schema() -> None:
    assert declared(NEW, WX, BARE) == [
        {"name": "wx", "description": "Weather", "parametersJsonSchema": SCHEMA},
        {"name": "now"},
    ]
    free: JsonObject = {"type": "object", "additionalProperties": {"type": "string"}}
    assert declared(NEW, Tool("f", schema=free)) == [{"name": "f", "parametersJsonSchema": free}]


def test_older_models_read_the_subset_of_openapi() -> None:
    city: JsonObject = {"type": "string", "nullable": True}
    assert declared(OLD, WX, BARE) == [
        {
            "name": "wx",
            "description": "Weather",
            "parameters": {"type": "object", "properties": {"city": city}},
        },
        {"name": "now"},
    ]


def test_claude_has_a_property_to_require_and_the_client_never_sees_it() -> None:
    placeholder = {"type": "string", "description": "Why this tool is called."}
    taken: JsonObject = {"reason_for_call": {"type": "string"}, "deep": {"type": "object"}}
    other = Tool("f", schema={"type": "object", "properties": taken})
    encoded = write(asked(tools=(BARE, other)), CLAUDE)
    deep = {"type": "object", "properties": {"reason_for_call_": placeholder}}
    assert dig(encoded.payload, "tools", 0, "functionDeclarations") == [
        {
            "name": "now",
            "parameters": {
                "type": "object",
                "properties": {"reason_for_call": placeholder},
                "required": ["reason_for_call"],
            },
        },
        {
            "name": "f",
            "parameters": {
                "type": "object",
                "properties": {
                    "reason_for_call": {"type": "string"},
                    "deep": {**deep, "required": ["reason_for_call_"]},
                    "reason_for_call_": placeholder,
                },
                "required": ["reason_for_call_"],
            },
        },
    ]
    restorer = Restorer(encoded.tool_names, encoded.properties)
    calls = (
        ToolCall("a", "now", '{"reason_for_call":"x"}'),
        ToolCall(
            "b", "f", '{"reason_for_call":1,"deep":{"reason_for_call_":2},"reason_for_call_":3}'
        ),
    )
    answer = restorer.response(ChatResponse("", "", 0, calls, FinishReason.TOOL_CALLS))
    assert [part.arguments for part in answer.parts if isinstance(part, ToolCall)] == [
        "{}",
        '{"reason_for_call":1,"deep":{}}',
    ]


def test_googles_own_tools_stand_beside_the_functions() -> None:
    search = Tool("googleSearch", raw={"googleSearch": {}}, dialect="gemini")
    assert written(asked(tools=(search, BARE)))["tools"] == [
        {"functionDeclarations": [{"name": "now"}]},
        {"googleSearch": {}},
    ]
    assert "toolConfig" not in written(asked(tools=(search,), tool_choice=ToolChoice("required")))


def test_tools_of_others_are_refused_or_left_out() -> None:
    search = Tool("web_search", raw={"type": "web_search"}, dialect="responses")
    with pytest.raises(Unrepresentable) as caught:
        GEMINI.encode_request(asked(tools=(BARE, search)), NEW)
    assert caught.value.path == "tools[1]"
    encoded = write(asked(tools=(replace(search, optional=True),)))
    assert "tools" not in encoded.payload
    assert encoded.dropped == ("tools.web_search",)


AUTO: JsonObject = {"mode": "AUTO"}
ANY: JsonObject = {"mode": "ANY"}
VALIDATED: JsonObject = {"mode": "VALIDATED"}


@pytest.mark.parametrize(
    ("choice", "calling", "of_claude"),
    [
        (None, None, VALIDATED),
        (ToolChoice("auto"), AUTO, VALIDATED),
        (ToolChoice("none"), {"mode": "NONE"}, {"mode": "NONE"}),
        (ToolChoice("required"), ANY, ANY),
        (
            ToolChoice("one", ("wx",)),
            {**ANY, "allowedFunctionNames": ["wx"]},
            {**ANY, "allowedFunctionNames": ["wx"]},
        ),
        (
            ToolChoice("subset", ("wx",), subset_required=True),
            {**ANY, "allowedFunctionNames": ["wx"]},
            {**ANY, "allowedFunctionNames": ["wx"]},
        ),
        (ToolChoice("subset", ("wx",)), AUTO, VALIDATED),
    ],
)
def test_choices(
    choice: ToolChoice | None, calling: JsonObject | None, of_claude: JsonObject
) -> None:
    wanted = asked(tools=(WX, BARE), tool_choice=choice)
    for profile, expected in ((NEW, calling), (CLAUDE, of_claude)):
        payload = written(wanted, profile)
        told = {"functionCallingConfig": expected} if expected else None
        assert payload.get("toolConfig") == told
        is_narrowed = choice is not None and choice.mode == "subset" and not choice.subset_required
        assert len(declared_in(payload)) == (1 if is_narrowed else 2)


def declared_in(payload: JsonObject) -> list[Json]:
    functions = dig(payload, "tools", 0, "functionDeclarations")
    assert isinstance(functions, list)
    return functions


# --- settings ---------------------------------------------------------------------------------

KNOBS = Sampling(
    temperature=0,
    top_p=0.5,
    top_k=3,
    frequency_penalty=0.5,
    presence_penalty=-0.5,
    seed=7,
    logit_bias={"1": 2},
    n=1,
    logprobs=True,
    top_logprobs=2,
)


def test_settings() -> None:
    encoded = write(asked(sampling=KNOBS, max_tokens=100, stop=("a", "b", "a")))
    assert encoded.payload["generationConfig"] == {
        "temperature": 0,
        "topP": 0.5,
        "topK": 3,
        "frequencyPenalty": 0.5,
        "presencePenalty": -0.5,
        "seed": 7,
        "maxOutputTokens": 100,
        "stopSequences": ["a", "b"],
    }
    assert encoded.dropped == ("logit_bias", "logprobs", "top_logprobs")


def test_what_a_model_does_not_take_is_reported() -> None:
    encoded = write(asked(sampling=replace(KNOBS, seed=2**31), max_tokens=10**6))
    assert encoded.payload["generationConfig"]["maxOutputTokens"] == 65_536  # type: ignore[index,call-overload]  # an object
    assert {"seed", "max_tokens"} <= set(encoded.dropped)
    assert {"seed", "frequency_penalty", "presence_penalty"} <= set(
        write(asked(sampling=KNOBS), CLAUDE).dropped
    )


def test_stops_beyond_five_are_the_gateways() -> None:
    encoded = write(asked(stop=tuple("abcdefg")))
    assert dig(encoded.payload, "generationConfig", "stopSequences") == [*"abcde"]
    assert encoded.stops == ("f", "g")


def test_several_answers_are_refused() -> None:
    with pytest.raises(Unrepresentable) as caught:
        GEMINI.encode_request(asked(sampling=Sampling(n=2)), NEW)
    assert caught.value.path == "n"


JSON_MIME = {"responseMimeType": "application/json"}


@pytest.mark.parametrize(
    ("output", "profile", "expected"),
    [
        (OutputFormat("json_object"), NEW, JSON_MIME),
        (
            OutputFormat("json_schema", schema=SCHEMA),
            NEW,
            {**JSON_MIME, "responseJsonSchema": SCHEMA},
        ),
        (
            OutputFormat("json_schema", schema={"type": ["integer", "null"]}),
            OLD,
            {**JSON_MIME, "responseSchema": {"type": "integer", "nullable": True}},
        ),
    ],
)
def test_the_shape_of_the_answer(
    output: OutputFormat, profile: Profile, expected: JsonObject
) -> None:
    encoded = write(asked(output=output, tools=(WX,)), profile)
    assert encoded.payload["generationConfig"] == expected
    assert encoded.dropped == ()


@pytest.mark.parametrize(
    ("profile", "tools"), [(MIDDLE, (WX,)), (CLAUDE, ())], ids=["beside tools", "Claude"]
)
def test_a_shape_that_cannot_be_set_is_asked_for_in_words(
    profile: Profile, tools: tuple[Tool, ...]
) -> None:
    output = OutputFormat("json_schema", schema=SCHEMA)
    encoded = write(asked(output=output, tools=tools, system=(Text("S"),)), profile)
    assert "generationConfig" not in encoded.payload
    assert dig(encoded.payload, "systemInstruction", "parts", 0) == {"text": "S"}
    assert '"additionalProperties":false' in str(
        dig(encoded.payload, "systemInstruction", "parts", 1, "text")
    )
    assert encoded.dropped == ("response_format",)


# --- the rest ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tier", "expected"),
    [("default", "standard"), ("standard_only", "standard"), ("flex", "flex"), ("auto", None)],
)
def test_service_tiers(tier: str, expected: str | None) -> None:
    encoded = write(asked(service_tier=tier))
    assert (encoded.payload.get("serviceTier"), encoded.dropped) == (expected, ())


def test_what_google_has_no_word_for_is_reported() -> None:
    encoded = write(
        asked(
            user_id="u",
            metadata={"a": "b"},
            verbosity="low",
            cache_key="k",
            service_tier="scale",
            parallel_tools=False,
            tools=(replace(WX, strict=True),),
            extras={"chat": {"store": False, "prediction": {}}},
        )
    )
    assert encoded.dropped == (
        "strict",
        "service_tier",
        "parallel_tool_calls",
        "user",
        "metadata",
        "verbosity",
        "prompt_cache_key",
        "prediction",
    )


def test_what_would_change_the_meaning_is_refused() -> None:
    with pytest.raises(Unrepresentable) as caught:
        GEMINI.encode_request(asked(extras={"responses": {"previous_response_id": "x"}}), NEW)
    assert caught.value.path == "previous_response_id"


def test_googles_own_fields_return_to_their_place() -> None:
    given: JsonObject = {
        "contents": [content("user", {"text": "Hi", "mediaResolution": {"level": "LOW"}})],
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        "generationConfig": {"topK": 5, "speechConfig": {"languageCode": "de"}},
        "tools": [{"functionDeclarations": [{"name": "f", "behavior": "BLOCKING"}]}],
        "toolConfig": {"retrievalConfig": {"languageCode": "en"}},
    }
    encoded = write(GEMINI.decode_request(given))
    plain = {**given, "contents": [content("user", {"text": "Hi"})]}
    assert encoded.payload == plain
    assert encoded.dropped == ("contents.parts.mediaResolution",)


def test_nothing_but_system_text() -> None:
    payload = written(ChatRequest("m", False, (), system=(Text("S"),)))
    assert payload == {
        "contents": [content("user", {"text": PLACEHOLDER})],
        "systemInstruction": {"parts": [{"text": "S"}]},
    }


def test_a_request_that_was_read_is_written_and_read_the_same() -> None:
    given = read(
        contents=[
            content("user", {"text": "Go"}),
            content(
                "model",
                {"text": "hm", "thought": True, "thoughtSignature": "QUJD"},
                {"text": "Ok"},
                {
                    "functionCall": {"id": "a", "name": "wx", "args": {"q": 1}},
                    "thoughtSignature": "REVG",
                },
                {"functionCall": {"id": "b", "name": "wx", "args": {}}},
            ),
            content(
                "user",
                {"functionResponse": {"id": "a", "name": "wx", "response": {"t": 1}}},
                {"functionResponse": {"id": "b", "name": "wx", "response": {"error": "late"}}},
                {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
            ),
        ],
        systemInstruction={"parts": [{"text": "S"}]},
        tools=[{"functionDeclarations": [{"name": "wx", "parametersJsonSchema": SCHEMA}]}],
        toolConfig={"functionCallingConfig": {"mode": "ANY"}},
        generationConfig={
            "temperature": 0.5,
            "maxOutputTokens": 9,
            "stopSequences": ["x"],
            "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH"},
            "responseJsonSchema": SCHEMA,
        },
        serviceTier="flex",
    )
    assert GEMINI.decode_request(written(given)) == given
