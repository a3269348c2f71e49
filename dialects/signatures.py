"""Signatures of reasoning that travel through another vendor's format and come back.

A signature is valid only at the vendor that made it, and we keep nothing between requests:
so the client carries it for us, as `gw1.<vendor>.<base64url(json)>`.
"""

import base64
import binascii
from typing import Final

from dialects.fields import dumps, parse_lenient

_PREFIX: Final = "gw1."


def tagged(vendor: str, signature: str) -> str:
    """Return a tag that says whose signature it holds."""
    packed = base64.urlsafe_b64encode(dumps({"s": signature})).decode().rstrip("=")
    return f"{_PREFIX}{vendor}.{packed}"


def is_tag(text: str) -> bool:
    """Say whether `text` is one of our tags, be it damaged."""
    return text.startswith(_PREFIX)


def untagged(text: str) -> tuple[str, str] | None:
    """Return vendor and signature of a tag; None for anything else."""
    if not is_tag(text):
        return None
    vendor, _, packed = text.removeprefix(_PREFIX).partition(".")
    try:
        data = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
    except (binascii.Error, ValueError):
        return None
    payload = parse_lenient(data)
    signature = payload.get("s") if payload else None
    return (vendor, signature) if vendor and isinstance(signature, str) and signature else None
