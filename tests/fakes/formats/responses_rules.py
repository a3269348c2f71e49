"""What OpenAI refuses of a Responses request."""

import re
from collections.abc import Sequence
from typing import Any

from tests.fakes.formats import openai_models, schemas
from tests.fakes.formats.base import Seen, need, stranger
from tests.fakes.formats.responses import encrypted_for

Item = dict[str, Any]

_FIELDS = frozenset(
    [
        "model",
        "input",
        "instructions",
        "stream",
        "stream_options",
        "max_output_tokens",
        "temperature",
        "top_p",
        "top_logprobs",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "max_tool_calls",
        "text",
        "reasoning",
        "include",
        "store",
        "previous_response_id",
        "conversation",
        "background",
        "truncation",
        "metadata",
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "service_tier",
        "prompt",
        "context_management",
        "moderation",
        "image",
        "access_programs",
        "client_metadata",
    ]
)
_ITEMS = {
    "message": "role content id status phase",
    "function_call": "call_id name arguments id status namespace async caller",
    "function_call_output": "call_id output id status name namespace",
    "custom_tool_call": "call_id name input id status namespace",
    "custom_tool_call_output": "call_id output id status",
    "reasoning": "id summary content encrypted_content status",
    "additional_tools": "role tools id",
    "item_reference": "id",
    "web_search_call": "id status action",
}
# What Codex puts on items when it believes that it calls OpenAI itself.
_OF_CODEX = "internal_chat_message_metadata_passthrough"
_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "reasoning": "rs",
}
_PARTS = {
    "input_text": {"text", "prompt_cache_breakpoint"},
    "input_image": {"image_url", "file_id", "detail", "prompt_cache_breakpoint"},
    "input_file": {"file_data", "file_url", "file_id", "filename", "detail"},
    "input_audio": {"input_audio"},
    "output_text": {"text", "annotations", "logprobs"},
    "refusal": {"refusal"},
}
_OF_ASSISTANT = {"output_text", "refusal"}
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


def check(seen: Seen) -> None:
    """Check `POST /responses` and `POST /responses/input_tokens`."""
    payload = seen.payload
    extra = stranger(payload, _FIELDS)
    need(extra is None, f"Unknown parameter: '{extra}'.")
    need(isinstance(payload.get("model"), str), "Missing required parameter: 'model'.")
    _check_settings(payload, seen.model)
    _check_tools(payload)
    given = payload.get("input")
    need(given is not None or payload.get("instructions"), "Missing required parameter: 'input'.")
    if isinstance(given, list):
        has_past = payload.get("previous_response_id") is not None
        _check_items(given, has_past=has_past, key=seen.key)


def _check_settings(payload: dict[str, Any], model: str) -> None:
    limit = payload.get("max_output_tokens")
    need(
        limit is None or limit >= 16,
        "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16",
    )
    openai_models.check_samplers(payload, model)
    reasoning = payload.get("reasoning") or {}
    known = {"effort", "summary", "generate_summary", "context", "mode"}
    extra = stranger(reasoning, known)
    need(extra is None, f"Unknown parameter: 'reasoning.{extra}'.")
    openai_models.check_effort(reasoning.get("effort"), model, "reasoning.effort")
    need(
        not reasoning.get("summary") or openai_models.reasons(model) is not False,
        "Unsupported parameter: 'reasoning.summary' is not supported with this model.",
    )
    encrypted = "reasoning.encrypted_content" in (payload.get("include") or ())
    need(
        not encrypted or openai_models.reasons(model) is not False,
        "Encrypted content is not supported with this model.",
    )
    _check_text(payload.get("text") or {})


def _check_text(text: dict[str, Any]) -> None:
    extra = stranger(text, {"format", "verbosity"})
    need(extra is None, f"Unknown parameter: 'text.{extra}'.")
    asked = text.get("format") or {"type": "text"}
    extra = stranger(asked, {"type", "name", "schema", "strict", "description"})
    need(extra is None, f"Unknown parameter: 'text.format.{extra}'.")
    if asked["type"] == "json_schema":
        need(asked.get("name"), "Missing required parameter: 'text.format.name'.")
        if asked.get("strict"):
            schemas.check_openai_strict(asked["schema"], asked["name"])


