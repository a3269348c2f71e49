"""OpenAI's rules for Chat, and GLM's."""

import pytest

from tests.fakes.formats import glm_rules
from tests.fakes.formats.chat_rules import check
from tests.fakes_rules.requests import GONE, Payload, accepted, changed, refused

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTION = {"name": "wx", "description": "weather", "parameters": PARAMETERS}
TOOL = {"type": "function", "function": FUNCTION}


def call(name: str) -> Payload:
    return {"id": name, "type": "function", "function": {"name": "wx", "arguments": "{}"}}


GOOD: Payload = {
    "model": "gpt-5",
    "messages": [
        {"role": "developer", "content": "Be terse. Answer in JSON."},
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        {"role": "assistant", "content": None, "tool_calls": [call("a"), call("b")]},
        {"role": "tool", "tool_call_id": "b", "content": "snow"},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "sun"}]},
        {"role": "user", "content": "And?"},
    ],
    "tools": [{"type": "function", "function": {**FUNCTION, "strict": True}}],
    "tool_choice": "auto",
    "max_completion_tokens": 100,
    "reasoning_effort": "low",
}
CALLS = "messages.2.tool_calls"
STRICT = "tools.0.function.parameters"
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO_w=="}}


def test_a_good_request_is_accepted() -> None:
    accepted(check, GOOD)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        pytest.param("top_k", 4, "Unrecognized request argument", id="unknown field"),
        pytest.param("messages", [], "empty array", id="no messages"),
        pytest.param("messages.1.role", "human", "Invalid value: 'human'", id="wrong role"),
        pytest.param("messages.1.content", None, "null", id="no content"),
        pytest.param("messages.1.content", [], "empty array", id="no parts"),
        pytest.param("messages.1.content.0.type", "input_text", "Invalid value", id="wrong part"),
        pytest.param("messages.1.content.0", IMAGE, "valid URL", id="URL-safe base64"),
        pytest.param("messages.2.reasoning_content", "x", "Unknown parameter", id="thinking"),
        pytest.param("messages.3", GONE, "must be followed", id="a result is missing"),
        pytest.param("messages.3.tool_call_id", "z", "must be a response", id="strange id"),
        pytest.param("messages.4.tool_call_id", "b", "must be a response", id="same id twice"),
        pytest.param(f"{CALLS}", GONE, "null", id="neither content nor calls"),
        pytest.param(f"{CALLS}.0.id", "b", "Duplicate", id="call ids twice"),
        pytest.param(f"{CALLS}.0.id", "x" * 41, "string_above_max_length", id="long id"),
        pytest.param(f"{CALLS}.0.function.arguments", {}, "expected a string", id="object"),
        pytest.param(f"{CALLS}.0.extra_content", {}, "Unknown parameter", id="foreign signature"),
        pytest.param("tools", [], "empty array", id="empty tools"),
        pytest.param("tools", GONE, "only allowed when 'tools'", id="choice without tools"),
        pytest.param("tools.0.function.name", "w x", "does not match", id="name of a tool"),
        pytest.param(f"{STRICT}.required", [], "must include every key", id="strict: optional"),
        pytest.param(f"{STRICT}.additionalProperties", GONE, "be false", id="strict: open"),
        pytest.param(f"{STRICT}.properties.city.minLength", 1, "not permitted", id="strict: word"),
        pytest.param(f"{STRICT}.oneOf", [], "not permitted", id="strict: oneOf"),
        pytest.param("max_tokens", 5, "at the same time", id="both limits"),
        pytest.param("temperature", 0.2, "default (1)", id="sampler at a model that reasons"),
        pytest.param("stop", "END", "not supported with this model", id="stop there"),
        pytest.param("reasoning_effort", "huge", "Invalid value", id="unknown effort"),
        pytest.param("stream_options", {"include_usage": True}, "'stream'", id="no stream"),
    ],
)
def test_a_malformed_request_is_refused(path: str, value: object, words: str) -> None:
    refused(check, changed(GOOD, path, value), words)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"stop": ["1", "2", "3", "4", "5"]}, "array too long", id="five stops"),
        pytest.param({"reasoning_effort": "low"}, "not supported", id="effort"),
        pytest.param({"parallel_tool_calls": False}, "only allowed when", id="parallel, no tools"),
        pytest.param({"response_format": {"type": "json_object"}}, "word 'json'", id="no JSON"),
        pytest.param({"top_logprobs": 2}, "requires 'logprobs'", id="top_logprobs"),
        pytest.param(
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
            "json_schema.name",
            id="schema without a name",
        ),
    ],
)
def test_a_model_that_does_not_reason_refuses(settings: Payload, words: str) -> None:
    messages = [{"role": "user", "content": "Hello"}]
    accepted(check, {"model": "gpt-4.1", "messages": messages, "stop": ["END"], "temperature": 0})
    refused(check, {"model": "gpt-4.1", "messages": messages, **settings}, words)


GLM: Payload = {
    "model": "glm-4.6",
    "messages": [
        {"role": "system", "content": "Be terse."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "", "reasoning_content": "x", "tool_calls": [call("a")]},
        {"role": "tool", "tool_call_id": "a", "content": "sun"},
    ],
    "tools": [TOOL],
    "tool_choice": "auto",
    "thinking": {"type": "enabled"},
    "max_tokens": 100,
    "stop": ["END"],
}


def test_a_good_request_to_glm_is_accepted() -> None:
    accepted(glm_rules.check, GLM)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        pytest.param("max_completion_tokens", 5, "unknown parameter", id="the other limit"),
        pytest.param("stream_options", {}, "unknown parameter", id="stream options"),
        pytest.param("messages.0.role", "developer", "illegal", id="developer"),
        pytest.param("messages.1.role", "system", "illegal", id="no user"),
        pytest.param("messages.1.name", "Bo", "illegal", id="name"),
        pytest.param("messages.1.content", [{"type": "text"}], "only text", id="parts"),
        pytest.param("messages.2.content", None, "illegal", id="null"),
        pytest.param("messages.3", GONE, "must be followed", id="a result is missing"),
        pytest.param("tool_choice", "required", "must be auto", id="forced tool"),
        pytest.param("tools.0.function.strict", True, "illegal", id="strict"),
        pytest.param("response_format", {"type": "json_schema"}, "json_object", id="schema"),
        pytest.param("stop", ["a", "b"], "illegal", id="two stops"),
        pytest.param("temperature", 1.5, "illegal", id="hot"),
        pytest.param("reasoning_effort", "high", "unknown parameter", id="effort"),
        pytest.param("user_id", "bo", "illegal", id="short user"),
    ],
)
def test_glm_refuses(path: str, value: object, words: str) -> None:
    refused(glm_rules.check, changed(GLM, path, value), words)
