"""Content blocks of the Messages format, written for a provider."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import field
from typing import Final

from dialects.anthropic.read_content import DIALECT, VENDOR
from dialects.arguments import read_arguments
from dialects.names import wire_id
from dialects.properties import renamed_arguments
from models.content import (
    Inline,
    Media,
    Opaque,
    Part,
    PlainText,
    Reasoning,
    Refusal,
    Remote,
    Text,
    ToolCall,
    ToolResult,
    VendorFile,
)
from models.errors import BadRequest, Unrepresentable
from models.json_types import Json, JsonObject
from models.record import record

_MAX_ID: Final = 64
_IMAGE_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@record(frozen=True, slots=True)
class Outgoing:
    """What the blocks of one request share while they are written."""

    names: Mapping[str, str]
    """The client's tool names -> what Anthropic accepts."""
    properties: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The client's name of a tool -> (its property -> what Anthropic accepts)."""
    dropped: list[str] = field(default_factory=list)


def write_parts(parts: tuple[Part, ...], path: str, role: str, out: Outgoing) -> list[JsonObject]:
    """Return the blocks of a turn; what Anthropic would refuse as empty is left out."""
    blocks = []
    for index, part in enumerate(parts):
        block = _write_part(part, f"{path}[{index}]", role, out)
        if block is not None:
            blocks.append(block)
    return blocks


def write_text(text: Text) -> JsonObject | None:
    """Return a text block; None for blank text, which is refused."""
    if not text.text or text.text.isspace():
        return None
    return _with_cache({"type": "text", "text": text.text}, text.cache)


def _write_part(part: Part, where: str, role: str, out: Outgoing) -> JsonObject | None:
    match part:
        case Text():
            block = write_text(part)
            if block is not None and part.citations and role == "assistant":
                block["citations"] = list(part.citations)
            return block
        case Refusal():
            return write_text(Text(part.text))
        case ToolCall():
            return _write_call(part, out)
        case ToolResult():
            return _write_result(part, where, out)
        case Reasoning():
            return _write_reasoning(part, out)
        case Media() if role == "assistant":
            out.dropped.append(part.kind)
            return None
        case Media():
            return _write_media(part, where, out)
        case Opaque():
            if part.dialect != DIALECT:
                raise _cannot(where, f"a block of type {part.payload.get('type')!r}")
            return part.payload


def _write_call(part: ToolCall, out: Outgoing) -> JsonObject:
    block: JsonObject = {
        "type": "tool_use",
        "id": wire_call_id(part.id),
        "name": out.names.get(part.name, part.name),
        "input": renamed_arguments(
            read_arguments(part.arguments), out.properties.get(part.name, {})
        ),
    }
    return _with_cache(block, part.cache)


def _write_result(part: ToolResult, where: str, out: Outgoing) -> JsonObject:
    block: JsonObject = {"type": "tool_result", "tool_use_id": wire_call_id(part.call_id)}
    content: list[Json] = [*write_parts(part.parts, f"{part.path or where}.content", "user", out)]
    if content:
        block["content"] = collapsed(content)
    if part.is_error:
        block["is_error"] = True
    return _with_cache(block, part.cache)


def _write_reasoning(part: Reasoning, out: Outgoing) -> JsonObject | None:
    if part.origin == VENDOR and part.redacted is not None:
        return {"type": "redacted_thinking", "data": part.redacted}
    if part.origin == VENDOR and part.signature:
        return {"type": "thinking", "thinking": part.text, "signature": part.signature}
    # Unsigned or foreign thinking is refused; as plain text it would change who said it.
    out.dropped.append("reasoning")
    return None


def _write_media(part: Media, where: str, out: Outgoing) -> JsonObject:
    if part.kind not in ("image", "document"):
        raise _cannot(where, part.kind)
    if part.detail not in (None, "auto"):
        out.dropped.append("detail")
    block: JsonObject = {"type": part.kind, "source": _write_source(part, where)}
    title = part.title or part.filename
    if part.kind == "document" and title:
        block["title"] = title
    if part.kind == "document" and part.context:
        block["context"] = part.context
    block.update(part.own or {})
    return _with_cache(block, part.cache)


def _write_source(part: Media, where: str) -> JsonObject:
    match part.source:
        case Inline(mime, data) if part.kind == "document" and mime.startswith("text/"):
            return _text_source(_decoded(data, where))
        case Inline("image/jpg", data) if part.kind == "image":
            # No registered type, but what many clients call it.
            return {"type": "base64", "media_type": "image/jpeg", "data": data}
        case Inline(mime, data):
            allowed = _IMAGE_TYPES if part.kind == "image" else {"application/pdf"}
            if mime not in allowed:
                raise _cannot(where, f"{part.kind} of type {mime!r}")
            return {"type": "base64", "media_type": mime, "data": data}
        case Remote(url):
            return {"type": "url", "url": url}
        case PlainText(text) if part.kind == "document":
            return _text_source(text)
        case VendorFile(vendor, file_id) if vendor == DIALECT:
            return {"type": "file", "file_id": file_id}
        case _:
            raise _cannot(where, "a file id of another vendor")


def _text_source(text: str) -> JsonObject:
    return {"type": "text", "media_type": "text/plain", "data": text}


def _decoded(data: str, where: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"{where}: expected UTF-8 text as base64", path=where) from error


def _cannot(where: str, what: str) -> Unrepresentable:
    return Unrepresentable(f"{where}: {what} cannot be sent to an Anthropic model", path=where)


def _with_cache(block: JsonObject, cache: JsonObject | None) -> JsonObject:
    if cache is not None:
        block["cache_control"] = cache
    return block


def wire_call_id(call_id: str) -> str:
    """Return the id of a tool call in Anthropic's alphabet; the same for the same id."""
    return wire_id(call_id, limit=_MAX_ID, prefix="toolu_")


def collapsed(blocks: list[Json]) -> Json:
    """Return a lone plain text as the string that it is, everything else as blocks."""
    if len(blocks) == 1:
        only = blocks[0]
        if isinstance(only, dict) and only.keys() == {"type", "text"}:
            return only["text"]
    return blocks
