"""Signatures in `thoughtSignature`: Google's own, and those of others that it carries.

Clients decode the field to bytes, so a tag of ours is base64 once more.
"""

import base64
import binascii
from typing import Final

from dialects.foreign import ESCAPE
from dialects.gemini.canonical import standard_base64
from dialects.gemini.constants import VENDOR
from dialects.signatures import Signature, carried, is_tag, tagged, untagged
from models.content import Reasoning, ToolCall

_ESCAPES: Final = frozenset(
    standard_base64(value) for value in (ESCAPE, "context_engineering_is_the_way_to_go")
)


def read_signature(value: str | None) -> Signature | None:
    """Return whose signature it is; None for nothing, a damaged tag or a stand-in for one."""
    standard = standard_base64(value or "")
    if not standard or standard in _ESCAPES:
        return None
    try:
        text = base64.b64decode(standard, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return Signature(VENDOR, standard)
    return untagged(text) if is_tag(text) else Signature(VENDOR, standard)


def written_signature(part: Reasoning | ToolCall, *, is_hidden: bool = False) -> str | None:
    """Return a part's signature as this format carries it to a client; None for none.

    `is_hidden`: the client is not shown the text of the reasoning.
    """
    if part.signature and part.origin == VENDOR:
        return part.signature
    if isinstance(part, Reasoning):
        tag = carried(part, is_hidden=is_hidden)
    else:
        tag = tagged(part.origin, part.signature, "call") if part.signature else None
    return base64.b64encode(tag.encode()).decode() if tag is not None else None
