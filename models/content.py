"""What a conversation is made of, in no vendor's terms.

Every field that only one vendor knows is marked, and is carried back to that vendor alone.
"""

from dataclasses import field
from typing import Literal, TypeAlias

from models.json_types import JsonObject
from models.record import record

MediaKind: TypeAlias = Literal["image", "audio", "video", "document"]
Role: TypeAlias = Literal["system", "user", "assistant"]


@record(frozen=True, slots=True)
class Text:
    """Plain text. May be empty; encoders drop it where their vendor refuses it."""

    text: str
    cache: JsonObject | None = None
    """Anthropic's `cache_control`, kept for Anthropic only."""
    citations: tuple[JsonObject, ...] = ()
    """What the text cites: Anthropic's objects as they came, or those of `dialects.citations`."""


@record(frozen=True, slots=True)
class Inline:
    """Media bytes as base64 in the standard alphabet, padded."""

    mime: str
    data: str = field(repr=False)


@record(frozen=True, slots=True)
class Remote:
    """Media behind an address that the vendor fetches."""

    url: str


@record(frozen=True, slots=True)
class VendorFile:
    """A file id that only `vendor` (a dialect name) understands."""

    vendor: str
    file_id: str


@record(frozen=True, slots=True)
class PlainText:
    """A document whose content is text."""

    text: str = field(repr=False)


@record(frozen=True, slots=True)
class Media:
    """An image, a recording, a film or a document."""

    kind: MediaKind
    source: Inline | Remote | VendorFile | PlainText
    filename: str | None = None
    title: str | None = None
    context: str | None = None
    detail: str | None = None
    """OpenAI's image detail."""
    cache: JsonObject | None = None
    own: JsonObject | None = None
    """What only Anthropic knows (`citations`, `transformations`), kept for Anthropic only."""


@record(frozen=True, slots=True)
class Reasoning:
    """What the model thought. The signature is valid only at `origin`."""

    text: str
    signature: str | None = None
    origin: str | None = None
    """Vendor family that made it (`Profile.vendor`); None when unsigned and unknown."""
    redacted: str | None = None
    """Anthropic's encrypted block; `text` is then empty."""


@record(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool. `id` is never empty and unique in the request."""

    id: str
    name: str
    arguments: str
    """JSON text exactly as it came; may be empty (means `{}`) or invalid."""
    cache: JsonObject | None = None
    signature: str | None = None
    """Gemini signs calls, too: it wants its signature back with the call. Valid at `origin`."""
    origin: str | None = None


@record(frozen=True, slots=True)
class ToolResult:
    """What a tool answered to the call `call_id`."""

    call_id: str
    parts: tuple["Text | Media | Opaque", ...]
    is_error: bool = False
    cache: JsonObject | None = None
    path: str = field(default="", compare=False)
    """Where it stood in the client's body, for errors."""


@record(frozen=True, slots=True)
class Refusal:
    """The model's refusal, where a vendor has a field of its own for it."""

    text: str


@record(frozen=True, slots=True)
class Opaque:
    """A block that only `dialect` understands; it goes back there or is refused elsewhere."""

    dialect: str
    payload: JsonObject


Part: TypeAlias = Text | Media | Reasoning | ToolCall | ToolResult | Refusal | Opaque


@record(frozen=True, slots=True)
class Message:
    """One turn. `system` occurs here only in the middle of a conversation."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    path: str = field(default="", compare=False)
    """Where it stood in the client's body, for errors."""
