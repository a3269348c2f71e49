"""Every rule about fields of a request, row by row."""

import pytest

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.openai_chat import CHAT
from models.errors import BadRequest, Unrepresentable
from models.json_types import Json, JsonObject
from tests.dialects.routes import ADAPTIVE, GLM, GPT, HI, HYBRID, MANUAL, OLD, REASONING, sent

SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"x": {"type": "string"}},
    "required": ["x"],
    "additionalProperties": False,
}
FUNCTION: JsonObject = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
OTHER: JsonObject = {"type": "function", "function": {"name": "g", "parameters": SCHEMA}}
TOOL: JsonObject = {"name": "f", "input_schema": SCHEMA}
SHAPE: JsonObject = {
    "type": "json_schema",
    "json_schema": {"name": "o", "strict": True, "schema": SCHEMA},
}
FORMAT: JsonObject = {"format": {"type": "json_schema", "schema": SCHEMA}}
NAMED: JsonObject = {"type": "function", "function": {"name": "f"}}
ALLOWED: JsonObject = {
    "type": "allowed_tools",
    "allowed_tools": {"mode": "required", "tools": [NAMED]},
}
THINK: JsonObject = {"type": "enabled", "budget_tokens": 9000}
SHOWN: JsonObject = {"type": "adaptive", "display": "summarized"}


def row(
    name: str,
    client: Dialect,
    model: str,
    fields: JsonObject,
    expected: JsonObject,
    *dropped: str,
) -> object:
    return pytest.param(client, model, fields, expected, dropped, id=f"{name} {model}")


