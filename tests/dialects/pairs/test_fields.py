"""Fields of Responses' and Gemini's clients, as each provider gets them."""

import pytest

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.gemini import GEMINI
from dialects.openai_chat import CHAT
from dialects.openai_responses import RESPONSES
from models.errors import BadRequest
from models.json_types import Json, JsonObject
from tests.dialects.pairs.routes import (
    ADAPTIVE,
    BUDGETS,
    CODE_ASSIST,
    GLM,
    GPT,
    GUEST,
    LEVELS,
    MANUAL,
    REASONING,
    part,
    sent,
)

PLAIN: JsonObject = {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}
CLOSED: JsonObject = {**PLAIN, "additionalProperties": False}
CFG = "generationConfig."


def config(**fields: Json) -> JsonObject:
    return {"generationConfig": {**fields}}


def think(**fields: Json) -> JsonObject:
    return config(thinkingConfig={**fields})


def row(
    client: Dialect, fields: JsonObject, model: str, expected: JsonObject, *dropped: str
) -> object:
    """A request, and what stands at which path of it afterwards; None: nothing does."""
    name = f"{client.name} {[*fields]} {model}"
    return pytest.param(client, fields, model, expected, dropped, id=name)


R, G, A, C = RESPONSES, GEMINI, MESSAGES, CHAT
KNOBS = config(temperature=1.5, topP=0.5, topK=4, frequencyPenalty=0.5, seed=7, maxOutputTokens=5)
HOT: JsonObject = {"temperature": 1.5, "top_p": 0.5, "max_output_tokens": 20}
SAMPLING = [
    row(G, KNOBS, ADAPTIVE, {"max_tokens": 5, "temperature": None, "top_k": None},
        *(CFG + name for name in ("frequencyPenalty", "seed", "temperature", "topP", "topK"))),
    row(G, KNOBS, MANUAL, {"temperature": 1, "top_p": None, "top_k": 4},
        *(CFG + name for name in ("frequencyPenalty", "seed", "temperature", "topP"))),
    row(G, KNOBS, GPT, {"max_output_tokens": 16, "temperature": 1.5, "top_p": 0.5},
        *(CFG + name for name in ("maxOutputTokens", "topK", "frequencyPenalty", "seed"))),
    row(G, KNOBS, REASONING, {"max_output_tokens": 16, "temperature": None},
        *(CFG + name for name in ("maxOutputTokens", "temperature", "topP", "topK",
                                  "frequencyPenalty", "seed"))),
    row(G, KNOBS, GUEST, {CFG + "temperature": 1, CFG + "topK": 4, CFG + "seed": None},
        *(CFG + name for name in ("temperature", "topP", "frequencyPenalty", "seed"))),
    row(G, KNOBS, GLM, {"max_tokens": 5, "temperature": 1.0, "top_p": 0.5, "seed": 7},
        *(CFG + name for name in ("topK", "temperature", "frequencyPenalty"))),
    row(R, HOT, ADAPTIVE, {"max_tokens": 20, "temperature": None}, "temperature", "top_p"),
    row(R, HOT, GPT, {"max_completion_tokens": 20, "temperature": 1.5, "max_tokens": None}),
    row(R, HOT, LEVELS, {CFG + "temperature": 1.5, CFG + "topP": 0.5, CFG + "maxOutputTokens": 20}),
    row(R, HOT, GLM, {"max_tokens": 20, "max_completion_tokens": None}, "temperature"),
    row(C, {"seed": 2**40}, LEVELS, {CFG + "seed": None}, "seed"),
    row(C, {"seed": 5}, LEVELS, {CFG + "seed": 5}),
    row(C, {"seed": 5}, GPT, {"seed": None}, "seed"),
]  # fmt: skip
SEVEN: Json = [*"abcdefg"]
UNTOLD = (CFG + "responseLogprobs", CFG + "logprobs")
PROBABLE = config(responseLogprobs=True, logprobs=2)
ANSWERS = [
    *[row(G, PROBABLE, model, {"logprobs": None, "top_logprobs": None}, *UNTOLD)
      for model in (ADAPTIVE, GPT, GUEST, GLM)],
    *[row(C, {"logprobs": True, "top_logprobs": 2}, model, {CFG + "responseLogprobs": None},
          "logprobs", "top_logprobs") for model in (ADAPTIVE, GPT, LEVELS, GUEST)],
    row(R, {"top_logprobs": 2}, GPT, {"top_logprobs": None}, "top_logprobs"),
    row(G, config(responseMimeType="application/json"), GPT,
        {"text.format": {"type": "json_object"}}),
    row(G, config(responseMimeType="application/json"), GLM,
        {"response_format": {"type": "json_object"}}),
    row(G, config(responseMimeType="application/json"), ADAPTIVE, {"output_config": None},
        CFG + "responseMimeType"),
    row(G, config(responseMimeType="application/json", responseJsonSchema=PLAIN), GPT,
        {"text.format": {"type": "json_schema", "name": "response", "schema": PLAIN,
                         "strict": False}}),
    row(G, config(responseMimeType="application/json", responseJsonSchema=PLAIN), MANUAL,
        {"output_config.format.schema": CLOSED}),
    row(R, {"text": {"format": {"type": "json_schema", "name": "o", "schema": CLOSED,
                                "strict": True}}}, GPT,
        {"response_format.json_schema": {"name": "o", "schema": CLOSED, "strict": True}}),
    row(R, {"text": {"format": {"type": "json_schema", "name": "o", "schema": CLOSED}}}, LEVELS,
        {CFG + "responseMimeType": "application/json", CFG + "responseJsonSchema": CLOSED}),
    row(R, {"text": {"format": {"type": "json_schema", "name": "o", "schema": CLOSED}}}, GUEST,
        {"generationConfig": None}, "text.format"),
    row(R, {"text": {"verbosity": "low"}}, GPT, {"verbosity": "low"}),
    row(R, {"text": {"verbosity": "low"}}, LEVELS, {}, "text.verbosity"),
]  # fmt: skip
THINKING = [
    row(R, {"reasoning": {"effort": "none"}}, ADAPTIVE, {"thinking": {"type": "disabled"}}),
    row(R, {"reasoning": {"effort": "none"}}, LEVELS, {f"{CFG}thinkingConfig.thinkingLevel": "LOW"},
        "reasoning.effort"),
    row(R, {"reasoning": {"effort": "none"}}, BUDGETS,
        {f"{CFG}thinkingConfig": {"thinkingBudget": 0}}),
    row(R, {"reasoning": {"effort": "none"}}, GUEST, {"generationConfig": None}),
    row(R, {"reasoning": {"effort": "none"}}, GLM, {"thinking": {"type": "disabled"}}),
    row(R, {"reasoning": {"effort": "xhigh"}}, MANUAL, {"thinking.budget_tokens": 32_768}),
    row(R, {"reasoning": {"effort": "xhigh"}}, REASONING, {"reasoning_effort": "high"}),
    row(R, {"reasoning": {"effort": "high"}}, GPT, {"reasoning_effort": None}, "reasoning.effort"),
    row(R, {"reasoning": {"effort": "xhigh"}}, BUDGETS,
        {f"{CFG}thinkingConfig.thinkingBudget": 24_576}),
    row(R, {"reasoning": {"effort": "minimal"}}, GUEST,
        {f"{CFG}thinkingConfig.thinkingBudget": 1024}),
    row(R, {"reasoning": {"summary": "auto", "effort": "low"}}, ADAPTIVE,
        {"thinking": {"type": "adaptive", "display": "summarized"}}),
    row(G, think(thinkingBudget=0), REASONING, {"reasoning.effort": "minimal"}),
    row(G, think(thinkingBudget=-1), MANUAL, {"thinking.type": "enabled"}),
    row(G, think(thinkingBudget=-1), ADAPTIVE, {"thinking.type": "adaptive"}),
    row(G, think(thinkingBudget=2000, includeThoughts=True), ADAPTIVE,
        {"output_config.effort": "medium", "thinking.display": "summarized"}),
    row(G, think(thinkingBudget=2000), MANUAL, {"thinking.budget_tokens": 2000}),
    row(G, think(thinkingBudget=2000), REASONING, {"reasoning.effort": "medium"}),
    row(G, think(thinkingLevel="HIGH"), ADAPTIVE, {"output_config.effort": "high"}),
    row(G, think(thinkingLevel="HIGH"), GPT, {"reasoning": None}, CFG + "thinkingConfig"),
    row(G, think(thinkingLevel="MINIMAL"), GLM, {"thinking.type": "enabled"}),
    row(G, think(thinkingLevel="HIGH"), GUEST, {f"{CFG}thinkingConfig.thinkingBudget": 24_576}),
]  # fmt: skip
F: JsonObject = {"type": "function", "name": "f", "parameters": PLAIN, "strict": False}
TWO: Json = [F, {**F, "name": "g"}]
DECLARED: Json = [{"functionDeclarations": [{"name": "f", "parameters": PLAIN}, {"name": "g"}]}]


