"""Addresses of media, and the base64 that stands in data URLs and beside them."""

import base64
import binascii
import re
from typing import Final

from dialects import fields
from models.content import Inline, PlainText, Remote

_DATA_URL: Final = re.compile(r"data:([^;,]*)((?:;[^;,]*)*);base64,", re.IGNORECASE)
_URLSAFE: Final = str.maketrans("-_", "+/")


def address(url: str, where: str) -> Inline | Remote:
    """Return what an http, https or data URL points to. Raises BadRequest for any other."""
    if _is_data_url(url):
        return _data_url(url, where)
    if url[:7].lower() != "http://" and url[:8].lower() != "https://":
        raise fields.wrong(where, "an http, https or data URL")
    return Remote(url)


def file_content(data: str, where: str) -> Inline | PlainText:
    """Return a file that is a data URL, or bare base64 of a PDF; of a text file its text."""
    is_bare = not _is_data_url(data)
    inline = Inline("application/pdf", padded(data)) if is_bare else _data_url(data, where)
    return _plain_if_text(inline)


def padded(data: str) -> str:
    """Return base64 in the standard alphabet, padded; its content is the provider's to judge."""
    plain = data.translate(_URLSAFE) if "-" in data or "_" in data else data
    return plain + "=" * (-len(plain) % 4)


def _is_data_url(url: str) -> bool:
    return url[:5].lower() == "data:"


def _data_url(url: str, where: str) -> Inline:
    """Return what a data URL holds. Raises BadRequest where that is not base64."""
    found = _DATA_URL.match(url)
    if found is None:
        raise fields.wrong(where, "a data URL with base64 content")
    return Inline(found[1].lower() or "application/octet-stream", padded(url[found.end() :]))


def _plain_if_text(inline: Inline) -> Inline | PlainText:
    """Return the text of a text file; anything else as it is."""
    if not inline.mime.startswith("text/"):
        return inline
    try:
        return PlainText(base64.b64decode(inline.data).decode())
    except (binascii.Error, ValueError):
        return inline
