"""Takes signatures that a provider would refuse out of a history in its own format.

Who changes the model in the middle of a conversation brings reasoning along that another vendor
signed, in a tag of ours (`dialects/signatures.py`), or nobody. Translated requests leave it out;
a raw one would be refused because of it. Bodies without any pass untouched, the same object.

Signatures of the vendor's own may be refused too: made for another organisation, or spoilt on
their way. Which ones is known only when that has happened; then all of them go.
"""

import base64
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from dialects.fields import dumps
from dialects.signatures import PREFIX
from models.json_types import Json, JsonObject


class Foreign(NamedTuple):
    """What a provider would refuse in a body of its own format."""

    marks: tuple[bytes, ...]
    """Bytes without one of which there is nothing to do."""
    clean: Callable[[JsonObject], JsonObject]
    """Takes out what other vendors signed."""
    unsigned: Callable[[JsonObject], JsonObject]
    """Takes out whatever is signed. Without anything it returns the same object."""


_IsRefused: TypeAlias = Callable[[JsonObject], bool]
"""Says of a piece of a history whether its signature would be, or was, refused."""

_TAG: Final = PREFIX.encode()
_PACKED: Final = base64.b64encode(_TAG).rstrip(b"=")[:-1]
"""How a tag begins where it is base64 once more (Gemini); the character after depends on what
follows."""

ESCAPE: Final = "skip_thought_signature_validator"
"""What Gemini documents for calls of a history that it did not make itself."""


_FOLLOWS_REASONING: Final = ("message", "function_call", "custom_tool_call")


def without_foreign(body: bytes, payload: JsonObject, foreign: Foreign) -> bytes:
    """Return the body without what other vendors signed."""
    for mark in foreign.marks:
        if body.rfind(mark) >= 0:  # from the end, as in `raw_json`
            break
    else:
        return body
    cleaned = foreign.clean(payload)
    return body if cleaned is payload else dumps(cleaned)


# --- Messages ---


def _clean_messages(payload: JsonObject) -> JsonObject:
    """Leave out thinking that Anthropic did not sign, and turns that were nothing else."""
    return _edited(payload, "messages", partial(_clean_turn, _is_foreign_thinking))


def _unsigned_messages(payload: JsonObject) -> JsonObject:
    """Leave out all thinking; between calls and their results, also the wish for more by budget,
    which must go on from what was thought before."""
    bare = _edited(payload, "messages", partial(_clean_turn, _is_thinking))
    thinking = payload.get("thinking")
    by_budget = isinstance(thinking, dict) and thinking.get("type") == "enabled"
    if not by_budget or not _answers_tools(payload):
        return bare
    # Edits of the context may be edits of thinking, and are refused without it.
    return {key: bare[key] for key in bare if key not in ("thinking", "context_management")}


def _clean_turn(is_refused: _IsRefused, message: JsonObject) -> JsonObject | None:
    content = message.get("content")
    if message.get("role") != "assistant" or not isinstance(content, list):
        return message
    kept = [block for block in content if not (isinstance(block, dict) and is_refused(block))]
    if len(kept) == len(content):
        return message
    return {**message, "content": kept} if kept else None


def _is_foreign_thinking(block: JsonObject) -> bool:
    if block.get("type") != "thinking":
        return False
    signature = block.get("signature")
    return signature == "" or _is_tag(signature)


def _is_thinking(block: JsonObject) -> bool:
    return block.get("type") in ("thinking", "redacted_thinking")


def _answers_tools(payload: JsonObject) -> bool:
    blocks = _objects(_last(payload, "messages").get("content"))
    return any(block.get("type") == "tool_result" for block in blocks)


# --- Responses ---


def _clean_responses(payload: JsonObject) -> JsonObject:
    """Leave out reasoning that OpenAI did not encrypt."""
    return _edited(payload, "input", partial(_clean_item, _is_foreign_reasoning))


def _unsigned_responses(payload: JsonObject) -> JsonObject:
    """Leave out all encrypted reasoning, and the ids that it would be missed by."""
    bare = _edited(payload, "input", partial(_clean_item, _is_encrypted_reasoning))
    return bare if bare is payload else _edited(bare, "input", _without_id)


def _clean_item(is_refused: _IsRefused, item: JsonObject) -> JsonObject | None:
    return None if item.get("type") == "reasoning" and is_refused(item) else item


def _is_foreign_reasoning(item: JsonObject) -> bool:
    return _is_tag(item.get("encrypted_content"))


