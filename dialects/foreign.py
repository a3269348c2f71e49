"""Takes what belongs to other vendors out of a history that would pass raw.

Who changes the model in the middle of a conversation brings reasoning along that another vendor
signed, in a tag of ours (`dialects/signatures.py`), or nobody. Translated requests leave it out;
a raw one would be refused because of it. Bodies without any pass untouched, the same object.
"""

import base64
from collections.abc import Callable
from typing import Final, NamedTuple

from dialects.fields import dumps
from dialects.signatures import PREFIX
from models.json_types import Json, JsonObject


class Foreign(NamedTuple):
    """What a provider would refuse in a body of its own format."""

    marks: tuple[bytes, ...]
    """Bytes without one of which there is nothing to do."""
    clean: Callable[[JsonObject], JsonObject]


_TAG: Final = PREFIX.encode()
_PACKED: Final = base64.b64encode(_TAG).rstrip(b"=")[:-1]
"""How a tag begins where it is base64 once more (Gemini); the character after depends on what
follows."""

ESCAPE: Final = "skip_thought_signature_validator"
"""What Gemini documents for calls of a history that it did not make itself."""


def without_foreign(body: bytes, payload: JsonObject, foreign: Foreign) -> bytes:
    """Return the body without what other vendors signed."""
    if not any(mark in body for mark in foreign.marks):
        return body
    cleaned = foreign.clean(payload)
    return body if cleaned is payload else dumps(cleaned)


# --- Messages ---


def _clean_messages(payload: JsonObject) -> JsonObject:
    """Leave out thinking that Anthropic did not sign, and turns that were nothing else."""
    return _edited(payload, "messages", _clean_turn)


def _clean_turn(message: JsonObject) -> JsonObject | None:
    content = message.get("content")
    if message.get("role") != "assistant" or not isinstance(content, list):
        return message
    kept = [block for block in content if not _is_foreign_thinking(block)]
    if len(kept) == len(content):
        return message
    return {**message, "content": kept} if kept else None


def _is_foreign_thinking(block: Json) -> bool:
    if not isinstance(block, dict) or block.get("type") != "thinking":
        return False
    signature = block.get("signature")
    return signature == "" or _is_tag(signature)


# --- Responses ---


def _clean_responses(payload: JsonObject) -> JsonObject:
    """Leave out reasoning that OpenAI did not encrypt."""
    return _edited(payload, "input", _clean_item)


def _clean_item(item: JsonObject) -> JsonObject | None:
    is_reasoning = item.get("type") == "reasoning"
    return None if is_reasoning and _is_tag(item.get("encrypted_content")) else item


# --- Chat ---


def _clean_chat(payload: JsonObject) -> JsonObject:
    """Leave out the signatures that Gemini's calls carry; OpenAI refuses unknown fields."""
    return _edited(payload, "messages", _clean_message)


def _clean_message(message: JsonObject) -> JsonObject:
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return message
    kept: list[Json] = [_plain_call(call) for call in calls]
    return message if kept == calls else {**message, "tool_calls": kept}


def _plain_call(call: Json) -> Json:
    if not isinstance(call, dict):
        return call
    return {key: call[key] for key in call if key not in ("extra_content", "thought_signature")}


# --- Gemini ---


def _clean_gemini(payload: JsonObject) -> JsonObject:
    """Leave out thoughts of other vendors, and say of their calls that nobody signed them."""
    return _edited(payload, "contents", _clean_content)


def _clean_content(content: JsonObject) -> JsonObject | None:
    parts = content.get("parts")
    if not isinstance(parts, list):
        return content
    kept: list[Json] = [cleaned for part in parts if (cleaned := _clean_part(part)) is not None]
    if kept == parts:
        return content
    return {**content, "parts": kept} if kept else None


def _clean_part(part: Json) -> Json:
    if not isinstance(part, dict):
        return part
    key = "thoughtSignature" if "thoughtSignature" in part else "thought_signature"
    signature = part.get(key)
    if not isinstance(signature, str) or not signature.encode().startswith(_PACKED):
        return part
    if part.get("thought") is True:
        return None
    if "functionCall" in part or "function_call" in part:
        return {**part, key: ESCAPE}
    return {name: part[name] for name in part if name != key}


# --- all of them ---

IN_MESSAGES: Final = Foreign((_TAG, b'"signature":""', b'"signature": ""'), _clean_messages)
IN_RESPONSES: Final = Foreign((_TAG,), _clean_responses)
IN_CHAT: Final = Foreign((b'"extra_content"', b'"thought_signature"'), _clean_chat)
IN_GEMINI: Final = Foreign((_PACKED,), _clean_gemini)


def _is_tag(value: Json) -> bool:
    return isinstance(value, str) and value.startswith(PREFIX)


def _edited(
    payload: JsonObject, key: str, edit: Callable[[JsonObject], JsonObject | None]
) -> JsonObject:
    entries = payload.get(key)
    if not isinstance(entries, list):
        return payload
    kept: list[Json] = []
    for entry in entries:
        edited = edit(entry) if isinstance(entry, dict) else entry
        if edited is not None or entry is None:
            kept.append(edited)
    is_same = len(kept) == len(entries) and all(
        after is before for after, before in zip(kept, entries, strict=True)
    )
    return payload if is_same else {**payload, key: kept}
