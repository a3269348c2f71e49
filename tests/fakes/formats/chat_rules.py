"""What OpenAI refuses of a Chat request."""

import re
from collections.abc import Sequence
from typing import Any

from tests.fakes.formats import openai_models, schemas
from tests.fakes.formats.base import Seen, need, stranger

Message = dict[str, Any]

_FIELDS = frozenset(
    [
        "model",
        "messages",
        "max_completion_tokens",
        "max_tokens",
        "temperature",
        "top_p",
        "n",
        "stop",
        "stream",
        "stream_options",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "functions",
        "function_call",
        "response_format",
        "reasoning_effort",
        "verbosity",
        "frequency_penalty",
        "presence_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "seed",
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prompt_cache_options",
        "service_tier",
        "store",
        "metadata",
        "modalities",
        "audio",
        "prediction",
        "web_search_options",
        "moderation",
    ]
)
_MESSAGE_FIELDS = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "tool_calls", "refusal", "audio", "function_call"},
    "tool": {"role", "content", "tool_call_id"},
    "function": {"role", "content", "name"},
}
_PARTS = {
    "system": {"text"},
    "developer": {"text"},
    "user": {"text", "image_url", "input_audio", "file"},
    "assistant": {"text", "refusal"},
    "tool": {"text"},
}
_PART_FIELDS = {
    "image_url": {"url", "detail"},
    "input_audio": {"data", "format"},
    "file": {"file_data", "filename", "file_id"},
}
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_DATA_URL = re.compile(r"data:[a-z]+/[a-z0-9.+-]+;base64,[A-Za-z0-9+/]+={0,2}")


def check(seen: Seen) -> None:
    """Check `POST /chat/completions`."""
    payload = seen.payload
    extra = stranger(payload, _FIELDS)
    need(extra is None, f"Unrecognized request argument supplied: {extra}")
    model = payload.get("model")
    need(isinstance(model, str), "you must provide a model parameter")
    messages = payload.get("messages")
    need(isinstance(messages, list) and messages, "Invalid 'messages': empty array.")
    for index, message in enumerate(payload["messages"]):
        check_message(message, f"messages[{index}]")
    check_tool_order(payload["messages"])
    _check_settings(payload, seen.model)
    _check_tools(payload)
    _check_output(payload)


def check_message(message: Message, where: str) -> None:
    """Check one message by itself."""
    role = message.get("role")
    need(role in _MESSAGE_FIELDS, f"Invalid value: '{role}'. ({where}.role)")
    assert isinstance(role, str)
    extra = stranger(message, _MESSAGE_FIELDS[role])
    need(extra is None, f"Unknown parameter: '{where}.{extra}'.")
    content = message.get("content")
    may_be_null = role == "assistant" and any(
        message.get(name) for name in ("tool_calls", "function_call", "refusal", "audio")
    )
    need(content is not None or may_be_null, f"Invalid value for 'content': null ({where})")
    if isinstance(content, list):
        need(content, f"Invalid '{where}.content': empty array.")
        for part in content:
            _check_part(part, role, where)
    for call in message.get("tool_calls") or ():
        _check_call(call, where)


def _check_part(part: dict[str, Any], role: str, where: str) -> None:
    kind = part.get("type")
    need(kind in _PARTS[role], f"Invalid value: '{kind}'. Supported: {_PARTS[role]} ({where})")
    inner = part.get(str(kind))
    if kind in _PART_FIELDS:
        assert isinstance(inner, dict)
        extra = stranger(inner, _PART_FIELDS[str(kind)])
        need(extra is None, f"Unknown parameter: '{where}.{kind}.{extra}'.")
    else:
        need(isinstance(inner, str), f"Missing required parameter: '{where}.{kind}'.")
    if kind == "image_url":
        url = part["image_url"]["url"]
        fits = url.startswith(("https://", "http://")) or _DATA_URL.fullmatch(url)
        need(fits, "Invalid image_url: expected a valid URL or a base64 data URL")


def _check_call(call: dict[str, Any], where: str) -> None:
    extra = stranger(call, {"id", "type", "function", "custom"})
    need(extra is None, f"Unknown parameter: '{where}.tool_calls[0].{extra}'.")
    need(call["type"] in ("function", "custom"), f"Invalid value: {where}.tool_calls[0].type")
    need(
        len(call["id"]) <= 40,
        f"Invalid '{where}.tool_calls[0].id': string too long. string_above_max_length",
    )
    inner = call[call["type"]]
    text = inner["arguments" if call["type"] == "function" else "input"]
    need(isinstance(text, str), f"Invalid type for '{where}.tool_calls[0]': expected a string")
    need(_NAME.fullmatch(inner["name"]), f"Invalid '{where}.tool_calls[0].function.name'")


