"""What Anthropic refuses: fields, roles, blocks, tools. Thinking has a file of its own."""

import re
from collections.abc import Sequence
from typing import Any

from tests.fakes.formats import messages_thinking, schemas
from tests.fakes.formats.base import Seen, need, stranger

Block = dict[str, Any]

_FIELDS = frozenset(
    [
        "model",
        "messages",
        "max_tokens",
        "system",
        "stop_sequences",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "output_format",
        "metadata",
        "service_tier",
        "speed",
        "cache_control",
        "container",
        "inference_geo",
        "diagnostics",
        "mcp_servers",
        "context_management",
        "compaction",
        "fallbacks",
        "fallback_credit_token",
        "thread",
        "billing_policy",
    ]
)
_COUNT_FIELDS = frozenset(
    [
        "model",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "cache_control",
        "speed",
        "max_tokens",
        "context_management",
        "mcp_servers",
    ]
)
_BLOCKS = {
    "text": "text citations cache_control",
    "image": "source transformations cache_control",
    "document": "source title context citations cache_control",
    "search_result": "source title content citations cache_control",
    "tool_use": "id name input caller toolset_name cache_control",
    "tool_result": "tool_use_id content is_error toolset_name cache_control",
    "thinking": "thinking signature",
    "redacted_thinking": "data",
    "server_tool_use": "id name input caller cache_control",
    "web_search_tool_result": "tool_use_id content caller cache_control",
    "container_upload": "file_id cache_control",
}
_OF_ROLE = {
    "user": {"text", "image", "document", "search_result", "tool_result", "container_upload"},
    "assistant": {
        "text", "tool_use", "thinking", "redacted_thinking", "server_tool_use",
        "web_search_tool_result",
    },
    "system": {"text"},
}  # fmt: skip
_IMAGES = {"image/jpeg", "image/png", "image/gif", "image/webp"}
_TOOL_FIELDS = frozenset(
    [
        "name",
        "input_schema",
        "description",
        "type",
        "strict",
        "cache_control",
        "defer_loading",
        "allowed_callers",
        "input_examples",
        "eager_input_streaming",
    ]
)
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_SCHEMA_TOO_OLD = (
    "claude-2",
    "claude-3",
    "claude-sonnet-4-0",
    "claude-opus-4-0",
    "claude-opus-4-1",
)


def check_count(seen: Seen) -> None:
    """Check `POST /v1/messages/count_tokens`."""
    _check(seen, _COUNT_FIELDS, "anthropic")


def check(seen: Seen, vendor: str = "anthropic") -> None:
    """Check `POST /v1/messages`; signatures must be the vendor's own."""
    limit: Any = seen.payload.get("max_tokens")
    need(type(limit) is int, "max_tokens: Field required")
    need(limit >= 1, "max_tokens: Input should be greater than or equal to 1")
    _check(seen, _FIELDS, vendor)


def _check(seen: Seen, fields: frozenset[str], vendor: str) -> None:
    payload = seen.payload
    extra = stranger(payload, fields)
    need(extra is None, f"{extra}: Extra inputs are not permitted")
    need(isinstance(payload.get("model"), str), "model: Field required")
    _check_texts(payload)
    _check_settings(payload)
    _check_tools(payload)
    messages: Any = payload.get("messages")
    need(isinstance(messages, list) and messages, "messages: at least one message is required")
    _check_messages(messages, payload["model"], vendor)
    messages_thinking.check(payload, seen.headers.get("anthropic-version", ""))


def _check_texts(payload: dict[str, Any]) -> None:
    system = payload.get("system")
    if isinstance(system, list):
        for index, block in enumerate(system):
            need(block["type"] == "text", f"system.{index}: only text")
            need(block["text"], "system: text content blocks must be non-empty")
    for text in payload.get("stop_sequences") or ():
        need(text.strip(), "stop_sequences: each stop sequence must contain non-whitespace")
    marks = str(payload).count("'cache_control': {")
    need(marks <= 4, f"A maximum of 4 blocks with cache_control may be provided. Found {marks}.")


def _check_settings(payload: dict[str, Any]) -> None:
    extra = stranger(payload.get("metadata") or {}, {"user_id"})
    need(extra is None, f"metadata.{extra}: Extra inputs are not permitted")
    extra = stranger(payload.get("output_config") or {}, {"effort", "format", "task_budget"})
    need(extra is None, f"output_config.{extra}: Extra inputs are not permitted")
    asked = (payload.get("output_config") or {}).get("format")
    if asked is not None:
        need(
            not payload["model"].startswith(_SCHEMA_TOO_OLD),
            "output_config.format: not supported on this model",
        )
        need(set(asked) == {"type", "schema"}, "output_config.format: Extra inputs")
        schemas.check_anthropic_output(asked["schema"], "output_config.format")


# --- tools --------------------------------------------------------------------------------------


def _check_tools(payload: dict[str, Any]) -> None:
    tools = payload.get("tools") or []
    names = [tool["name"] for tool in tools]
    need(len(set(names)) == len(names), "tools: Tool names must be unique.")
    for index, tool in enumerate(tools):
        where = f"tools.{index}.custom"
        if "input_schema" not in tool and tool.get("type", "custom") != "custom":
            continue
        extra = stranger(tool, _TOOL_FIELDS)
        need(extra is None, f"{where}.{extra}: Extra inputs are not permitted")
        need(_NAME.fullmatch(tool["name"]), f"{where}.name: String should match pattern")
        need("input_schema" in tool, f"{where}.input_schema: Field required")
        schemas.check_anthropic_tool(tool["input_schema"], where)
        if tool.get("strict"):
            schemas.check_anthropic_output(tool["input_schema"], where)
    _check_choice(payload.get("tool_choice"), names)


