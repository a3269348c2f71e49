"""What stands around a tool call of the Chat format, both directions.

Google's own servers of this format put the signature of a Gemini call into `extra_content`, so
that its clients send it back; another vendor's travels there in a tag.
"""

from collections.abc import Collection
from typing import Final

from dialects.custom_tools import unwrapped
from dialects.signatures import is_tag, tagged, untagged
from models.content import ToolCall
from models.json_types import JsonObject

_GEMINI: Final = "gemini"
_KEY: Final = "thought_signature"


def read_signature(entry: JsonObject) -> tuple[str | None, str | None]:
    """Return the signature of an entry of `tool_calls`, and who made it."""
    extra = entry.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    holder = google if isinstance(google, dict) else entry
    signature = holder.get(_KEY)
    if not isinstance(signature, str) or not signature:
        return None, None
    if not is_tag(signature):
        return signature, _GEMINI
    found = untagged(signature)
    return (found.value, found.vendor) if found is not None else (None, None)


def signed(call: ToolCall) -> JsonObject:
    """Return the field that carries a call's signature, if it has one."""
    if not call.signature:
        return {}
    is_gemini = call.origin == _GEMINI
    signature = call.signature if is_gemini else tagged(call.origin, call.signature, "call")
    return {"extra_content": {"google": {_KEY: signature}}}


def written_arguments(text: str) -> str:
    """Return a call's argument text; none at all is the empty object."""
    return text or "{}"


def answered_call(call: ToolCall, customs: Collection[str]) -> JsonObject:
    """Return an entry of `tool_calls` for a client; `customs` are its free-text tools."""
    if call.name in customs:
        custom: JsonObject = {"name": call.name, "input": unwrapped(call.arguments)}
        return {"id": call.id, "type": "custom", "custom": custom, **signed(call)}
    return {"id": call.id, "type": "function", "function": called(call), **signed(call)}


def called(call: ToolCall) -> JsonObject:
    """Return name and arguments of a function's call."""
    return {"name": call.name, "arguments": written_arguments(call.arguments)}