def tools(choice: Json, **more: Json) -> JsonObject:
    return {"tools": TWO, "tool_choice": choice, **more}


def calling(**fields: Json) -> JsonObject:
    return {"tools": DECLARED, "toolConfig": {"functionCallingConfig": {**fields}}}


MODE = "toolConfig.functionCallingConfig"
SOME: Json = {
    "type": "allowed_tools",
    "mode": "required",
    "tools": [{"type": "function", "name": "f"}],
}
CHOICES = [
    row(R, tools("required", parallel_tool_calls=False), ADAPTIVE,
        {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}}),
    row(R, tools("required", parallel_tool_calls=False), GPT,
        {"tool_choice": "required", "parallel_tool_calls": False}),
    row(R, tools("required", parallel_tool_calls=False), LEVELS, {MODE: {"mode": "ANY"}},
        "parallel_tool_calls"),
    row(R, tools("required"), GUEST, {MODE: {"mode": "VALIDATED"}}, "tool_choice"),
    row(R, tools("required"), GLM, {"tool_choice": "auto"}, "tool_choice"),
    row(R, tools("none"), ADAPTIVE, {"tool_choice": {"type": "none"}}),
    row(R, tools("none"), LEVELS, {MODE: {"mode": "NONE"}}),
    row(R, tools("none"), GLM, {"tools": None, "tool_choice": None}),
    row(R, tools({"type": "function", "name": "f"}), LEVELS,
        {MODE: {"mode": "ANY", "allowedFunctionNames": ["f"]}}),
    row(R, tools(SOME), ADAPTIVE, {"tools.0.name": "f", "tools.1": None,
                                   "tool_choice": {"type": "any"}}),
    row(R, tools(SOME), LEVELS, {MODE: {"mode": "ANY", "allowedFunctionNames": ["f"]}}),
    row(R, {"tools": [], "tool_choice": "auto"}, LEVELS, {"tools": None, "toolConfig": None}),
    row(R, {"tools": [], "tool_choice": "auto"}, GPT, {"tools": None, "tool_choice": None}),
    row(G, calling(mode="ANY"), ADAPTIVE, {"tool_choice": {"type": "any"}}),
    row(G, calling(mode="NONE"), GPT, {"tool_choice": "none"}),
    row(G, calling(mode="ANY", allowedFunctionNames=["f"]), GPT,
        {"tool_choice": {"type": "function", "name": "f"}}),
    row(G, calling(mode="ANY", allowedFunctionNames=["f"]), ADAPTIVE,
        {"tool_choice": {"type": "tool", "name": "f"}}),
    row(G, calling(mode="VALIDATED"), GPT, {"tool_choice": "auto"}),
    row(G, calling(mode="NONE"), GLM, {"tools": None}),
    row(G, calling(mode="AUTO"), GPT, {"tools.1.parameters": None, "tools.1.strict": False}),
    row(R, {"tools": [{"type": "function", "name": "g"}]}, GUEST,
        {"tools.0.functionDeclarations.0.parameters.required": ["reason_for_call"]}),
    row(R, {"tools": [{"type": "function", "name": "g"}]}, LEVELS,
        {"tools.0.functionDeclarations.0": {"name": "g"}}),
]  # fmt: skip
WHO: JsonObject = {"safety_identifier": "id", "metadata": {"k": "v"}, "service_tier": "flex",
                   "prompt_cache_key": "k"}  # fmt: skip