def _check_choice(choice: dict[str, Any] | None, names: Sequence[str]) -> None:
    if choice is None:
        return
    fields = {
        "auto": {"type", "disable_parallel_tool_use"},
        "any": {"type", "disable_parallel_tool_use"},
        "tool": {"type", "name", "disable_parallel_tool_use"},
        "none": {"type"},
    }
    need(choice.get("type") in fields, "tool_choice: Input tag found does not match")
    extra = stranger(choice, fields[choice["type"]])
    need(extra is None, f"tool_choice.{extra}: Extra inputs are not permitted")
    if choice["type"] != "none":
        need(names, "tool_choice may only be specified while providing tools")
    if choice["type"] == "tool":
        need(choice["name"] in names, f"Tool '{choice['name']}' not found in provided tools")


# --- messages -----------------------------------------------------------------------------------


def _check_messages(messages: Sequence[dict[str, Any]], model: str, vendor: str) -> None:
    need(messages[0].get("role") == "user", "messages: first message must use the user role")
    waiting: list[str] = []
    used: set[str] = set()
    for place, message in enumerate(messages):
        where = f"messages.{place}"
        extra = stranger(message, {"role", "content"})
        need(extra is None, f"{where}.{extra}: Extra inputs are not permitted")
        role: Any = message.get("role")
        need(role in _OF_ROLE, f"{where}.role: Input should be 'user' or 'assistant'")
        need(
            role != "system" or _takes_system(model),
            f"{where}: role 'system' is not supported on this model",
        )
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        is_last = place == len(messages) - 1
        need(blocks or (role == "assistant" and is_last), f"{where}: must have non-empty content")
        _check_blocks(blocks, role, where, vendor)
        _check_results(blocks, waiting, where)
        waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
        need(len(set(waiting)) == len(waiting), f"{where}: `tool_use` ids must be unique")
        need(not used.intersection(waiting), f"{where}: `tool_use` ids must be unique")
        used.update(waiting)
    need(not waiting, f"`tool_use` ids were found without `tool_result` blocks: {waiting}")


def _takes_system(model: str) -> bool:
    return re.match(r"claude-opus-(4-8|[5-9])", model) is not None


def _check_results(blocks: Sequence[Block], waiting: Sequence[str], where: str) -> None:
    answered = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    strange = [name for name in answered if name not in waiting]
    need(
        not strange,
        f"{where}.content: unexpected `tool_use_id` found in `tool_result` blocks: {strange}",
    )
    missing = [name for name in waiting if name not in answered]
    need(
        not missing,
        f"{where}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{missing}",
    )
    need(len(set(answered)) == len(answered), f"{where}: each tool_use must have a single result")
    others = [block["type"] != "tool_result" for block in blocks]
    need(not answered or others == sorted(others), f"{where}: tool_result blocks must come first")


def _check_blocks(blocks: Sequence[Block], role: str, where: str, vendor: str) -> None:
    for index, block in enumerate(blocks):
        place = f"{where}.content.{index}"
        kind = block.get("type")
        need(
            kind in _BLOCKS and kind in _OF_ROLE[role], f"{place}: Input tag '{kind}' not expected"
        )
        extra = stranger(block, {"type", *_BLOCKS[str(kind)].split()})
        need(extra is None, f"{place}.{kind}.{extra}: Extra inputs are not permitted")
        match kind:
            case "text":
                _check_text(block["text"])
            case "image" | "document":
                _check_source(block["source"], str(kind), place)
            case "tool_use":
                need(_ID.fullmatch(block["id"]), f"{place}.id: String should match pattern")
                need(_NAME.fullmatch(block["name"]), f"{place}.name: String should match pattern")
                is_object = isinstance(block["input"], dict)
                need(is_object, f"{place}.input: Input should be a valid dictionary")
            case "tool_result":
                content = block.get("content", "x")
                if isinstance(content, list):
                    kinds = {inner["type"] for inner in content}
                    strange = kinds - {"text", "image", "document", "search_result"}
                    need(not strange, f"{place}.content: Input tag {strange} not expected")
                    _check_blocks(content, "user", place, vendor)
            case "thinking" | "redacted_thinking":
                messages_thinking.check_signature(block, vendor, place)
            case _:
                pass


def _check_text(text: str) -> None:
    need(text, "messages: text content blocks must be non-empty")
    need(text.strip(), "messages: text content blocks must contain non-whitespace text")


def _check_source(source: dict[str, Any], kind: str, where: str) -> None:
    match source["type"]:
        case "base64":
            extra = stranger(source, {"type", "media_type", "data"})
            need(extra is None, f"{where}.source.{extra}: Extra inputs are not permitted")
            allowed = _IMAGES if kind == "image" else {"application/pdf"}
            fits = source["media_type"] in allowed
            need(fits, f"{where}.source.base64.media_type: Input should be one of {allowed}")
            need(_BASE64.fullmatch(source["data"]), f"{where}.source.base64.data: invalid base64")
        case "text" | "content":
            need(kind == "document", f"{where}.source: Input tag not expected")
        case "url":
            need(source["url"].startswith("http"), f"{where}.source.url: Only HTTPS URLs")
        case other:
            need(other == "file", f"{where}.source: Input tag '{other}' not expected")
