"""Signatures that travel through another vendor's format and come back.

A signature is valid only at the vendor that made it, and we keep nothing between requests:
so the client carries it for us, as `gw1.<vendor>.<base64url(json)>`. Most belong to reasoning.
Gemini signs tool calls too; where a format's calls have no room for it, reasoning without text
carries it right before the call.
"""

import base64
import binascii
from typing import Final, NamedTuple

from dialects.fields import dumps, parse_lenient
from models.json_types import JsonObject

PREFIX: Final = "gw1."
_CALL: Final = "call"


class Signature(NamedTuple):
    """What a tag holds."""

    vendor: str
    value: str
    is_of_call: bool = False
    """It belongs to the next tool call, not to the reasoning that carries it."""


def tagged(vendor: str, signature: str, *, is_of_call: bool = False) -> str:
    """Return a tag that says whose signature it holds, and of what."""
    payload: JsonObject = {"s": signature}
    if is_of_call:
        payload["of"] = _CALL
    packed = base64.urlsafe_b64encode(dumps(payload)).decode().rstrip("=")
    return f"{PREFIX}{vendor}.{packed}"


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
    signature = payload.get("s") if payload else None
    if not payload or not vendor or not isinstance(signature, str) or not signature:
        return None
    return Signature(vendor, signature, payload.get("of") == _CALL)