OTHERS = [
    row(R, WHO, ADAPTIVE, {"metadata": {"user_id": "id"}},
        "service_tier", "metadata", "prompt_cache_key"),
    row(R, WHO, GPT, {"safety_identifier": "id", "service_tier": "flex"}, "metadata"),
    row(R, WHO, LEVELS, {"serviceTier": "flex"},
        "safety_identifier", "metadata", "prompt_cache_key"),
    row(R, WHO, GUEST, {"serviceTier": None},
        "safety_identifier", "metadata", "prompt_cache_key", "service_tier"),
    row(G, {"safetySettings": [{}], "labels": {"a": "b"}}, GPT, {"safetySettings": None},
        "safetySettings", "labels"),
    row(G, config(hologram=1), ADAPTIVE, {}, CFG + "hologram"),
    row(C, {"prediction": {"type": "content", "content": "x"}}, LEVELS, {}, "prediction"),
    row(R, {"truncation": "auto", "max_tool_calls": 3}, LEVELS, {}, "truncation", "max_tool_calls"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("client", "fields", "model", "expected", "dropped"),
    [*SAMPLING, *ANSWERS, *THINKING, *CHOICES, *OTHERS],
)
def test_fields(
    client: Dialect,
    fields: JsonObject,
    model: str,
    expected: JsonObject,
    dropped: tuple[str, ...],
) -> None:
    request = sent(client, model, fields)
    assert {path: part(request.payload, path) for path in expected} == expected
    assert sorted(request.dropped) == sorted(dropped)


@pytest.mark.parametrize(
    ("client", "field", "model", "path", "native"),
    [
        (G, "stopSequences", ADAPTIVE, "stop_sequences", 7),
        (G, "stopSequences", GPT, "stop", 0),
        (A, "stop_sequences", GPT, "stop", 4),
        (A, "stop_sequences", REASONING, "stop", 0),
        (A, "stop_sequences", LEVELS, CFG + "stopSequences", 5),
        (A, "stop_sequences", GUEST, CFG + "stopSequences", 5),
        (A, "stop_sequences", GLM, "stop", 1),
        (C, "stop", GPT, "stop", 0),
    ],
)
def test_stops_that_a_provider_does_not_take_are_the_gateways(
    client: Dialect, field: str, model: str, path: str, native: int
) -> None:
    fields: JsonObject = config(**{field: SEVEN}) if client is G else {field: SEVEN}
    request = sent(client, model, fields)
    assert part(request.payload, path) == (SEVEN[:native] if native else None)  # type: ignore[index]  # a list
    assert [*request.stops] == SEVEN[native:]  # type: ignore[index]  # a list
    assert request.dropped == ()


AUDIO: Json = {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}
FILE: Json = {"type": "input_file", "file_id": "file-1"}
VIDEO: Json = {"inlineData": {"mimeType": "video/mp4", "data": "QUJD"}}
OWN_FILE: Json = {"fileData": {"fileUri": "files/a", "mimeType": "image/png"}}
FAR: Json = {"type": "input_image", "image_url": "https://x.test/a.png"}


def asks(*content: Json) -> JsonObject:
    return {"input": [{"role": "user", "content": [*content]}]}


def shows(*parts: Json) -> JsonObject:
    return {"contents": [{"role": "user", "parts": [*parts]}]}


EVERYWHERE = {R: (ADAPTIVE, GPT, LEVELS, GUEST, GLM), G: (ADAPTIVE, GPT, GUEST, GLM)}


@pytest.mark.parametrize(
    ("client", "fields", "models"),
    [
        (R, {"previous_response_id": "resp_1"}, EVERYWHERE[R]),
        (R, {"conversation": "conv_1"}, EVERYWHERE[R]),
        (R, {"tools": [{"type": "mcp", "server_label": "s"}]}, EVERYWHERE[R]),
        (R, {"tools": [{"type": "web_search"}], "tool_choice": "required"}, EVERYWHERE[R]),
        (R, asks(AUDIO), (ADAPTIVE,)),
        (R, asks(FILE), EVERYWHERE[R]),
        (R, asks(FAR), (LEVELS, GUEST)),
        (G, config(candidateCount=2), EVERYWHERE[G]),
        (G, config(responseModalities=["AUDIO"]), EVERYWHERE[G]),
        (G, config(responseModalities=["image"]), EVERYWHERE[G]),
        (G, {"tools": [{"googleSearch": {}}]}, (ADAPTIVE, GPT, GLM)),
        (G, {"cachedContent": "c"}, EVERYWHERE[G]),
        (G, shows(VIDEO), (ADAPTIVE, GPT)),
        (G, shows(OWN_FILE), (ADAPTIVE, GPT, GLM)),
        (C, {"n": 2}, (ADAPTIVE, GPT, LEVELS, GUEST, CODE_ASSIST + LEVELS, GLM)),
        (C, {"modalities": ["text", "audio"]}, (ADAPTIVE, GPT, LEVELS, GUEST)),
        (C, {"web_search_options": {}}, (ADAPTIVE, GPT, LEVELS, GUEST)),
        (A, {"mcp_servers": [{"type": "url"}]}, (GPT, LEVELS, GUEST, GLM)),
        (A, {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, (GPT, LEVELS)),
    ],
)  # fmt: skip
def test_what_would_change_the_meaning_is_refused(
    client: Dialect, fields: JsonObject, models: tuple[str, ...]
) -> None:
    for model in models:
        with pytest.raises(BadRequest):
            sent(client, model, fields)
