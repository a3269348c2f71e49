"""Google's rules for Gemini, and Code Assist's."""

import copy
from typing import Any

import pytest

from tests.fakes.formats import code_assist_rules, gemini_rules
from tests.fakes.formats.gemini_rules import check
from tests.fakes.scenarios import sign
from tests.fakes_rules.requests import GONE, Payload, accepted, changed, refused

GEMINI_3 = "gemini-3-pro-preview"
SCHEMA = {"type": "OBJECT", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def call(name: str, **more: object) -> Payload:
    return {"functionCall": {"id": name, "name": "wx", "args": {"city": "Rome"}}, **more}


def result(name: str) -> Payload:
    return {"functionResponse": {"id": name, "name": "wx", "response": {"output": "sun"}}}


GOOD: Payload = {
    "systemInstruction": {"parts": [{"text": "Be terse."}]},
    "contents": [
        {"role": "user", "parts": [{"text": "Weather?"}]},
        {
            "role": "model",
            "parts": [call("a", thoughtSignature=sign("gemini", "wx")), call("b")],
        },
        {"role": "user", "parts": [result("a"), result("b")]},
    ],
    "tools": [{"functionDeclarations": [{"name": "wx", "parameters": SCHEMA}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["wx"]}},
    "generationConfig": {
        "maxOutputTokens": 100,
        "stopSequences": ["END"],
        "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "LOW"},
    },
}
CALLS = "contents.1.parts"
DECLARED = "tools.0.functionDeclarations.0"
CITY = f"{DECLARED}.parameters.properties.city"
CONFIG = "generationConfig"


def test_a_good_request_is_accepted() -> None:
    accepted(check, GOOD, GEMINI_3)


def test_a_turn_may_come_in_the_pieces_it_was_streamed_in() -> None:
    asked, answered, told = GOOD["contents"]
    pieces = [{"role": "model", "parts": [part]} for part in ({"text": "Hm"}, *answered["parts"])]
    accepted(check, {**GOOD, "contents": [asked, *pieces, told]}, GEMINI_3)


def test_both_spellings_are_accepted() -> None:
    snake = {
        "system_instruction": GOOD["systemInstruction"],
        "contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "-_8="}}]}],
        "generation_config": {"max_output_tokens": 9},
    }
    accepted(check, snake, GEMINI_3)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        pytest.param("messages", [], 'Unknown name "messages"', id="unknown field"),
        pytest.param(f"{CONFIG}.maxTokens", 1, 'Unknown name "maxTokens"', id="unknown setting"),
        pytest.param("contents", [], "contents is not specified", id="no contents"),
        pytest.param("contents.0.role", "assistant", "valid role", id="wrong role"),
        pytest.param("contents.0.parts", [], "must not be empty", id="no parts"),
        pytest.param("contents.0.parts.0.text", "", "one initialized field", id="empty text"),
        pytest.param("contents.0.parts.0.type", "text", 'Unknown name "type"', id="typed part"),
        pytest.param("contents.2.parts.1", GONE, "number of function response", id="one missing"),
        pytest.param("contents.2", GONE, "comes after a function call", id="no results"),
        pytest.param("contents.2.parts.0.functionResponse.id", "b", "id b", id="wrong order"),
        pytest.param(
            "contents.2.parts.0.functionResponse.response", "sun", "not a Struct", id="text result"
        ),
        pytest.param("contents.0.role", "model", "immediately after a user", id="call first"),
        pytest.param(f"{CALLS}.0.thoughtSignature", GONE, "missing a thought", id="unsigned"),
        pytest.param(f"{CALLS}.0.thoughtSignature", "QUJD", "not valid", id="foreign signature"),
        pytest.param(
            f"{CALLS}.0.thoughtSignature", sign("anthropic", "wx"), "not valid", id="of another"
        ),
        pytest.param(f"{DECLARED}.strict", True, 'Unknown name "strict"', id="strict"),
        pytest.param(f"{DECLARED}.name", "2x", "Invalid function name", id="name of a tool"),
        pytest.param(f"{DECLARED}.parametersJsonSchema", {}, "exclusive", id="two schemas"),
        pytest.param(f"{CITY}.const", "x", 'Unknown name "const"', id="const"),
        pytest.param(f"{CITY}.$ref", "#", 'Unknown name "$ref"', id="ref"),
        pytest.param(f"{CITY}.type", ["string", "null"], "not repeating", id="list of types"),
        pytest.param(f"{CITY}.enum", [1], "TYPE_STRING", id="number in an enum"),
        pytest.param(f"{CITY}.format", "uri", "date-time", id="format"),
        pytest.param(f"{CITY}.type", "ARRAY", "items: missing field", id="array without items"),
        pytest.param(
            f"{DECLARED}.parameters.additionalProperties", False, "Unknown name", id="closed object"
        ),
        pytest.param(f"{DECLARED}.parameters.required", ["x"], "not defined", id="required"),
        pytest.param(f"{DECLARED}.parameters.properties", {}, "non-empty", id="empty object"),
        pytest.param("tools", [], "are not declared", id="choice without tools"),
        pytest.param("tools", [{"googleSearch": {}, "x": 1}], '"x"', id="unknown tool"),
        pytest.param(
            "toolConfig.functionCallingConfig.mode", "AUTO", "need mode ANY", id="names and AUTO"
        ),
        pytest.param(f"{CONFIG}.stopSequences", list("123456"), "at most 5", id="six stops"),
        pytest.param(f"{CONFIG}.responseJsonSchema", {}, "mime_type", id="schema, no type"),
        pytest.param(f"{CONFIG}.thinkingConfig.thinkingBudget", 1, "one of", id="both knobs"),
    ],
)
def test_a_malformed_request_is_refused(path: str, value: object, words: str) -> None:
    refused(check, changed(GOOD, path, value), words, GEMINI_3)


