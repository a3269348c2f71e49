"""Reasoning items: whose thoughts they hold, and how other vendors' travel in them.

OpenAI encrypts what its models thought and takes it back as `encrypted_content`. What other
vendors want back travels in the same field, in a tag of ours: a signature, a block that is
encrypted as a whole, or only whose unsigned thoughts these are.
"""

from dialects.openai_responses.read_parts import VENDOR
from dialects.signatures import brought_back, carried, is_tag, tagged, untagged
from models.content import Reasoning, ToolCall
from models.json_types import Json, JsonObject


def read_reasoning(item: JsonObject) -> Reasoning | ToolCall | None:
    """Read an item of a history.

    A ToolCall stands for the signature of the call that follows; None for an item that holds
    nothing, or a damaged tag. Foreign to no vendor's rules, so nothing is refused.
    """
    text = summary_text(item)
    encrypted = item.get("encrypted_content")
    if not isinstance(encrypted, str) or not encrypted:
        return Reasoning(text) if text else None
    if not is_tag(encrypted):
        return Reasoning(text, encrypted, VENDOR)
    found = untagged(encrypted)
    if found is None:
        return None
    if found.of == "call":
        return ToolCall("", "", "", signature=found.value, origin=found.vendor)
    return brought_back(found, text)


def summary_text(item: JsonObject) -> str:
    """Return what an item shows: its summaries, else the raw thoughts."""
    return "\n\n".join(_texts(item.get("summary"))) or "".join(_texts(item.get("content")))


def encrypted_content(part: Reasoning) -> str | None:
    """Return what brings the thoughts back to their vendor; None where there is nothing."""
    if part.origin == VENDOR:
        return part.signature or None
    tag = carried(part)
    if tag is None and part.origin:
        return tagged(part.origin, "-", "unsigned")
    return tag


def call_carrier(call: ToolCall) -> str | None:
    """Return the `encrypted_content` of the item that carries a call's signature before it."""
    if not call.signature:
        return None
    return tagged(call.origin, call.signature, "call")


def _texts(parts: Json) -> list[str]:
    found = []
    for part in parts if isinstance(parts, list) else ():
        text = part.get("text") if isinstance(part, dict) else None
        if isinstance(text, str) and text:
            found.append(text)
    return found
