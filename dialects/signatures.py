"""Signatures that travel through another vendor's format and come back.

A signature is valid only at the vendor that made it, and we keep nothing between requests:
so the client carries it for us, as `gw1.<vendor>.<base64url(json)>`. Most belong to reasoning.
Gemini signs tool calls too; where a format's calls have no room for it, reasoning without text
carries it right before the call. Anthropic seals some reasoning as a whole: its data travels as a
signature does. Where a client is not shown what was thought, the text travels in the tag: the
signature is valid with it alone.
"""

import base64
import binascii
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from dialects.fields import dumps, parse_lenient
from models.content import Reasoning
from models.json_types import JsonObject

PREFIX: Final = "gw1."
_UNKNOWN: Final = "unknown"

Of: TypeAlias = Literal["reasoning", "redacted", "unsigned", "call"]
"""What a tag belongs to: the reasoning that carries it; reasoning that is nothing else; reasoning
without a signature, whose vendor it names; or not to the reasoning, but to the next tool call."""
_KINDS: Final[tuple[Of, ...]] = get_args(Of)


class Signature(NamedTuple):
    """What a tag holds."""

    vendor: str
    value: str
    of: Of = "reasoning"
    text: str = ""
    """What was thought, where the client does not see it."""


def tagged(vendor: str | None, signature: str, of: Of = "reasoning", text: str = "") -> str:
    """Return a tag that says whose signature it holds, and of what."""
    payload: JsonObject = {"s": signature}
    if of != "reasoning":
        payload["of"] = of
    if text:
        payload["t"] = text
    packed = base64.urlsafe_b64encode(dumps(payload)).decode().rstrip("=")
    return f"{PREFIX}{vendor or _UNKNOWN}.{packed}"


def carried(part: Reasoning, *, is_hidden: bool = False) -> str | None:
    """Return the tag that brings reasoning back to its vendor; None where that needs nothing.

    `is_hidden`: the client is not shown the text.
    """
    if part.redacted is not None:
        return tagged(part.origin, part.redacted, "redacted")
    text = part.text if is_hidden else ""
    return tagged(part.origin, part.signature, text=text) if part.signature else None


def brought_back(found: Signature, text: str) -> Reasoning:
    """Return the reasoning that `text` and a tag beside it stand for."""
    match found.of:
        case "redacted":
            return Reasoning("", origin=found.vendor, redacted=found.value)
        case "unsigned":
            return Reasoning(text, origin=found.vendor)
        case _:
            return Reasoning(text or found.text, found.value, found.vendor)


def is_tag(text: str) -> bool:
    """Say whether `text` is one of our tags, be it damaged."""
    return text.startswith(PREFIX)


def untagged(text: str) -> Signature | None:
    """Return what a tag holds; None for anything else."""
    if not is_tag(text):
        return None
    vendor, _, packed = text.removeprefix(PREFIX).partition(".")
    try:
        data = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
    except (binascii.Error, ValueError):
        return None
    payload = parse_lenient(data)
    if not payload or not vendor:
        return None
    signature, thought, told = payload.get("s"), payload.get("t"), payload.get("of", "reasoning")
    of = next((known for known in _KINDS if known == told), None)
    if not isinstance(signature, str) or not signature or of is None:
        return None
    return Signature(vendor, signature, of, thought if isinstance(thought, str) else "")
