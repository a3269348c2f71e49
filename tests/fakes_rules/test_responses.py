"""OpenAI's rules for Responses."""

import pytest

from tests.fakes.formats.responses_rules import check
from tests.fakes.scenarios import sign
from tests.fakes_rules.requests import GONE, Payload, accepted, changed, refused

GOOD: Payload = {
    "model": "gpt-5",
    "instructions": "Be terse.",
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "max_output_tokens": 100,
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {"format": {"type": "text"}},
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {"type": "reasoning", "summary": [], "encrypted_content": sign("openai", "reasoning")},
        {"type": "function_call", "call_id": "a", "name": "wx", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "wx", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "b", "output": "snow"},
        {"type": "function_call_output", "call_id": "a", "output": "sun"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Sun."}]},
        {"role": "user", "content": "And?"},
    ],
    "tools": [
        {
            "type": "function",
            "name": "wx",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        }
    ],
    "tool_choice": "auto",
}


def test_a_good_request_is_accepted() -> None:
    accepted(check, GOOD)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        pytest.param("stop", ["END"], "Unknown parameter", id="stop"),
        pytest.param("messages", [], "Unknown parameter", id="messages"),
        pytest.param("max_output_tokens", 15, ">= 16", id="small limit"),
        pytest.param("temperature", 0.5, "default (1)", id="sampler"),
        pytest.param("reasoning.budget", 5, "Unknown parameter", id="unknown knob"),
        pytest.param("input.0.role", "tool", "Invalid value", id="wrong role"),
        pytest.param("input.0.name", "Bo", "Unknown parameter", id="name"),
        pytest.param("input.0.content.0.type", "text", "Invalid value", id="wrong part"),
        pytest.param("input.0.content.0.type", "output_text", "Invalid value", id="output of user"),
        pytest.param("input.6.content.0.type", "input_text", "Invalid value", id="input of model"),
        pytest.param("input.1.encrypted_content", "gAAA", "could not be verified", id="foreign"),
        pytest.param("input.1.encrypted_content", GONE, "input[1].id", id="nothing to find it by"),
        pytest.param("input.1.signature", "x", "Unknown parameter", id="unknown field"),
        pytest.param("input.2.id", "call_a", "begins with 'fc'", id="item id"),
        pytest.param("input.2.arguments", {}, "expected a string", id="arguments"),
        pytest.param("input.3.call_id", "a", "Duplicate", id="call ids twice"),
        pytest.param("input.3.call_id", "x" * 65, "too long", id="long id"),
        pytest.param("input.4", GONE, "No tool output found", id="a result is missing"),
        pytest.param("input.4.call_id", "z", "No tool call found", id="strange id"),
        pytest.param("input.4.call_id", "a", "Duplicate", id="same id twice"),
        pytest.param("tools", [], "Tool choice", id="choice without tools"),
        pytest.param("tools.0.function", {}, "Unknown parameter", id="nested function"),
        pytest.param("tools.0.parameters", GONE, "tools[0].parameters", id="no parameters"),
        pytest.param("tools.0.strict", True, "be false", id="not strict enough"),
        pytest.param(
            "text.format", {"type": "json_schema", "schema": {}}, "format.name", id="no name"
        ),
        pytest.param("text.format", {"type": "text", "json_schema": {}}, "Unknown", id="nested"),
    ],
)
def test_a_malformed_request_is_refused(path: str, value: object, words: str) -> None:
    payload = changed(GOOD, path, value)
    if path == "tools" and words == "Tool choice":
        payload["tool_choice"] = "required"
    refused(check, payload, words)


def test_reasoning_must_be_followed_by_what_it_led_to() -> None:
    items = [GOOD["input"][0], GOOD["input"][1], GOOD["input"][7]]
    refused(check, {"model": "gpt-5", "input": items}, "required following item")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"reasoning": {"effort": "low"}}, "reasoning.effort", id="effort"),
        pytest.param({"reasoning": {"summary": "auto"}}, "reasoning.summary", id="summary"),
        pytest.param({"include": ["reasoning.encrypted_content"]}, "Encrypted", id="include"),
    ],
)
def test_a_model_that_does_not_reason_refuses(settings: Payload, words: str) -> None:
    accepted(check, {"model": "gpt-4.1", "input": "Hello", "temperature": 0.5})
    refused(check, {"model": "gpt-4.1", "input": "Hello", **settings}, words)


def test_an_output_may_answer_a_stored_call() -> None:
    output = {"type": "function_call_output", "call_id": "old", "output": "sun"}
    accepted(check, {"model": "gpt-5", "previous_response_id": "resp_1", "input": [output]})
    refused(check, {"model": "gpt-5", "input": [output]}, "No tool call found")
