"""Content blocks of the Messages format, read and written."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from dialects import fields
from dialects.arguments import arguments_text, read_arguments
from dialects.names import wire_id
from dialects.signatures import is_tag, untagged
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

DIALECT: Final = "messages"
VENDOR: Final = "anthropic"
MAX_ID: Final = 64

_IMAGE_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_CALL_TYPES: Final = frozenset({"tool_use", "thinking", "redacted_thinking"})
_RESULT_TYPES: Final = frozenset({"tool_result"})

# --- reading ----------------------------------------------------------------------------------


def read_content(value: Json, path: str, role: str) -> tuple[Part, ...]:
    """Read a message's `content`: a string or a list of blocks."""
    if isinstance(value, str):
        return (Text(value),)
    if not isinstance(value, list):
        raise fields.wrong(path, "a list or a string")
    parts: list[Part] = []
    for index, block in enumerate(value):
        where = f"{path}[{index}]"
        if not isinstance(block, dict):
            raise fields.wrong(where, "an object")
        _check_place(block, where, role)
        parts.extend(_read_block(block, where))
    return tuple(parts)


def read_texts(value: Json, path: str) -> tuple[Text, ...]:
    """Read text that may also be a list of text blocks, as `system` is."""
    if isinstance(value, str):
        return (Text(value),) if value else ()
    texts: list[Text] = []
    for part in read_content(value, path, "system"):
        if isinstance(part, Text):
            texts.append(part)
    return tuple(texts)


def _check_place(block: JsonObject, where: str, role: str) -> None:
    kind = fields.text(block, "type", where)
    misplaced = (
        (role == "system" and kind != "text")
        or (role != "assistant" and kind in _CALL_TYPES)
        or (role != "user" and kind in _RESULT_TYPES)
    )
    if misplaced:
        raise BadRequest(
            f"{where}.type: {kind!r} does not belong in a {role}", path=f"{where}.type"
        )


def _read_block(block: JsonObject, where: str) -> tuple[Part, ...]:
    reader = _READERS.get(fields.text(block, "type", where))
    return reader(block, where) if reader else (Opaque(DIALECT, block),)


def _read_text(block: JsonObject, where: str) -> tuple[Part, ...]:
    citations = fields.optional_objects(block, "citations", where)
    return (Text(fields.text(block, "text", where), _cache(block, where), tuple(citations)),)


def _read_image(block: JsonObject, where: str) -> tuple[Part, ...]:
    source = _read_source(fields.mapping(block, "source", where), f"{where}.source")
    if source is None:
        return (Opaque(DIALECT, block),)
    return (Media("image", source, cache=_cache(block, where)),)


def _read_document(block: JsonObject, where: str) -> tuple[Part, ...]:
    title = fields.optional_text(block, "title", where)
    context = fields.optional_text(block, "context", where)
    cache = _cache(block, where)
    raw, at = fields.mapping(block, "source", where), f"{where}.source"
    if raw.get("type") == "content":
        return _read_compound(raw, at, title, context, cache)
    source = _read_source(raw, at)
    if source is None:
        return (Opaque(DIALECT, block),)
    return (Media("document", source, title=title, context=context, cache=cache),)


def _read_compound(
    raw: JsonObject, at: str, title: str | None, context: str | None, cache: JsonObject | None
) -> tuple[Part, ...]:
    """Read a document made of blocks. Its images become parts of their own after its text."""
    parts = read_content(raw.get("content"), f"{at}.content", "document")
    text = "\n".join(part.text for part in parts if isinstance(part, Text))
    others = [part for part in parts if not isinstance(part, Text)]
    document = Media("document", PlainText(text), title=title, context=context, cache=cache)
    return (document, *others)


def _read_search_result(block: JsonObject, where: str) -> tuple[Part, ...]:
    source = fields.text(block, "source", where)
    title = fields.text(block, "title", where)
    texts = read_texts(block.get("content"), f"{where}.content")
    document = Media(
        "document",
        PlainText("\n".join(text.text for text in texts)),
        title=title,
        context=f"Source: {source}",
        cache=_cache(block, where),
    )
    return (document,)