def test_only_the_running_turn_needs_signatures_and_a_stranger_may_say_it_has_none() -> None:
    unsigned = changed(GOOD, f"{CALLS}.0.thoughtSignature", GONE)
    over = [*unsigned["contents"], {"role": "model", "parts": [{"text": "Sun."}]}]
    accepted(check, {"contents": [*over, GOOD["contents"][0]]}, GEMINI_3)
    skipped = changed(GOOD, f"{CALLS}.0.thoughtSignature", "skip_thought_signature_validator")
    accepted(check, skipped, GEMINI_3)


@pytest.mark.parametrize(
    ("model", "config", "words"),
    [
        pytest.param("gemini-2.0-flash", {"includeThoughts": True}, "not enabled", id="2.0"),
        pytest.param("gemini-2.5-pro", {"thinkingBudget": 0}, "is invalid", id="2.5 pro: off"),
        pytest.param("gemini-2.5-flash", {"thinkingLevel": "LOW"}, "level", id="2.5: level"),
    ],
)
def test_a_model_refuses_thinking_that_it_has_not(model: str, config: Payload, words: str) -> None:
    refused(
        check,
        {"contents": GOOD["contents"][:1], CONFIG: {"thinkingConfig": config}},
        words,
        model,
    )


def test_a_count_is_of_contents_or_of_a_whole_request() -> None:
    contents = {"contents": GOOD["contents"][:1]}
    accepted(gemini_rules.check_count, contents)
    accepted(
        gemini_rules.check_count, {"generateContentRequest": {"model": "models/x", **contents}}
    )
    refused(gemini_rules.check_count, {**contents, "systemInstruction": {}}, "Unknown name")
    refused(gemini_rules.check_count, {"generateContentRequest": contents}, "model")


# --- Code Assist ----------------------------------------------------------------------------------

ENVELOPE: Payload = {"model": GEMINI_3, "project": "p", "user_prompt_id": "u", "request": GOOD}
CLAUDE: Payload = {
    "model": "claude-sonnet-4-6",
    "project": "p",
    "request": {
        "contents": [
            {"role": "user", "parts": [{"text": "Weather?"}]},
            {
                "role": "model",
                "parts": [
                    {
                        "text": "hm",
                        "thought": True,
                        "thoughtSignature": sign("claude-ca", "hm"),
                    },
                    call("a"),
                ],
            },
            {"role": "user", "parts": [result("a")]},
        ],
        "tools": [{"functionDeclarations": [{"name": "wx", "parameters": SCHEMA}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}},
        "generationConfig": {
            "maxOutputTokens": 4000,
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 2000},
        },
    },
}


@pytest.mark.parametrize("payload", [ENVELOPE, CLAUDE], ids=["gemini", "claude"])
def test_a_good_envelope_is_accepted(payload: Payload) -> None:
    accepted(code_assist_rules.check, payload)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        pytest.param("project", GONE, "project", id="no project"),
        pytest.param("model", "models/gemini-3-pro", "not found", id="prefixed model"),
        pytest.param("contents", [], "Unknown name", id="contents outside"),
        pytest.param("request.store", True, "Unknown name", id="unknown key"),
        pytest.param("request.contents.1.parts.0.thoughtSignature", GONE, "missing", id="unsigned"),
    ],
)
def test_a_malformed_envelope_is_refused(path: str, value: object, words: str) -> None:
    refused(code_assist_rules.check, changed(ENVELOPE, path, value), words)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        pytest.param("toolConfig.functionCallingConfig.mode", "AUTO", "validated", id="mode"),
        pytest.param(f"{DECLARED}.parameters", GONE, "Field required", id="no schema"),
        pytest.param(f"{CITY}.default", "x", "is invalid (default)", id="word"),
        pytest.param(f"{DECLARED}.parameters.required", [], "no required", id="nothing required"),
        pytest.param(
            "contents.1.parts.0.thoughtSignature",
            "skip_thought_signature_validator",
            "Invalid `signature`",
            id="made-up signature",
        ),
        pytest.param("contents.1.parts.0", GONE, "Expected `thinking`", id="loop unthought"),
        pytest.param("contents.1.parts.1.functionCall.id", GONE, "id: Field", id="no call id"),
        pytest.param(f"{CONFIG}.seed", 1, "Extra inputs", id="seed"),
        pytest.param(f"{CONFIG}.maxOutputTokens", 2000, "greater than", id="budget is the limit"),
    ],
)
def test_claude_refuses_in_anthropics_words(path: str, value: object, words: str) -> None:
    payload = changed(CLAUDE, f"request.{path}", value)
    refused(code_assist_rules.check, payload, words)
    refused(code_assist_rules.check, payload, '"type":"invalid_request_error"')


def test_a_count_has_model_and_contents_only() -> None:
    request: dict[str, Any] = {
        "model": f"models/{GEMINI_3}",
        "contents": copy.deepcopy(GOOD["contents"][:1]),
    }
    accepted(code_assist_rules.check_count, {"request": request})
    refused(code_assist_rules.check_count, {"request": request, "project": "p"}, "Unknown name")
    refused(code_assist_rules.check_count, {"request": {**request, "tools": []}}, "Unknown name")


def test_the_free_tier_takes_no_project() -> None:
    step: Payload = {"tierId": "free-tier", "metadata": {}}
    accepted(code_assist_rules.check_onboarding, step)
    with_project = {**step, "cloudaicompanionProject": "p"}
    refused(code_assist_rules.check_onboarding, with_project, "Precondition")
