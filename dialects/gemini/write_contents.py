"""A conversation, written in the order that Gemini demands.

Turns of one role are one content. Every call is answered in the very next content, all answers
in the order of the calls and none missing; the first call of each step is signed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from dialects.anthropic.turns import PLACEHOLDER, no_prefill
from dialects.arguments import read_arguments
from dialects.fields import parse_lenient
from dialects.foreign import ESCAPE
from dialects.gemini.constants import DIALECT
from dialects.gemini.media import write_media
from dialects.gemini.outgoing import Outgoing
from dialects.names import wire_id
from dialects.properties import renamed_arguments
from models.chat import ChatRequest
from models.content import (
    Media,
    Message,
    Opaque,
    Part,
    PlainText,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject

_MAX_ID: Final = 64  # Claude behind Google's service reads the ids, too
_NOT_EXECUTED: Final[JsonObject] = {"error": "[tool call was not executed]"}


@dataclass(slots=True)
class Content:
    """A content that is being put together."""

    role: str
    parts: list[JsonObject] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)

    def payload(self) -> JsonObject:
        return {"role": self.role, "parts": [*self.parts]}


def write_contents(request: ChatRequest, out: Outgoing) -> list[Content]:
    """Return the conversation as contents that Gemini accepts."""
    return _Writer(request, out).contents()


def lacks_thoughts(contents: list[Content]) -> bool:
    """Say whether a tool loop is running whose last step does not begin with a thought."""
    steps = [at for at, content in enumerate(contents) if content.role == "model"]
    if not steps or not contents[steps[-1]].calls:
        return False
    return contents[steps[-1]].parts[0].get("thought") is not True


class _Writer:
    """Writes one message after the other; calls are answered as soon as their turn is over."""

    def __init__(self, request: ChatRequest, out: Outgoing) -> None:
        self._request = request
        self._out = out
        self._done: list[Content] = []
        self._results = {
            part.call_id: part
            for message in request.messages
            for part in message.parts
            if isinstance(part, ToolResult)  # of two for one call the later one counts
        }

    def contents(self) -> list[Content]:
        for index, message in enumerate(self._request.messages):
            where = message.path or f"messages[{index}]"
            if message.name is not None:
                self._out.dropped.append("name")
            match message.role:
                case "system":
                    self._system(message)
                case "user":
                    self._said(self._user(message, where))
                case "assistant":
                    self._model(message, where)
        self._answer()
        if not self._done or self._done[0].role == "model":
            self._done.insert(0, Content("user", [{"text": PLACEHOLDER}]))
        if self._done[-1].role == "model" and not self._out.profile.prefill:
            raise no_prefill()
        return self._done

    def _content(self, role: str) -> Content:
        if not self._done or self._done[-1].role != role:
            self._done.append(Content(role))
        return self._done[-1]

    # --- what is said -------------------------------------------------------------------------

    def _system(self, message: Message) -> None:
        """Fold system text into the user's turn: Gemini has it at the beginning only."""
        texts = [part.text for part in message.parts if isinstance(part, Text) and part.text]
        if texts:
            text = "\n\n".join(texts)
            self._said([{"text": f"<system-reminder>\n{text}\n</system-reminder>"}])

    def _said(self, parts: list[JsonObject]) -> None:
        self._answer()
        if parts:
            self._content("user").parts.extend(parts)

    def _user(self, message: Message, where: str) -> list[JsonObject]:
        return [
            written
            for at, part in enumerate(message.parts)
            if not isinstance(part, ToolResult)
            for written in self._part(part, f"{where}.parts[{at}]")
        ]

    def _model(self, message: Message, where: str) -> None:
        said: list[JsonObject] = []
        calls: list[ToolCall] = []
        for at, part in enumerate(message.parts):
            if isinstance(part, ToolCall):
                calls.append(part)
            else:
                said += self._part(part, f"{where}.parts[{at}]")
        if said and self._done and self._done[-1].calls:
            self._answer()
        if not said and not calls:
            return
        content = self._content("model")
        content.parts += said
        for call in calls:
            content.parts.append(self._call(call, is_first=not content.calls))
            content.calls.append(call)

    def _part(self, part: Part, where: str) -> list[JsonObject]:
        match part:
            case Text(text) | Refusal(text):
                self._note_lost(part)
                return [{"text": text}] if text and not text.isspace() else []
            case Reasoning():
                return self._thought(part)
            case Media():
                self._note_lost(part)
                return [write_media(part, where)]
            case Opaque(dialect=name, payload=payload) if name == DIALECT:
                return [payload]
            case Opaque(payload=payload):
                kind = str(payload.get("type"))[:64]
                raise Unrepresentable(
                    f"{where}: a block of type {kind} cannot be sent to a Gemini model", path=where
                )
            case _:
                return []

    def _thought(self, part: Reasoning) -> list[JsonObject]:
        """Return a thought to the vendor it came from; elsewhere it would mean nothing."""
        profile = self._out.profile
        is_own = part.origin is not None and part.origin == profile.vendor
        has_need = bool(part.signature) or (bool(part.text) and not profile.signed_thoughts)
        if not is_own or not has_need:
            self._out.dropped.append("reasoning")
            return []
        thought: JsonObject = {"text": part.text, "thought": True}
        return [{**thought, "thoughtSignature": part.signature} if part.signature else thought]

    def _call(self, call: ToolCall, *, is_first: bool) -> JsonObject:
        out = self._out
        arguments = renamed_arguments(
            read_arguments(call.arguments), out.properties.get(call.name, {})
        )
        written: JsonObject = {
            "functionCall": {
                "id": wire_id(call.id, limit=_MAX_ID),
                "name": out.names[call.name],
                "args": arguments,
            }
        }
        if call.signature and call.origin == out.profile.vendor:
            written["thoughtSignature"] = call.signature
        elif is_first and out.profile.signed_calls:
            written["thoughtSignature"] = ESCAPE
        return written

    # --- what tools said ----------------------------------------------------------------------

    def _answer(self) -> None:
        """Answer the calls of the turn before, if it had any."""
        if not self._done or not self._done[-1].calls:
            return
        calls = self._done[-1].calls
        answers, beside = self._content("user").parts, list[JsonObject]()
        for call in calls:
            answers.append(self._response(call, beside))
        answers.extend(beside)

    def _response(self, call: ToolCall, beside: list[JsonObject]) -> JsonObject:
        result = self._results.get(call.id)
        told: JsonObject = {
            "id": wire_id(call.id, limit=_MAX_ID),
            "name": self._out.names[call.name],
        }
        if result is None:
            return {"functionResponse": {**told, "response": _NOT_EXECUTED}}
        told["response"] = _response(result)
        media: list[Json] = [*self._media(result)]
        if media and self._out.profile.media_in_results:
            told["parts"] = media
        else:
            beside += [part for part in media if isinstance(part, dict)]
        return {"functionResponse": told}

    def _media(self, result: ToolResult) -> Iterable[JsonObject]:
        for at, part in enumerate(result.parts):
            self._note_lost(part)
            if isinstance(part, Media) and not isinstance(part.source, PlainText):
                yield write_media(part, f"{result.path or 'contents'}.parts[{at}]")
            elif isinstance(part, Opaque):
                where = f"{result.path or 'contents'}.parts[{at}]"
                kind = str(part.payload.get("type"))[:64]
                raise Unrepresentable(
                    f"{where}: a tool result of type {kind} cannot be sent to a Gemini model",
                    path=where,
                )

    def _note_lost(self, part: Part) -> None:
        """Name what parts of other formats have beyond their content."""
        match part:
            case Text():
                if part.citations:
                    self._out.dropped.append("citations")
            case Media(own=own, detail=detail):
                self._out.dropped.extend(own or {})
                if detail not in (None, "auto"):
                    self._out.dropped.append("detail")
            case _:
                pass


def _response(result: ToolResult) -> JsonObject:
    """Return what a tool said as the object that it has to be."""
    texts = [
        text
        for part in result.parts
        if (text := part.text if isinstance(part, Text) else _document(part))
    ]
    text = "\n".join(texts)
    said = parse_lenient(text.encode("utf-8", "replace")) if text.startswith("{") else None
    if said is not None and (not result.is_error or "error" in said):
        return said
    if result.is_error:
        return {"error": text or "the tool failed"}
    return {"output": text}


def _document(part: Part) -> str:
    if isinstance(part, Media) and isinstance(part.source, PlainText):
        return "\n".join(told for told in (part.title, part.context, part.source.text) if told)
    return ""


def system_parts(request: ChatRequest, instructions: Iterable[str]) -> Mapping[str, Json] | None:
    """Return `systemInstruction`, None when there is nothing to say."""
    texts = [text.text for text in request.system if text.text and not text.text.isspace()]
    parts: list[Json] = [{"text": text} for text in (*texts, *instructions)]
    return {"parts": parts} if parts else None
