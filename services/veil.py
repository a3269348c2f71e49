"""Hides an account's credential in what its provider says: some repeat the key they refuse."""

import json
from typing import Final
from urllib.parse import quote

from dialects.fields import dumps, parse_lenient
from models.errors import BadRequest, UpstreamError

_MASK: Final = "***"
_SHORTEST: Final = 4
"""A shorter one is no real secret, and its letters stand in ordinary words."""
_SHORTEST_PIECE: Final = 8
"""What a text that was cut may end with: a vendor's keys all begin alike."""


def hide(error: UpstreamError, secret: str) -> None:
    """Take the credential out of all that an error may show to a client, or leave in the log."""
    if len(secret) < _SHORTEST:
        return
    error.message = _hidden_to_the_end(error.message, secret)
    error.evidence = _hidden_to_the_end(error.evidence, secret)
    error.path = error.path and _hidden_to_the_end(error.path, secret)
    error.vendor_code = error.vendor_code and _hidden_to_the_end(error.vendor_code, secret)
    error.remedy = error.remedy and _hidden_to_the_end(error.remedy, secret)
    if error.upstream_body:
        error.upstream_body = hidden(error.upstream_body, secret)


def hidden_frames(frames: bytes, secret: str) -> bytes:
    """Return frames of a stream without the credential."""
    return b"\n".join([_hidden_line(line, secret) for line in frames.split(b"\n")])


def hidden(body: bytes, secret: str) -> bytes:
    """Return JSON without the credential, however it is written there."""
    if len(secret) < _SHORTEST:
        return body
    for spelling in _spellings(secret):
        body = body.replace(spelling.encode(), _MASK.encode())
    return _rewritten(body, secret) if b"\\" in body else body


def _hidden_line(line: bytes, secret: str) -> bytes:
    name, mark, value = line.partition(b": ")
    return name + mark + hidden(value, secret)


def _rewritten(body: bytes, secret: str) -> bytes:
    """Look once more, with all escapes of JSON undone: any letter can be written as one."""
    payload = parse_lenient(body)
    try:
        plain = "" if payload is None else dumps(payload).decode(errors="replace")
    except BadRequest:  # nested too deeply
        plain = ""
    masked = _hidden(plain, secret)
    return body if masked == plain else masked.encode()


def _hidden(text: str, secret: str) -> str:
    for spelling in _spellings(secret):
        text = text.replace(spelling, _MASK)
    return text


def _hidden_to_the_end(text: str, secret: str) -> str:
    """Hide the beginning of a credential, too, where the text was cut in the middle of it."""
    text = _hidden(text, secret)
    bare = text.removesuffix("...")
    for spelling in _spellings(secret):
        longest = min(len(spelling) - 1, len(bare))
        for length in range(longest, _SHORTEST_PIECE - 1, -1):
            if bare.endswith(spelling[:length]):
                return f"{bare[:-length]}{_MASK}..."
    return text


def _spellings(secret: str) -> list[str]:
    spelled = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], secret.replace("/", "\\/")}
    return sorted(spelled, key=len, reverse=True)
