"""What GLM refuses of a Chat request; what it would silently ignore is refused here too."""

import re
from typing import Any

from tests.fakes.formats.base import Seen, need, stranger
from tests.fakes.formats.chat_rules import check_tool_order

_FIELDS = frozenset(
    [
        "model",
        "messages",
        "max_tokens",
        "temperature",
        "top_p",
        "do_sample",
        "stop",
        "stream",
        "tools",
        "tool_choice",
        "tool_stream",
        "response_format",
        "thinking",
        "reasoning_effort",
        "seed",
        "request_id",
        "user_id",
        "sensitive_word_check",
        "meta",
        "watermark_enabled",
    ]
)
_MESSAGE_FIELDS = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls", "reasoning_content"},
    "tool": {"role", "content", "tool_call_id"},
}


def check(seen: Seen) -> None:
    """Check `POST /chat/completions` of GLM."""
    payload = seen.payload
    extra = stranger(payload, _FIELDS)
    need(extra is None, f"unknown parameter {extra}")
    messages = payload.get("messages")
    need(isinstance(messages, list) and messages, "messages parameter illegal")
    sees = re.search(r"glm-[\d.]+v", seen.model) is not None
    for message in payload["messages"]:
        _check_message(message, sees=sees)
    has_user = any(message["role"] == "user" for message in payload["messages"])
    need(has_user, "messages parameter illegal")
    check_tool_order(payload["messages"])
    _check_settings(payload, seen.model)
    for tool in payload.get("tools") or ():
        extra = stranger(tool["function"], {"name", "description", "parameters"})
        need(extra is None, f"tools.function.{extra} parameter illegal")
        need("$schema" not in tool["function"].get("parameters", {}), "parameters illegal")
    need(payload.get("tools") != [], "tools parameter illegal")


def _check_message(message: dict[str, Any], *, sees: bool) -> None:
    role, content = message.get("role"), message.get("content")
    need(role in _MESSAGE_FIELDS, "messages parameter illegal")
    extra = stranger(message, _MESSAGE_FIELDS[str(role)])
    need(extra is None, f"messages.{extra} parameter illegal")
    if isinstance(content, list):
        need(role == "user" and sees, "messages.content: only text is supported by this model")
        for part in content:
            kinds = ("text", "image_url", "video_url", "file_url", "input_audio")
            need(part["type"] in kinds, f"messages.content.type {part['type']} parameter illegal")
    else:
        need(isinstance(content, str), "messages.content parameter illegal")
    for call in message.get("tool_calls") or ():
        need(isinstance(call["function"]["arguments"], str), "tool_calls.arguments illegal")


def _check_settings(payload: dict[str, Any], model: str) -> None:
    need(payload.get("tool_choice") in (None, "auto"), "Tool choice must be auto")
    kind = (payload.get("response_format") or {}).get("type", "text")
    need(kind in ("text", "json_object"), "response_format: only text and json_object")
    stop = payload.get("stop")
    need(stop is None or (isinstance(stop, list) and len(stop) <= 1), "stop parameter illegal")
    need(0 <= (payload.get("temperature") or 0) <= 1, "temperature parameter illegal")
    need(0.01 <= (payload.get("top_p") or 1) <= 1, "top_p parameter illegal")
    need((payload.get("max_tokens") or 1) <= 131_072, "max_tokens parameter illegal")
    thinking = payload.get("thinking") or {"type": "enabled"}
    extra = stranger(thinking, {"type", "clear_thinking"})
    need(extra is None, f"thinking.{extra} parameter illegal")
    need(thinking["type"] in ("enabled", "disabled"), "thinking.type parameter illegal")
    found = re.match(r"glm-(\d+)(?:\.(\d+))?", model)
    version = (int(found[1]), int(found[2] or 0)) if found else (9, 0)
    has_efforts = version >= (5, 2)
    need(has_efforts or "reasoning_effort" not in payload, "unknown parameter reasoning_effort")
    need(version < (5, 3) or thinking["type"] == "enabled", "thinking cannot be disabled")
    user = payload.get("user_id")
    need(user is None or 6 <= len(user) <= 128, "user_id parameter illegal")
