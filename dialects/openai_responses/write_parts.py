"""Neutral parts, written as content of Responses items."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Final

from dialects.openai_chat.write_parts import document_text
from dialects.openai_responses.read_parts import DIALECT
from models.content import Inline, Media, Opaque, Part, Refusal, Remote, Text, VendorFile
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject
from models.profile import Profile
from models.record import record

_AUDIO_FORMATS: Final = {
    "audio/mp3": "mp3",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
}


@record(frozen=True, slots=True)
class Outgoing:
    """What the items of one request share while they are written."""

    profile: Profile
    names: Mapping[str, str]
    """The client's tool names -> what the provider accepts."""
    custom: frozenset[str]
    """The client's names of tools that take free text."""
    dropped: list[str] = field(default_factory=list)


def written_content(parts: Sequence[Part], where: str, out: Outgoing) -> list[Json]:
    """Return content parts for what a user says or a tool answers."""
    return [
        part
        for index, one in enumerate(parts)
        if (part := _part(one, f"{where}[{index}]", out)) is not None
    ]


def cannot(where: str, what: str) -> Unrepresentable:
    """Return the error for content that this format has no room for."""
    return Unrepresentable(
        f"{where}: {what} cannot be sent to a provider of the Responses format", path=where
    )


def opaque(part: Opaque, where: str) -> JsonObject:
    """Return what only this format knows. Raises Unrepresentable for another's."""
    if part.dialect != DIALECT:
        raise cannot(where, f"a block of type {str(part.payload.get('type'))[:64]}")
    return part.payload


def _part(part: Part, where: str, out: Outgoing) -> JsonObject | None:
    match part:
        case Text(text) | Refusal(text):
            return {"type": "input_text", "text": text} if text else None
        case Media():
            out.dropped.extend(part.own or {})
            return _media(part, where)
        case Opaque():
            return opaque(part, where)
        case _:
            return None


def _media(media: Media, where: str) -> JsonObject:
    source = media.source
    if isinstance(source, VendorFile) and source.vendor != DIALECT:
        raise cannot(where, "a file id of another vendor")
    match media.kind, source:
        case "image", Inline() | Remote() | VendorFile():
            return {"type": "input_image", **_image(source), "detail": media.detail or "auto"}
        case "audio", Inline(mime, data) if mime in _AUDIO_FORMATS:
            audio: JsonObject = {"data": data, "format": _AUDIO_FORMATS[mime]}
            return {"type": "input_audio", "input_audio": audio}
        case "document", _:
            return _document(media)
        case _:
            raise cannot(where, media.kind)


def _image(source: Inline | Remote | VendorFile) -> JsonObject:
    match source:
        case Inline(mime, data):
            return {"image_url": f"data:{mime};base64,{data}"}
        case Remote(url):
            return {"image_url": url}
        case VendorFile(_, file_id):
            return {"file_id": file_id}


def _document(media: Media) -> JsonObject:
    text = document_text(media)
    name = media.filename or media.title
    match media.source:
        case _ if text is not None:
            return {"type": "input_text", "text": text}
        case Inline(mime, data):
            url = f"data:{mime};base64,{data}"
            return {"type": "input_file", "filename": name or "document.pdf", "file_data": url}
        case Remote(url):
            return {"type": "input_file", "file_url": url}
        case VendorFile(_, file_id):
            return {"type": "input_file", "file_id": file_id}
        case _:
            return {"type": "input_text", "text": ""}
