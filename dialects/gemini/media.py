"""Media of the Gemini format, read and written."""

import mimetypes
import re
from typing import Final
from urllib.parse import urlsplit

from dialects import fields
from dialects.gemini.canonical import standard_base64
from dialects.gemini.constants import DIALECT
from models.content import Inline, Media, MediaKind, PlainText, Remote, VendorFile
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject

_MAIN_TYPES: Final[dict[str, MediaKind]] = {"image": "image", "audio": "audio", "video": "video"}
_FETCHED: Final = re.compile(
    r"https://(?:(?:www\.|m\.)?youtube\.com/|youtu\.be/"
    r"|generativelanguage\.googleapis\.com/[^/]+/files/)"
)
"""Addresses that Google's servers fetch themselves."""
_OWN: Final = re.compile(r"gs://|files/|https://generativelanguage\.googleapis\.com/")
_YOUTUBE: Final = re.compile(r"https://(?:(?:www\.|m\.)?youtube\.com|youtu\.be)/")


def kind_of(mime: str) -> MediaKind:
    """Return what a media type is; a document when it is nothing to look at or listen to."""
    return _MAIN_TYPES.get(mime.partition("/")[0].lower(), "document")


def read_inline(blob: JsonObject, where: str) -> Media:
    """Read `inlineData`."""
    mime = fields.text(blob, "mimeType", where)
    data = standard_base64(fields.text(blob, "data", where))
    name = fields.optional_text(blob, "displayName", where)
    return Media(kind_of(mime), Inline(mime, data), filename=name)


def read_file(file: JsonObject, where: str) -> Media:
    """Read `fileData`: a file that only Google has, or an address that anybody may fetch."""
    uri = fields.text(file, "fileUri", where)
    mime = fields.optional_text(file, "mimeType", where)
    if _OWN.match(uri):
        return Media(kind_of(mime or ""), VendorFile(DIALECT, uri))
    if _YOUTUBE.match(uri):
        return Media("video", Remote(uri))
    return Media(kind_of(mime or _guessed(uri)), Remote(uri))


def write_media(media: Media, where: str) -> JsonObject:
    """Write media as a part; raises Unrepresentable for what Google would have to fetch."""
    match media.source:
        case Inline("image/jpg", data):  # no registered type, but what many clients call it
            return {"inlineData": {"mimeType": "image/jpeg", "data": data}}
        case Inline(mime, data):
            return {"inlineData": {"mimeType": mime, "data": data}}
        case PlainText(text):
            told = [told for told in (media.title, media.context, text) if told]
            return {"text": "\n".join(told)}
        case Remote(url) if _FETCHED.match(url):
            return {"fileData": {"fileUri": url}}
        case VendorFile(vendor, uri) if vendor == DIALECT:
            return {"fileData": {"fileUri": uri}}
        case Remote():
            raise _cannot(where, f"{media.kind} behind an address")
        case VendorFile():
            raise _cannot(where, "a file id of another vendor")


def _guessed(uri: str) -> str:
    try:
        path = urlsplit(uri).path
    except ValueError:  # brackets that are no address
        return ""
    return mimetypes.guess_type(path)[0] or ""


def _cannot(where: str, what: str) -> Unrepresentable:
    return Unrepresentable(f"{where}: {what} cannot be sent to a Gemini model", path=where)


def inline_of(part: Json) -> Media | None:
    """Return the media of an answer's `inlineData`, leniently; None for garbage."""
    if not isinstance(part, dict):
        return None
    mime, data = part.get("mimeType"), part.get("data")
    if not isinstance(mime, str) or not isinstance(data, str):
        return None
    return Media(kind_of(mime), Inline(mime, standard_base64(data)))