def check_tool_order(messages: Sequence[Message]) -> None:
    """Every call is answered directly after its message, once."""
    waiting: list[str] = []
    for place, message in enumerate(messages):
        if message["role"] == "tool":
            need(
                message.get("tool_call_id") in waiting,
                "Invalid parameter: messages with role 'tool' must be a response to a preceding "
                f"message with 'tool_calls'. (messages[{place}])",
            )
            waiting.remove(message["tool_call_id"])
            continue
        need(
            not waiting,
            "An assistant message with 'tool_calls' must be followed by tool messages "
            f"responding to each 'tool_call_id': {waiting}",
        )
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
        is_unique = len(set(waiting)) == len(waiting)
        need(is_unique, f"Duplicate value for 'tool_call_id' of messages[{place}]")
    need(
        not waiting,
        "An assistant message with 'tool_calls' must be followed by tool messages "
        f"responding to each 'tool_call_id': {waiting}",
    )


def _check_settings(payload: dict[str, Any], model: str) -> None:
    openai_models.check_effort(payload.get("reasoning_effort"), model, "reasoning_effort")
    openai_models.check_samplers(payload, model)
    both = "max_tokens" in payload and "max_completion_tokens" in payload
    need(not both, "Setting 'max_tokens' and 'max_completion_tokens' at the same time")
    need(
        "max_tokens" not in payload or not openai_models.reasons(model),
        "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead.",
    )
    for name in ("max_tokens", "max_completion_tokens"):
        need((payload.get(name) or 1) >= 1, f"Invalid '{name}': integer below minimum value")
    stop = payload.get("stop")
    need(not isinstance(stop, list) or len(stop) <= 4, "Invalid 'stop': array too long.")
    streams = payload.get("stream") or not payload.get("stream_options")
    need(streams, "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    logs = payload.get("logprobs") or payload.get("top_logprobs") is None
    need(logs, "'top_logprobs' requires 'logprobs' to be true")


def _check_tools(payload: dict[str, Any]) -> None:
    tools = payload.get("tools")
    need(tools != [], "Invalid 'tools': empty array. Expected an array with minimum length 1.")
    for name in ("tool_choice", "parallel_tool_calls"):
        need(
            tools or payload.get(name) is None,
            f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified.",
        )
    for tool in tools or ():
        extra = stranger(tool, {"type", tool["type"]})
        need(extra is None, f"Unknown parameter: 'tools[0].{extra}'.")
        inner = tool[tool["type"]]
        need(_NAME.fullmatch(inner["name"]), "Invalid 'tools[0].function.name': does not match")
        if tool["type"] == "function":
            _check_function(inner)
    choice = payload.get("tool_choice")
    if isinstance(choice, dict) and choice["type"] == "function":
        named = {tool.get("function", {}).get("name") for tool in tools or ()}
        need(choice["function"]["name"] in named, "Tool choice 'function' not found in 'tools'.")


def _check_function(function: dict[str, Any]) -> None:
    extra = stranger(function, {"name", "description", "parameters", "strict"})
    need(extra is None, f"Unknown parameter: 'tools[0].function.{extra}'.")
    parameters = function.get("parameters")
    if parameters is not None:
        schemas.check_openai(parameters, function["name"])
    if function.get("strict"):
        schemas.check_openai_strict(parameters or {}, function["name"])


def _check_output(payload: dict[str, Any]) -> None:
    asked = payload.get("response_format") or {}
    if asked.get("type") == "json_object":
        said = "json" in str(payload["messages"]).lower()
        need(said, "'messages' must contain the word 'json' in some form")
    if asked.get("type") == "json_schema":
        told = asked["json_schema"]
        extra = stranger(told, {"name", "schema", "strict", "description"})
        need(extra is None, f"Unknown parameter: 'response_format.json_schema.{extra}'.")
        need(told.get("name"), "Missing required parameter: 'response_format.json_schema.name'.")
        need(_NAME.fullmatch(told["name"]), "Invalid 'response_format.json_schema.name'")
        if told.get("strict"):
            schemas.check_openai_strict(told["schema"], told["name"])