THINKING = [
    row("off", CHAT, MANUAL, {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
    row("off", CHAT, OLD, {"reasoning_effort": "none"}, {"thinking": None}),
    row("off", MESSAGES, REASONING, {"thinking": {"type": "disabled"}},
        {"reasoning_effort": "minimal"}),
    row("off", MESSAGES, "gpt-5.2", {"thinking": {"type": "disabled"}},
        {"reasoning_effort": "none"}),
    row("off", MESSAGES, GPT, {"thinking": {"type": "disabled"}}, {"reasoning_effort": None}),
    row("off", MESSAGES, "glm-5", {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "disabled"}}),
    row("off", MESSAGES, "glm-5.3", {"thinking": {"type": "disabled"}},
        {"thinking": None, "reasoning_effort": "low"}, "thinking"),
    row("off", CHAT, "glm-5.3", {"reasoning_effort": "none"},
        {"reasoning_effort": "low"}, "reasoning_effort"),
    row("off", CHAT, "claude-fable-5", {"reasoning_effort": "none"},
        {"thinking": None, "output_config": {"effort": "low"}}, "reasoning_effort"),
    row("auto", CHAT, ADAPTIVE, {"thinking": {"type": "enabled"}}, {"thinking": SHOWN}),
    row("auto", CHAT, MANUAL, {"thinking": {"type": "enabled"}, "max_tokens": 9000},
        {"thinking": {"type": "enabled", "budget_tokens": 8192}}),
    row("auto", MESSAGES, REASONING, {"thinking": {"type": "adaptive"}},
        {"reasoning_effort": None, "thinking": None}),
    row("auto", MESSAGES, GLM, {"thinking": {"type": "adaptive"}},
        {"thinking": {"type": "enabled"}}),
    row("effort shown", CHAT, ADAPTIVE, {"reasoning_effort": "high"},
        {"thinking": SHOWN, "output_config": {"effort": "high"}}),
    row("effort hidden", CHAT, ADAPTIVE, {"reasoning": {"effort": "high", "exclude": True}},
        {"thinking": {"type": "adaptive", "display": "omitted"}}),
    row("effort clamped", CHAT, HYBRID, {"reasoning_effort": "xhigh"},
        {"output_config": {"effort": "max"}}),
    row("effort minimal", CHAT, ADAPTIVE, {"reasoning_effort": "minimal"},
        {"output_config": {"effort": "low"}}),
    row("effort", CHAT, MANUAL, {"reasoning_effort": "low", "max_tokens": 9000},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 9000}),
    row("effort raises", CHAT, MANUAL, {"reasoning_effort": "low", "max_tokens": 100},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 1124},
        "max_tokens"),
    row("effort", CHAT, OLD, {"reasoning_effort": "low"}, {"thinking": None}, "reasoning_effort"),
    row("effort", MESSAGES, REASONING, {"output_config": {"effort": "max"}},
        {"reasoning_effort": "high"}),
    row("effort", MESSAGES, GPT, {"output_config": {"effort": "low"}},
        {"reasoning_effort": None}, "output_config.effort"),
    row("effort", MESSAGES, "glm-5.2", {"output_config": {"effort": "low"}},
        {"reasoning_effort": "low"}),
    row("budget", MESSAGES, REASONING, {"thinking": THINK}, {"reasoning_effort": "high"}),
    row("budget", MESSAGES, GPT, {"thinking": THINK}, {"reasoning_effort": None}, "thinking"),
    row("budget", MESSAGES, GLM, {"thinking": THINK}, {"thinking": {"type": "enabled"}}),
    row("budget", MESSAGES, "glm-5.2", {"thinking": THINK},
        {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
    row("budget", CHAT, ADAPTIVE, {"thinking": THINK},
        {"thinking": SHOWN, "output_config": {"effort": "high"}}),
    row("between tools", MESSAGES, REASONING, {"thinking": {"type": "between_tools"}},
        {"reasoning_effort": None}, "thinking"),
    row("between tools", MESSAGES, GLM, {"thinking": {"type": "between_tools"}},
        {"thinking": None}, "thinking"),
    row("default", CHAT, ADAPTIVE, {}, {"thinking": None, "output_config": None}),
    row("forced tool", CHAT, MANUAL,
        {"reasoning_effort": "high", "tools": [FUNCTION], "tool_choice": "required"},
        {"thinking": None, "tool_choice": {"type": "any"}}, "reasoning_effort"),
    row("forced tool", CHAT, ADAPTIVE,
        {"reasoning_effort": "high", "tools": [FUNCTION], "tool_choice": "required"},
        {"thinking": SHOWN, "tool_choice": {"type": "any"}}),
]  # fmt: skip
KNOBS = [
    row("both limits", CHAT, MANUAL, {"max_tokens": 7, "max_completion_tokens": 9},
        {"max_tokens": 9}),
    row("no limit", CHAT, OLD, {}, {"max_tokens": 8192}),
    row("no limit", CHAT, "claude-of-tomorrow", {}, {"max_tokens": 32_000}),
    row("limit", MESSAGES, REASONING, {"max_tokens": 7},
        {"max_completion_tokens": 7, "max_tokens": None}),
    row("limit", MESSAGES, GLM, {"max_tokens": 7},
        {"max_tokens": 7, "max_completion_tokens": None}),
    row("limit beyond the model", CHAT, OLD, {"max_completion_tokens": 9000},
        {"max_tokens": 8192}, "max_completion_tokens"),
    row("temperature", CHAT, MANUAL, {"temperature": 0}, {"temperature": 0}),
    row("temperature", CHAT, MANUAL, {"temperature": 1.7}, {"temperature": 1}, "temperature"),
    row("temperature", CHAT, ADAPTIVE, {"temperature": 0.5, "top_p": 0.5},
        {"temperature": None, "top_p": None}, "temperature", "top_p"),
    row("temperature", CHAT, MANUAL, {"temperature": 0.5, "reasoning_effort": "low"},
        {"temperature": None}, "temperature"),
    row("temperature", MESSAGES, REASONING, {"temperature": 0.5}, {"temperature": None},
        "temperature"),
    row("temperature", MESSAGES, GLM, {"temperature": 0},
        {"temperature": 0.01, "do_sample": False}),
    row("top_p", CHAT, MANUAL, {"temperature": 0.5, "top_p": 0.5}, {"top_p": None}, "top_p"),
    row("top_p", MESSAGES, GLM, {"top_p": 0}, {"top_p": 0.01}),
    row("top_k", MESSAGES, GPT, {"top_k": 5}, {"top_k": None}, "top_k"),
    row("top_k", MESSAGES, GLM, {"top_k": 5}, {"top_k": None}, "top_k"),
    row("knobs of OpenAI", CHAT, MANUAL,
        {"frequency_penalty": 1, "presence_penalty": 0, "seed": 0, "logit_bias": {"1": 1},
         "logprobs": True, "top_logprobs": 2, "verbosity": "low", "store": False,
         "metadata": {"a": "b"}, "prompt_cache_key": "k", "prediction": {"x": 1}},
        {"seed": None},
        "frequency_penalty", "seed", "logit_bias", "logprobs", "top_logprobs", "metadata",
        "verbosity", "prompt_cache_key", "prediction"),
    row("knobs of Anthropic", MESSAGES, GPT,
        {"container": "c", "inference_geo": "us", "speed": "fast", "context_management": {}},
        {"container": None}, "container", "inference_geo", "speed", "context_management"),
    row("one answer", CHAT, MANUAL, {"n": 1}, {"n": None}),
    row("stop", CHAT, MANUAL, {"stop": "END"}, {"stop_sequences": ["END"]}),
    row("stop", CHAT, MANUAL, {"stop": ["", "a", "a"]}, {"stop_sequences": ["a"]}),
    row("user", CHAT, MANUAL, {"user": "u"}, {"metadata": {"user_id": "u"}}),
    row("user too long", CHAT, MANUAL, {"safety_identifier": "u" * 300}, {"metadata": None},
        "safety_identifier"),
    row("user", MESSAGES, GPT, {"metadata": {"user_id": "u"}}, {"safety_identifier": "u"}),
    row("user", MESSAGES, GLM, {"metadata": {"user_id": "user-1"}}, {"user_id": "user-1"}),
    row("user too short", MESSAGES, GLM, {"metadata": {"user_id": "u"}}, {"user_id": None},
        "metadata.user_id"),
    row("tier", MESSAGES, GPT, {"service_tier": "standard_only"}, {"service_tier": "default"}),
    row("tier", MESSAGES, GLM, {"service_tier": "auto"}, {"service_tier": None}, "service_tier"),
    row("tier", CHAT, MANUAL, {"service_tier": "flex"}, {"service_tier": None}, "service_tier"),
    row("stream usage", MESSAGES, GPT, {"stream": True},
        {"stream": True, "stream_options": {"include_usage": True}}),
    row("no stream", MESSAGES, GPT, {}, {"stream": None, "stream_options": None}),
    row("stream usage", MESSAGES, GLM, {"stream": True}, {"stream_options": None}),
    row("output", CHAT, MANUAL, {"response_format": SHAPE}, {"output_config": FORMAT}),
    row("output", MESSAGES, GPT, {"output_config": FORMAT},
        {"response_format": {"type": "json_schema", "json_schema": {
            "name": "response", "schema": SCHEMA, "strict": True}}}),
    row("output", MESSAGES, GLM, {"output_config": FORMAT},
        {"response_format": {"type": "json_object"}}, "output_config.format"),
    row("output", MESSAGES, GLM, {"output_format": FORMAT["format"]},
        {"response_format": {"type": "json_object"}}, "output_format"),
    row("output", CHAT, OLD, {"response_format": SHAPE}, {"output_config": None},
        "response_format"),
    row("any JSON", CHAT, MANUAL, {"response_format": {"type": "json_object"}},
        {"output_config": None}, "response_format"),
]  # fmt: skip
ONE_AT_A_TIME: JsonObject = {"type": "auto", "disable_parallel_tool_use": True}
TOOLS = [
    row("none offered", CHAT, MANUAL,
        {"tools": [], "tool_choice": "auto", "parallel_tool_calls": False},
        {"tools": None, "tool_choice": None}),
    row("none offered", MESSAGES, GPT, {"tools": [], "tool_choice": ONE_AT_A_TIME},
        {"tools": None, "tool_choice": None, "parallel_tool_calls": None}),
    row("one at a time", CHAT, MANUAL, {"tools": [FUNCTION], "parallel_tool_calls": False},
        {"tool_choice": ONE_AT_A_TIME}),
    row("one at a time", MESSAGES, GPT, {"tools": [TOOL], "tool_choice": ONE_AT_A_TIME},
        {"tool_choice": "auto", "parallel_tool_calls": False}),
    row("one at a time", MESSAGES, GLM, {"tools": [TOOL], "tool_choice": ONE_AT_A_TIME},
        {"tool_choice": "auto", "parallel_tool_calls": None},
        "tool_choice.disable_parallel_tool_use"),
    row("one", MESSAGES, GLM,
        {"tools": [TOOL, {**TOOL, "name": "g"}], "tool_choice": {"type": "tool", "name": "f"}},
        {"tools": [FUNCTION], "tool_choice": "auto"}, "tool_choice"),
    row("none", MESSAGES, GLM, {"tools": [TOOL], "tool_choice": {"type": "none"}},
        {"tools": None, "tool_choice": None}),
    row("subset", CHAT, MANUAL, {"tools": [FUNCTION, OTHER], "tool_choice": ALLOWED},
        {"tools": [TOOL], "tool_choice": {"type": "any"}}),
    row("none", CHAT, MANUAL,
        {"tools": [FUNCTION], "tool_choice": "none", "parallel_tool_calls": False},
        {"tool_choice": {"type": "none"}}),
    row("no parameters", CHAT, MANUAL, {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]}),
    row("legacy", CHAT, MANUAL,
        {"functions": [{"name": "f", "parameters": SCHEMA}], "function_call": "auto"},
        {"tools": [TOOL], "tool_choice": ONE_AT_A_TIME}),
    row("strict", CHAT, MANUAL,
        {"tools": [{"type": "function", "function": {
            "name": "f", "strict": True, "parameters": SCHEMA}}]},
        {"tools": [TOOL]}, "strict"),
    row("extras", MESSAGES, GPT,
        {"tools": [{**TOOL, "defer_loading": True, "cache_control": {"type": "ephemeral"}}]},
        {"tools": [FUNCTION]}, "defer_loading"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("client", "model", "fields", "expected", "dropped"), [*THINKING, *KNOBS, *TOOLS]
)
def test_fields(
    client: Dialect,
    model: str,
    fields: JsonObject,
    expected: JsonObject,
    dropped: tuple[str, ...],
) -> None:
    """A field expected to be null is not sent at all; the names are the client's own."""
    request = sent(client, model, **fields)
    assert {key: request.payload.get(key) for key in expected} == expected
    assert None not in request.payload.values()
    assert request.dropped == dropped
    assert request.stops == ()


@pytest.mark.parametrize(
    ("client", "model", "stops", "native", "emulated"),
    [
        (MESSAGES, GPT, ["a", "b", "c", "d", "e"], ["a", "b", "c", "d"], ("e",)),
        (MESSAGES, REASONING, ["a"], None, ("a",)),
        (MESSAGES, GLM, ["a", "b"], ["a"], ("b",)),
        (CHAT, MANUAL, ["\n", "a", " "], ["a"], ("\n", " ")),
    ],
)
def test_stops_beyond_the_provider_are_applied_by_the_gateway(
    client: Dialect, model: str, stops: list[Json], native: Json, emulated: tuple[str, ...]
) -> None:
    request = sent(client, model, **{"stop_sequences" if client is MESSAGES else "stop": stops})
    assert request.payload.get("stop_sequences", request.payload.get("stop")) == native
    assert request.stops == emulated
    assert request.dropped == ()


BUILT_IN: JsonObject = {"type": "web_search_20250305", "name": "web_search"}


@pytest.mark.parametrize(
    ("client", "model", "fields", "path"),
    [
        (CHAT, MANUAL, {"n": 2}, "n"),
        (CHAT, GLM, {"n": 2}, "n"),
        (CHAT, MANUAL, {"modalities": ["text", "audio"]}, "modalities"),
        (CHAT, MANUAL, {"web_search_options": {}}, "web_search_options"),
        (CHAT, MANUAL, {"background": True}, "background"),
        (CHAT, MANUAL, {"previous_response_id": "r"}, "previous_response_id"),
        (CHAT, MANUAL, {"tools": [FUNCTION, {"type": "web_search"}]}, "tools[1]"),
        (MESSAGES, GPT, {"tools": [TOOL, BUILT_IN]}, "tools[1]"),
        (MESSAGES, GPT, {"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0]"),
        (MESSAGES, GPT, {"mcp_servers": [{"name": "m"}]}, "mcp_servers"),
    ],
)
def test_what_would_change_the_answer_is_refused(
    client: Dialect, model: str, fields: JsonObject, path: str
) -> None:
    with pytest.raises(Unrepresentable) as caught:
        sent(client, model, **fields)
    assert (caught.value.status, caught.value.path) == (400, path)
    assert path in caught.value.message


SYSTEM: JsonObject = {"role": "system", "content": "S"}
LATER: JsonObject = {"role": "system", "content": "Be kind"}
REMINDER: JsonObject = {
    "type": "text",
    "text": "<system-reminder>\nBe kind\n</system-reminder>",
}
CONTINUE: JsonObject = {"role": "user", "content": "Continue."}
A: JsonObject = {"role": "assistant", "content": "A"}


@pytest.mark.parametrize(
    ("client", "model", "messages", "expected"),
    [
        pytest.param(CHAT, MANUAL, [SYSTEM], [CONTINUE], id="only system"),
        pytest.param(CHAT, GLM, [SYSTEM], [SYSTEM, CONTINUE], id="only system, GLM"),
        pytest.param(CHAT, MANUAL, [A, HI], [CONTINUE, A, HI], id="begins with the assistant"),
        pytest.param(MESSAGES, GPT, [A, HI], [A, HI], id="Chat may begin with the assistant"),
        pytest.param(CHAT, ADAPTIVE, [HI, LATER, A, HI], [HI, LATER, A, HI], id="native"),
        pytest.param(
            CHAT, ADAPTIVE, [HI, A, LATER, HI],
            [HI, A, {"role": "user", "content": [REMINDER, {"type": "text", "text": "Hi"}]}],
            id="not after a user's turn",
        ),
        pytest.param(
            CHAT, MANUAL, [HI, LATER, A, LATER, HI],
            [
                {"role": "user", "content": [{"type": "text", "text": "Hi"}, REMINDER]},
                A,
                {"role": "user", "content": [REMINDER, {"type": "text", "text": "Hi"}]},
            ],
            id="several in the middle",
        ),
        pytest.param(MESSAGES, GPT, [HI, LATER, A, HI], [HI, LATER, A, HI], id="in place"),
        pytest.param(MESSAGES, GLM, [HI, LATER, A, HI], [HI, LATER, A, HI], id="in place, GLM"),
        pytest.param(
            CHAT, MANUAL, [HI, {"role": "user", "content": "  "}, HI],
            [{"role": "user", "content": [{"type": "text", "text": "Hi"}] * 2}],
            id="turns of one role are one",
        ),
        pytest.param(
            CHAT, MANUAL, [HI, {"role": "assistant", "content": ""}, HI],
            [{"role": "user", "content": [{"type": "text", "text": "Hi"}] * 2}],
            id="an empty turn is left out",
        ),
    ],
)  # fmt: skip
def test_turns(client: Dialect, model: str, messages: list[Json], expected: list[Json]) -> None:
    assert sent(client, model, messages=messages).payload["messages"] == expected


@pytest.mark.parametrize(
    ("model", "prefill"), [(OLD, True), (MANUAL, True), (HYBRID, False), (ADAPTIVE, False)]
)
def test_an_answer_to_continue_is_refused_by_newer_models_and_by_us(
    model: str, prefill: bool
) -> None:
    begun: list[Json] = [HI, {"role": "assistant", "content": "{ \n"}]
    if prefill:
        messages = sent(CHAT, model, messages=begun).payload["messages"]
        assert messages == [HI, {"role": "assistant", "content": "{"}]
        return
    with pytest.raises(BadRequest, match="does not support assistant message prefill"):
        sent(CHAT, model, messages=begun)


def test_an_answer_to_continue_is_told_to_be_none_elsewhere() -> None:
    for model in (GPT, GLM):
        request = sent(MESSAGES, model, messages=[HI, {"role": "assistant", "content": "{"}])
        assert request.payload["messages"] == [HI, {"role": "assistant", "content": "{"}]
        assert request.dropped == ("prefill",)