def _is_encrypted_reasoning(item: JsonObject) -> bool:
    return item.get("encrypted_content") is not None


def _without_id(item: JsonObject) -> JsonObject:
    if "id" not in item or item.get("type") not in _FOLLOWS_REASONING:
        return item
    return {key: item[key] for key in item if key != "id"}


# --- Chat ---


def _clean_chat(payload: JsonObject) -> JsonObject:
    """Leave out thoughts, and the signatures of Gemini's calls; OpenAI refuses unknown fields."""
    return _edited(payload, "messages", _clean_message)


def _clean_message(message: JsonObject) -> JsonObject:
    if "reasoning_content" in message:
        message = {key: message[key] for key in message if key != "reasoning_content"}
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
    """Leave out thoughts of other vendors and texts of the model without a word, with which a
    stream may end; say of other vendors' calls that nobody signed them."""
    return _edited(payload, "contents", partial(_clean_content, _is_packed))


def _unsigned_gemini(payload: JsonObject) -> JsonObject:
    """Leave out signed thoughts, and say of calls that nobody signed them.

    Claude behind Google's service thinks by budget, and goes on only from what it thought before.
    """
    bare = _edited(payload, "contents", partial(_clean_content, bool))
    config = payload.get("generationConfig")
    if not isinstance(config, dict) or not _has_budget(config):
        return _edited(bare, "contents", _excused)
    parts = _objects(_last(payload, "contents").get("parts"))
    if bare is payload or not any("functionResponse" in part for part in parts):
        return bare
    kept: JsonObject = {key: config[key] for key in config if key != "thinkingConfig"}
    return {**bare, "generationConfig": kept}


def _clean_content(is_refused: Callable[[str], bool], content: JsonObject) -> JsonObject | None:
    parts = content.get("parts")
    if not isinstance(parts, list):
        return content
    is_model = content.get("role") == "model"
    kept: list[Json] = [
        cleaned
        for part in parts
        if not (is_model and _is_void(part))
        and (cleaned := _clean_part(is_refused, part)) is not None
    ]
    if kept == parts:
        return content
    return {**content, "parts": kept} if kept else None


def _clean_part(is_refused: Callable[[str], bool], part: Json) -> Json:
    if not isinstance(part, dict):
        return part
    key = "thoughtSignature" if "thoughtSignature" in part else "thought_signature"
    signature = part.get(key)
    if not isinstance(signature, str) or not is_refused(signature):
        return part
    if part.get("thought") is True or part.get("text") == "":
        return None
    if "functionCall" in part or "function_call" in part:
        return {**part, key: ESCAPE}
    return {name: part[name] for name in part if name != key}


def _excused(content: JsonObject) -> JsonObject:
    """Say of the first call, which speaks for those beside it, that nobody signed it."""
    parts = content.get("parts")
    if not isinstance(parts, list):
        return content
    for at, part in enumerate(parts):
        if isinstance(part, dict) and part.keys() & {"functionCall", "function_call"}:
            if part.keys() & {"thoughtSignature", "thought_signature"}:
                break
            excused: Json = {**part, "thoughtSignature": ESCAPE}
            return {**content, "parts": [*parts[:at], excused, *parts[at + 1 :]]}
    return content


def _is_void(part: Json) -> bool:
    return isinstance(part, dict) and part.get("text") == "" and part.keys() <= {"text", "thought"}


def _is_packed(signature: str) -> bool:
    return signature.encode().startswith(_PACKED)


def _has_budget(config: JsonObject) -> bool:
    thinking = config.get("thinkingConfig")
    return isinstance(thinking, dict) and "thinkingBudget" in thinking


# --- all of them ---

IN_MESSAGES: Final = Foreign(
    (_TAG, b'"signature":""', b'"signature": ""'), _clean_messages, _unsigned_messages
)
IN_RESPONSES: Final = Foreign((_TAG,), _clean_responses, _unsigned_responses)
IN_CHAT: Final = Foreign(
    (b'"extra_content"', b'"thought_signature"', b'"reasoning_content"'), _clean_chat, _clean_chat
)
IN_GEMINI: Final = Foreign((_PACKED, b'"text":""', b'"text": ""'), _clean_gemini, _unsigned_gemini)


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


def _last(payload: JsonObject, key: str) -> JsonObject:
    """Return the last entry of a list, empty where there is none."""
    entries = payload.get(key)
    last = entries[-1] if isinstance(entries, list) and entries else None
    return last if isinstance(last, dict) else {}


def _objects(value: Json) -> list[JsonObject]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
