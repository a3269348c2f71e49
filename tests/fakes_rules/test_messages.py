"""Anthropic's rules."""

from typing import Any

import pytest

from tests.fakes.formats import messages_rules
from tests.fakes.formats.messages_rules import check
from tests.fakes.scenarios import sign
from tests.fakes_rules.requests import GONE, Payload, accepted, changed, refused

TOOL = {
    "name": "wx",
    "description": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
GOOD: Payload = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 4000,
    "system": [{"type": "text", "text": "Be terse.", "cache_control": {"type": "ephemeral"}}],
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "stop_sequences": ["END"],
    "metadata": {"user_id": "u"},
    "tools": [TOOL],
    "tool_choice": {"type": "auto"},
    "messages": [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": sign("anthropic", "hm")},
                {"type": "tool_use", "id": "a", "name": "wx", "input": {"city": "Rome"}},
                {"type": "tool_use", "id": "b", "name": "wx", "input": {"city": "Oslo"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "b", "content": "snow"},
                {"type": "tool_result", "tool_use_id": "a", "content": "sun", "is_error": True},
                {"type": "text", "text": "And?"},
            ],
        },
    ],
}
TALK = "messages.1.content"
RESULTS = "messages.2.content"


def test_a_good_request_is_accepted() -> None:
    accepted(check, GOOD)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        pytest.param("max_tokens", GONE, "max_tokens: Field required", id="no limit"),
        pytest.param("max_tokens", 2000, "must be greater than budget", id="budget is the limit"),
        pytest.param("thinking.budget_tokens", 1000, "at least 1024", id="small budget"),
        pytest.param("frequency_penalty", 1, "Extra inputs", id="unknown field"),
        pytest.param("metadata.session", "s", "Extra inputs", id="unknown metadata"),
        pytest.param("messages", [], "at least one message", id="no messages"),
        pytest.param("messages.0.role", "assistant", "must use the user role", id="first role"),
        pytest.param("messages.0.role", "tool", "first message", id="wrong role"),
        pytest.param("messages.0.name", "Bo", "Extra inputs", id="unknown field of a message"),
        pytest.param("messages.0.content", "", "non-empty", id="empty text"),
        pytest.param("messages.0.content", " \n", "non-whitespace", id="white text"),
        pytest.param(f"{RESULTS}.2.text", "", "non-empty", id="empty block"),
        pytest.param(f"{RESULTS}.0", GONE, "without `tool_result`", id="a result is missing"),
        pytest.param(f"{RESULTS}.0.tool_use_id", "z", "unexpected `tool_use_id`", id="strange id"),
        pytest.param(f"{RESULTS}.0.tool_use_id", "a", "without `tool_result`", id="same id twice"),
        pytest.param(f"{RESULTS}.0", {"type": "text", "text": "x"}, "without", id="text instead"),
        pytest.param(f"{TALK}.2.id", "a", "unique", id="call ids twice"),
        pytest.param(f"{TALK}.2.id", "call 2", "should match pattern", id="call id with a space"),
        pytest.param(f"{TALK}.1.input", "{}", "valid dictionary", id="input is text"),
        pytest.param(f"{TALK}.0.signature", "", "Invalid `signature`", id="unsigned thinking"),
        pytest.param(f"{TALK}.0.thinking", "hm!", "Invalid `signature`", id="changed thinking"),
        pytest.param(f"{TALK}.0.signature", sign("gemini", "hm"), "Invalid `sig", id="foreign"),
        pytest.param(f"{TALK}.0.signature", "gw1.gemini.eyJz", "Invalid `sig", id="a tag of ours"),
        pytest.param(f"{TALK}.0", GONE, "Expected `thinking`", id="running loop has no thinking"),
        pytest.param("tools", GONE, "while providing tools", id="choice without tools"),
        pytest.param("tool_choice", "auto", "wrong type", id="choice is text"),
        pytest.param("tool_choice", {"type": "any"}, "forces tool use", id="forced and thinking"),
        pytest.param("tool_choice", {"type": "tool", "name": "x"}, "not found", id="unknown tool"),
        pytest.param("tools.0.strict_mode", True, "Extra inputs", id="unknown field of a tool"),
        pytest.param("tools.0.name", "w x", "should match pattern", id="name of a tool"),
        pytest.param("tools.0.input_schema", GONE, "Field required", id="no schema"),
        pytest.param("tools.0.input_schema.type", GONE, "Field required", id="schema is no object"),
        pytest.param("tools.0.input_schema.anyOf", [], "at the top level", id="union at the root"),
        pytest.param("tools", [TOOL, TOOL], "unique", id="tools twice"),
        pytest.param("temperature", 0.5, "only be set to 1", id="temperature and thinking"),
        pytest.param("top_k", 5, "must be unset", id="top_k and thinking"),
        pytest.param("stop_sequences", ["\n"], "non-whitespace", id="white stop"),
        pytest.param("system.0.text", "", "non-empty", id="empty system"),
        pytest.param("output_config", {"effort": "high"}, "effort", id="effort at an old model"),
        pytest.param("messages.2.role", "system", "not supported on this model", id="system role"),
    ],
)
def test_a_malformed_request_is_refused(path: str, value: object, words: str) -> None:
    payload = changed(GOOD, path, value)
    if words == "wrong type":
        with pytest.raises(AttributeError):
            accepted(check, payload)
    else:
        refused(check, payload, words)


@pytest.mark.parametrize(
    ("model", "settings", "words"),
    [
        pytest.param("claude-opus-4-8", {"temperature": 1}, "not supported", id="new: sampler"),
        pytest.param(
            "claude-opus-4-8",
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            "not supported",
            id="new: budget",
        ),
        pytest.param(
            "claude-haiku-4-5", {"thinking": {"type": "adaptive"}}, "adaptive", id="old: adaptive"
        ),
        pytest.param(
            "claude-haiku-4-5", {"temperature": 0.5, "top_p": 0.5}, "both", id="both samplers"
        ),
        pytest.param(
            "claude-haiku-4-5",
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            "additionalProperties",
            id="open schema",
        ),
        pytest.param(
            "claude-haiku-4-5",
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
            "not expected",
            id="block of another format",
        ),
    ],
)
def test_a_model_refuses_what_others_take(model: str, settings: Payload, words: str) -> None:
    payload = {"model": model, "max_tokens": 4000, "messages": GOOD["messages"][:1], **settings}
    refused(check, payload, words)


@pytest.mark.parametrize("model", ["claude-opus-4-6", "claude-opus-4-8"])
def test_new_models_take_no_prefill(model: str) -> None:
    talk: list[Any] = [*GOOD["messages"][:1], {"role": "assistant", "content": "It is"}]
    refused(check, {"model": model, "max_tokens": 9, "messages": talk}, "prefill")
    accepted(check, {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": talk})


def test_a_count_needs_no_limit_and_takes_no_samplers() -> None:
    counted = {name: GOOD[name] for name in ("model", "messages", "system", "tools")}
    accepted(messages_rules.check_count, counted)
    refused(messages_rules.check_count, {**GOOD, "temperature": 1}, "Extra inputs")