def _check_tools(payload: dict[str, Any]) -> None:
    tools = payload.get("tools") or []
    for tool in tools:
        if tool["type"] == "function":
            known = "type name parameters strict description defer_loading output_schema"
            extra = stranger(tool, {*known.split(), "allowed_callers", "async"})
            need(extra is None, f"Unknown parameter: 'tools[0].{extra}'.")
            need(_NAME.fullmatch(tool["name"]), "Invalid 'tools[0].name'")
            need("parameters" in tool, "Missing required parameter: 'tools[0].parameters'.")
            if tool["parameters"] is not None:
                schemas.check_openai(tool["parameters"], tool["name"])
            if tool.get("strict"):
                schemas.check_openai_strict(tool["parameters"], tool["name"])
    choice = payload.get("tool_choice")
    need(
        tools or choice in (None, "auto", "none"),
        "Tool choice 'required' must be specified with 'tools' parameter.",
    )
    if isinstance(choice, dict) and choice["type"] == "function":
        extra = stranger(choice, {"type", "name"})
        need(extra is None, f"Unknown parameter: 'tool_choice.{extra}'.")
        named = {tool.get("name") for tool in tools}
        need(choice["name"] in named, "Tool choice 'function' not found in 'tools' parameter.")


# --- items --------------------------------------------------------------------------------------


def _check_items(items: Sequence[Item], *, has_past: bool, key: str) -> None:
    called: set[str] = set()
    answered: set[str] = set()
    for index, item in enumerate(items):
        where = f"input[{index}]"
        kind = item.get("type") or "message"
        need(kind in _ITEMS, f"Invalid value: '{kind}'. ({where})")
        extra = stranger(item, {"type", _OF_CODEX, *_ITEMS[kind].split()})
        need(extra is None, f"Unknown parameter: '{where}.{extra}'.")
        _check_id(item, kind, where)
        match kind:
            case "message":
                _check_content(item["content"], item["role"], where)
            case "reasoning":
                _check_reasoning(item, items[index + 1 :], where, encrypted_for(key))
            case "function_call" | "custom_tool_call":
                _check_call(item, kind, called, where)
                called.add(item["call_id"])
            case "function_call_output" | "custom_tool_call_output":
                name = item["call_id"]
                known = name in called or has_past
                need(known, f"No tool call found for function call output with call_id {name}.")
                need(name not in answered, f"Duplicate item with call_id {name}.")
                answered.add(name)
                if isinstance(item["output"], list):
                    _check_content(item["output"], "user", where)
                else:
                    need(isinstance(item["output"], str), f"Invalid type for '{where}.output'")
            case _:
                pass
    missing = sorted(called - answered)
    need(not missing, f"No tool output found for function call {', '.join(missing)}.")


def _check_id(item: Item, kind: str, where: str) -> None:
    name, prefix = item.get("id"), _PREFIXES.get(kind, "")
    fits = name is None or name.startswith(prefix)
    need(fits, f"Invalid '{where}.id': '{name}'. Expected an ID that begins with '{prefix}'.")


def _check_call(item: Item, kind: str, called: set[str], where: str) -> None:
    name = item["call_id"]
    need(1 <= len(name) <= 64, f"Invalid '{where}.call_id': string too long.")
    need(name not in called, f"Duplicate item with call_id {name}.")
    need(_NAME.fullmatch(item["name"]), f"Invalid '{where}.name'")
    text = item["arguments" if kind == "function_call" else "input"]
    need(isinstance(text, str), f"Invalid type for '{where}.arguments': expected a string")


def _check_content(content: Any, role: str, where: str) -> None:  # noqa: ANN401 - JSON
    roles = ("user", "assistant", "system", "developer")
    need(role in roles, f"Invalid value: '{role}'. ({where}.role)")
    if isinstance(content, str):
        return
    need(content, f"Invalid '{where}.content': empty array.")
    for part in content:
        kind = part["type"]
        is_output = kind in _OF_ASSISTANT
        need(
            kind in _PARTS and is_output == (role == "assistant"),
            f"Invalid value: '{kind}'. ({where}.content, role {role})",
        )
        extra = stranger(part, {"type", *_PARTS[kind]})
        need(extra is None, f"Unknown parameter: '{where}.content[0].{extra}'.")
        if kind == "input_image" and "image_url" in part:
            need(isinstance(part["image_url"], str), "Invalid type for 'image_url': an object")


def _check_reasoning(item: Item, following: Sequence[Item], where: str, own: str) -> None:
    need("summary" in item, f"Missing required parameter: '{where}.summary'.")
    encrypted = item.get("encrypted_content")
    if encrypted is not None:
        need(
            encrypted == own,
            "The encrypted content could not be verified. Reason: Encrypted content could not be "
            "decrypted or parsed. (invalid_encrypted_content)",
        )
    else:
        need(item.get("id"), f"Missing required parameter: '{where}.id'.")
    kind = (following[0].get("type") or "message") if following else None
    produced = kind in ("function_call", "custom_tool_call", "reasoning") or (
        kind == "message" and following[0].get("role") == "assistant"
    )
    need(
        produced,
        f"Item '{item.get('id')}' of type 'reasoning' was provided without its required "
        "following item.",
    )
