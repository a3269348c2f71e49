"""Neutral parts, written as content of Chat messages."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Final

from dialects.names import wire_id
from dialects.openai_chat.calls import signed, written_arguments
from models.content import (
    Inline,
    Media,
    Opaque,
    Part,
    PlainText,
    Refusal,
    Remote,
    Text,
    ToolCall,
    VendorFile,
)
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject
from models.profile import Profile
from models.record import record

DIALECT: Final = "chat"
_AUDIO_FORMATS: Final = {
    "audio/mp3": "mp3",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
}
_SAYS_ERROR: Final = ("error:", '{"error":')
"""How results begin that say themselves that they are errors; Gemini's are JSON."""


@record(frozen=True, slots=True)
class Outgoing:
    """What the messages of one request share while they are written."""

    profile: Profile
    names: Mapping[str, str]
    """The client's tool names -> what the provider accepts."""
    dropped: list[str] = field(default_factory=list)


def written_content(parts: Sequence[Part], where: str, out: Outgoing) -> Json:
    """Return user content: a string for a lone text, parts otherwise, None for nothing."""
    if len(parts) == 1 and isinstance(only := parts[0], Text):
        return only.text or None
    written = [
        part
        for index, one in enumerate(parts)
        if (part := _part(one, f"{where}.content[{index}]", out)) is not None
    ]
    if len(written) == 1 and written[0].get("type") == "text":
        return written[0]["text"]
    return [*written] if written else None


def written_media(media: Media, where: str, out: Outgoing) -> JsonObject:
    """Return one part for an image, a recording, a film or a document."""
    source = media.source
    if isinstance(source, VendorFile) and source.vendor != DIALECT:
        raise _cannot(where, "a file id of another vendor")
    match media.kind, source:
        case "image", Inline() | Remote():
            image: JsonObject = {"url": _url(source)}
            if media.detail:
                image["detail"] = media.detail
            return {"type": "image_url", "image_url": image}
        case "audio", Inline(mime, data) if mime in _AUDIO_FORMATS:
            return {
                "type": "input_audio",
                "input_audio": {"data": data, "format": _AUDIO_FORMATS[mime]},
            }
        case "document", _:
            return _document(media, where, out)
        case "video", Inline() | Remote() if out.profile.vendor == "glm":
            return {"type": "video_url", "video_url": {"url": _url(source)}}
        case _:
            raise _cannot(where, media.kind)


def written_call(call: ToolCall, out: Outgoing) -> JsonObject:
    """Return an entry of `tool_calls`; only who signed it may see its signature."""
    is_own = call.origin is not None and call.origin == out.profile.vendor
    return {
        "id": wire_id(call.id),
        "type": "function",
        "function": {
            "name": out.names.get(call.name, call.name),
            "arguments": written_arguments(call.arguments),
        },
        **(signed(call) if is_own else {}),
    }


def error_text(text: str) -> str:
    """Return what a failed tool said so that the failure shows: there is no field for it."""
    if text.lower().startswith(_SAYS_ERROR):
        return text
    return f"Error: {text}" if text else "Error: the tool failed"


def document_text(media: Media) -> str | None:
    """Return a document that is text, with what it is called; None for others."""
    match media.source:
        case PlainText(text):
            body = text
        case Inline(mime, data) if mime.startswith("text/"):
            try:
                body = base64.b64decode(data).decode()
            except (binascii.Error, ValueError):
                return None
        case _:
            return None
    head = [line for line in (media.title or media.filename, media.context) if line]
    return "\n\n".join(["\n".join(head), body] if head else [body])


def _part(part: Part, where: str, out: Outgoing) -> JsonObject | None:
    match part:
        case Text(text) | Refusal(text):
            return {"type": "text", "text": text} if text else None
        case Media():
            return written_media(part, where, out)
        case Opaque() if part.dialect == DIALECT:
            return part.payload
        case Opaque():
            raise _cannot(where, f"a block of type {str(part.payload.get('type'))[:64]}")
        case _:
            return None


def _document(media: Media, where: str, out: Outgoing) -> JsonObject:
    text = document_text(media)
    if text is not None:
        return {"type": "text", "text": text}
    match media.source:
        case VendorFile(_, file_id):
            return {"type": "file", "file": {"file_id": file_id}}
        case Inline() | Remote() as source if out.profile.vendor == "glm":
            return {"type": "file_url", "file_url": {"url": _url(source)}}
        case Inline():
            name = media.filename or media.title or "document.pdf"
            return {"type": "file", "file": {"filename": name, "file_data": _url(media.source)}}
        case _:
            raise _cannot(where, "a document behind an address")


def _url(source: Inline | Remote | VendorFile | PlainText) -> str:
    match source:
        case Inline(mime, data):
            return f"data:{mime};base64,{data}"
        case Remote(url):
            return url
        case _:
            return ""


def _cannot(where: str, what: str) -> Unrepresentable:
    return Unrepresentable(
        f"{where}: {what} cannot be sent to a provider of the Chat format", path=where
    )
