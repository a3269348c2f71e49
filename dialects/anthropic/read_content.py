"""Content blocks of the Messages format, read."""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from dialects import fields
from dialects.arguments import arguments_text
from dialects.signatures import Signature, brought_back, is_tag, untagged
from models.content import (
    Inline,
    Media,
    Opaque,
    Part,
    PlainText,
    Reasoning,
    Remote,
    Text,
    ToolCall,
    ToolResult,
    VendorFile,
)
from models.errors import BadRequest
from models.json_types import Json, JsonObject
from models.record import replace

DIALECT: Final = "messages"
VENDOR: Final = "anthropic"

_Source: TypeAlias = Inline | Remote | VendorFile | PlainText

_SPEAKERS: Final[Mapping[str, str]] = {
    "redacted_thinking": "assistant",
    "thinking": "assistant",
    "tool_result": "user",
    "tool_use": "assistant",
}
"""Blocks that only one role may say. A `system` says nothing but text."""


def read_content(value: Json, path: str, role: str) -> tuple[Part, ...]:
    """Read a message's `content`: a string or a list of blocks."""
    if isinstance(value, str):
        return (Text(value),)
    if not isinstance(value, list):
        raise fields.wrong(path, "a list or a string")
    parts: list[Part] = []
    signed: Signature | None = None
    for index, block in enumerate(value):
        where = f"{path}[{index}]"
        if not isinstance(block, dict):
            raise fields.wrong(where, "an object")
        kind = _kind(block, where, role)
        if kind == "thinking" and (carried := _carried(block)) is not None:
            signed = carried
            continue
        reader = _READERS.get(kind)
        for part in reader(block, where) if reader else (Opaque(DIALECT, block),):
            if signed is not None and isinstance(part, ToolCall):
                part, signed = replace(part, signature=signed.value, origin=signed.vendor), None
            parts.append(part)
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


def _kind(block: JsonObject, where: str, role: str) -> str:
    """Return the type of a block, which must be one that its role may say."""
    kind = fields.text(block, "type", where)
    if kind == "text" or (role != "system" and _SPEAKERS.get(kind, role) == role):
        return kind
    path = f"{where}.type"
    raise BadRequest(f"{path}: {kind!r} does not belong in a {role}", path=path)


def _carried(block: JsonObject) -> Signature | None:
    """Return the signature of the next tool call, where a thinking block carries one."""
    signature = block.get("signature")
    found = untagged(signature) if isinstance(signature, str) else None
    return found if found is not None and found.of == "call" else None


def _read_text(block: JsonObject, where: str) -> tuple[Part, ...]:
    citations = tuple(fields.optional_objects(block, "citations", where))
    return (Text(fields.text(block, "text", where), _cache(block, where), citations),)


def _read_image(block: JsonObject, where: str) -> tuple[Part, ...]:
    source = _read_source(fields.mapping(block, "source", where), f"{where}.source")
    if source is None:
        return (Opaque(DIALECT, block),)
    own = fields.optional_mapping(block, "transformations", where)
    told: JsonObject | None = {"transformations": own} if own else None
    return (Media("image", source, cache=_cache(block, where), own=told),)


def _read_document(block: JsonObject, where: str) -> tuple[Part, ...]:
    title = fields.optional_text(block, "title", where)
    context = fields.optional_text(block, "context", where)
    raw, at = fields.mapping(block, "source", where), f"{where}.source"
    source, others = _read_document_source(raw, at)
    if source is None:
        return (Opaque(DIALECT, block),)
    document = Media(
        "document",
        source,
        title=title,
        context=context,
        cache=_cache(block, where),
        own=_citations(block, where),
    )
    return (document, *others)


def _read_document_source(raw: JsonObject, at: str) -> tuple[_Source | None, tuple[Part, ...]]:
    """Read a source; the images of one made of blocks become parts after its text."""
    if raw.get("type") != "content":
        return _read_source(raw, at), ()
    parts = read_content(raw.get("content"), f"{at}.content", "document")
    text = "\n".join(part.text for part in parts if isinstance(part, Text))
    return PlainText(text), tuple(part for part in parts if not isinstance(part, Text))


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
        own=_citations(block, where),
    )
    return (document,)


def _citations(block: JsonObject, where: str) -> JsonObject | None:
    """Return the wish that the answer cites this block."""
    wish = fields.optional_mapping(block, "citations", where)
    return {"citations": wish} if wish and wish.get("enabled") else None


def _read_source(source: JsonObject, where: str) -> _Source | None:
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
    return (
        ToolResult(
            _identifier(block, "tool_use_id", where),
            kept,
            is_error=fields.optional_bool(block, "is_error", where) or False,
            cache=_cache(block, where),
            path=where,
        ),
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
        return brought_back(found, text) if found else Reasoning(text)
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
