"""Parts of an answer, written for a Gemini client."""

from dialects.arguments import RAW, read_arguments
from dialects.fields import parse_lenient
from dialects.gemini.constants import DIALECT
from dialects.gemini.signed import written_signature
from models.chat import ChatRequest
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
)
from models.json_types import Json, JsonObject


def shows_thoughts(request: ChatRequest) -> bool:
    """Say whether the client asked for thoughts: it gets none unasked."""
    return request.thinking.shown is True


class PartWriter:
    """Writes parts one after the other.

    Where thoughts are not shown they and their signature still have to come back with the next
    request: they travel with the part after them.
    """

    def __init__(self, *, shows: bool) -> None:
        self.has_calls = False
        self.is_malformed = False
        """A call was left out because its arguments are no JSON."""
        self.held: str | None = None
        """A signature that waits for a part to travel with."""
        self._shows = shows

    def write(self, part: Part) -> list[JsonObject]:
        """Return the parts for one; empty text says nothing and is left out."""
        match part:
            case Text(text) | Refusal(text):
                return [self._signed({"text": text})] if text else []
            case Reasoning():
                return self._thought(part)
            case ToolCall():
                return self._call(part)
            case Media():
                return [self._signed(_media(part))]
            case Opaque(dialect=name, payload=payload) if name == DIALECT:
                return [payload]
            case _:
                return []

    def rest(self) -> list[JsonObject]:
        """Return what is left to say when the answer ends."""
        return [self._signed({"text": ""})] if self.held else []

    def _signed(self, part: JsonObject) -> JsonObject:
        signature, self.held = self.held, None
        return {**part, "thoughtSignature": signature} if signature else part

    def _thought(self, part: Reasoning) -> list[JsonObject]:
        signature = written_signature(part, is_hidden=not self._shows)
        if not self._shows:
            return self._hold(signature)
        if not part.text and signature is None:
            return []
        thought: JsonObject = {"text": part.text, "thought": True}
        return [{**thought, "thoughtSignature": signature} if signature else thought]

    def _call(self, call: ToolCall) -> list[JsonObject]:
        arguments = _whole_arguments(call.arguments)
        if arguments is None:
            self.is_malformed = True
            return []
        self.has_calls = True
        before = self._hold(written_signature(call))
        called: JsonObject = {"id": call.id, "name": call.name, "args": arguments}
        return [*before, self._signed({"functionCall": called})]

    def _hold(self, signature: str | None) -> list[JsonObject]:
        """Keep a signature for the next part; the one that waited until now goes by itself."""
        before = self.rest() if signature else []
        self.held = signature or self.held
        return before


def _whole_arguments(text: str) -> JsonObject | None:
    """Return arguments as an object; None where they are no JSON at all."""
    found = read_arguments(text)
    is_raw = found.keys() == {RAW} and found[RAW] == text
    return (
        None
        if is_raw and parse_lenient(f'{{"x":{text}}}'.encode("utf-8", "replace")) is None
        else found
    )


def _media(part: Media) -> JsonObject:
    match part.source:
        case Inline(mime, data):
            return {"inlineData": {"mimeType": mime, "data": data}}
        case Remote(url):
            return {"fileData": {"fileUri": url}}
        case PlainText(text):
            return {"text": text}
        case source:
            return {"fileData": {"fileUri": source.file_id}}


def content(parts: list[JsonObject]) -> JsonObject:
    """Return a model's content; without parts it has no list of them."""
    listed: list[Json] = [*parts]
    return {"parts": listed, "role": "model"} if listed else {"role": "model"}