def _read_source(source: JsonObject, where: str) -> Inline | Remote | VendorFile | PlainText | None:
    match fields.text(source, "type", where):
        case "base64":
            mime = fields.text(source, "media_type", where)
            return Inline(mime, fields.text(source, "data", where))
        case "url":
            return Remote(fields.text(source, "url", where))
        case "file":
            return VendorFile(DIALECT, fields.text(source, "file_id", where))
        case "text":
            return PlainText(fields.text(source, "data", where))
        case _:
            return None


def _read_tool_use(block: JsonObject, where: str) -> tuple[Part, ...]:
    arguments = arguments_text(fields.mapping(block, "input", where))
    return (
        ToolCall(
            _identifier(block, "id", where),
            _identifier(block, "name", where),
            arguments,
            _cache(block, where),
        ),
    )


def _read_tool_result(block: JsonObject, where: str) -> tuple[Part, ...]:
    value = block.get("content")
    parts = () if value is None else read_content(value, f"{where}.content", "tool result")
    kept = tuple(part for part in parts if isinstance(part, Text | Media | Opaque))
    is_error = fields.optional_bool(block, "is_error", where) or False
    return (
        ToolResult(_identifier(block, "tool_use_id", where), kept, is_error, _cache(block, where)),
    )


def _read_thinking(block: JsonObject, where: str) -> tuple[Part, ...]:
    text = fields.text(block, "thinking", where)
    return (reasoning(text, fields.optional_text(block, "signature", where)),)


def _read_redacted(block: JsonObject, where: str) -> tuple[Part, ...]:
    return (Reasoning("", origin=VENDOR, redacted=fields.text(block, "data", where)),)


def reasoning(text: str, signature: str | None) -> Reasoning:
    """Return reasoning with whose signature it is: our tag names it, else it is Anthropic's."""
    if not signature:
        return Reasoning(text)
    if is_tag(signature):
        found = untagged(signature)
        return Reasoning(text, found[1], found[0]) if found else Reasoning(text)
    return Reasoning(text, signature, VENDOR)


def _identifier(block: JsonObject, key: str, where: str) -> str:
    value = fields.text(block, key, where)
    if not value:
        raise fields.wrong(fields.join(where, key), "a string that is not empty")
    return value


def _cache(block: JsonObject, where: str) -> JsonObject | None:
    return fields.optional_mapping(block, "cache_control", where)


_READERS: Final[Mapping[str, Callable[[JsonObject, str], tuple[Part, ...]]]] = {
    "text": _read_text,
    "image": _read_image,
    "document": _read_document,
    "search_result": _read_search_result,
    "tool_use": _read_tool_use,
    "tool_result": _read_tool_result,
    "thinking": _read_thinking,
    "redacted_thinking": _read_redacted,
}

# --- writing ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What the blocks of one request share while they are written."""

    names: Mapping[str, str]
    """The client's tool names -> what Anthropic accepts."""
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
        "input": read_arguments(part.arguments),
    }
    return _with_cache(block, part.cache)


def _write_result(part: ToolResult, where: str, out: Outgoing) -> JsonObject:
    block: JsonObject = {"type": "tool_result", "tool_use_id": wire_call_id(part.call_id)}
    content: list[Json] = [*write_parts(part.parts, where, "user", out)]
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
    return _with_cache(block, part.cache)


def _write_source(part: Media, where: str) -> JsonObject:
    match part.source:
        case Inline(mime, data) if part.kind == "document" and mime.startswith("text/"):
            return _text_source(_decoded(data, where))
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
    return wire_id(call_id, limit=MAX_ID, prefix="toolu_")


def collapsed(blocks: list[Json]) -> Json:
    """Return a lone plain text as the string that it is, everything else as blocks."""
    if len(blocks) == 1:
        only = blocks[0]
        if isinstance(only, dict) and only.keys() == {"type", "text"}:
            return only["text"]
    return blocks
