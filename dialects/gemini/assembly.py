"""Answers of the Gemini format, whole or in chunks, put together into events.

Each chunk is an answer of its own that continues the one before. Runs of text and of thoughts
join across chunks; calls and media come whole. Nothing but the end of the stream says that the
answer is complete: a finish reason may be followed by more.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from dialects.arguments import arguments_text
from dialects.fields import Mender, mended
from dialects.gemini.constants import CLAUDE, DIALECT, VENDOR
from dialects.gemini.errors import upstream_error
from dialects.gemini.finish import UNSIGNED, read_finish
from dialects.gemini.grounding import read_grounding
from dialects.gemini.media import inline_of
from dialects.gemini.signed import read_signature
from dialects.gemini.usage import read_usage
from dialects.scrub import scrubbed
from dialects.signatures import Signature, brought_back
from dialects.template import Template
from models.chat import FinishReason
from models.content import Media, Opaque, Part, Reasoning, Text, ToolCall
from models.errors import StreamBroken, UpstreamError
from models.events import Delta, Event, Failed, Finish, PartEnd, PartStart, Progress, Start
from models.json_types import Json, JsonObject
from models.usage import NO_USAGE

_OPAQUE: Final = frozenset(
    {
        "executableCode",
        "codeExecutionResult",
        "toolCall",
        "toolResponse",
        "fileData",
        "functionResponse",
    }
)
_NOT_LONE: Final = frozenset({"finishReason", "groundingMetadata"})


class Assembly:
    """Turns parsed answers into events. After `is_done` nothing more comes out."""

    def __init__(self, origin: str = "") -> None:
        """`origin`: whose signatures these are; found by the model's name where it is empty."""
        self.is_done = False
        self._origin = origin
        self._started: Start | None = None
        self._open: Text | Reasoning | None = None
        self._template = Template()  # of the chunks that bring more of an open text
        self._mender = Mender()
        self._calls: set[str] = set()
        self._has_parts = False
        self._reason = ""
        self._explanation = ""
        self._is_blocked = False
        self._usage = NO_USAGE
        self._told: list[str] = []  # the open text
        self._grounding: JsonObject = {}
        self._out: list[Event] = []

    def more(self, frames: Sequence[bytes], at: int) -> list[str]:
        """Return what the frames from `at` on that are like the one before add to the open text."""
        texts = self._template.texts(frames, at)
        if texts:
            texts[0] = self._mender.push(texts[0])  # only what came before is cut in a character
            self._told += texts
        return texts

    def chunk(self, payload: JsonObject, data: bytes, frame: bytes = b"") -> list[Event]:
        """Return the events of one answer. `data` are its bytes, kept with an error; `frame` is
        what they came in."""
        if self.is_done:
            return []
        if isinstance(self._open, Text) and (text := _lone_text(payload)):
            self._tell(text)
            if "usageMetadata" in payload:  # as Google's own have: no two of its chunks are alike
                self._count(payload)
            else:
                self._template.learn(frame, text, _lone_text)
            return self._taken()
        if "error" in payload:
            return self.failed(upstream_error(payload, data))
        if self._started is None:
            self._start(payload)
        candidate = _candidate(payload)
        if candidate is not None:
            for part in _list(_object(candidate, "content"), "parts"):
                if isinstance(part, dict):
                    self._part(part)
            if "finishReason" in candidate:
                self._finish(candidate)
            self._grounding = _object(candidate, "groundingMetadata") or self._grounding
        elif _object(payload, "promptFeedback").get("blockReason"):
            self._is_blocked = True
        if "usageMetadata" in payload:
            self._count(payload)
        return self._taken()

    def complete(self) -> list[Event]:
        """There is no more: the answer is complete if a reason for that was told."""
        if self.is_done:
            return []
        if self._reason == UNSIGNED:
            return self.failed(UpstreamError("the model misses a signature of its own thoughts"))
        if self._started is None or not (self._reason or self._is_blocked):
            return self.failed(StreamBroken("the provider's answer ended before it was complete"))
        self._cite()
        self._close()
        reason = read_finish(self._reason, has_calls=bool(self._calls))
        if self._is_blocked and not self._reason:
            reason = FinishReason.CONTENT_FILTER
        if reason is FinishReason.MALFORMED and not self._has_parts and self._explanation:
            told = Delta(scrubbed(self._explanation, "the model's answer is malformed"))
            self._out += [PartStart(Text("")), told, PartEnd()]
        self._end()
        self._out.append(Finish(reason, usage=self._usage))
        return self._taken()

    def failed(self, error: UpstreamError) -> list[Event]:
        """The answer broke off."""
        if self.is_done:
            return []
        self._end()
        return [*self._taken(), Failed(error)]

    def _end(self) -> None:
        self.is_done = True
        self._template.forget()

    def _taken(self) -> list[Event]:
        out, self._out = self._out, []
        return out

    # --- the answer ---------------------------------------------------------------------------

    def _start(self, payload: JsonObject) -> None:
        model = _text(payload, "modelVersion")
        self._origin = self._origin or (CLAUDE if model.startswith("claude") else VENDOR)
        created = _epoch(payload.get("createTime"))
        self._started = Start(_text(payload, "responseId"), model, created)
        self._out.append(self._started)

    def _count(self, payload: JsonObject) -> None:
        usage = read_usage(payload)
        if usage not in (NO_USAGE, self._usage):
            self._usage = self._usage.updated(usage)
            self._out.append(Progress(self._usage))

    def _finish(self, candidate: JsonObject) -> None:
        self._reason = _text(candidate, "finishReason") or self._reason
        self._explanation = _text(candidate, "finishMessage") or self._explanation

    # --- parts --------------------------------------------------------------------------------

    def _part(self, part: JsonObject) -> None:
        if len(part) == 1 and "text" in part:  # as nearly all are
            self._text(Text, _raw_text(part))
            return
        call, blob = part.get("functionCall"), part.get("inlineData")
        if isinstance(call, dict):
            self._call(call, part)
        elif blob is not None:
            media = None if part.get("thought") is True else inline_of(blob)
            if media is not None:  # sketches made while thinking are no part of the answer
                self._whole(media)
        elif not _OPAQUE.isdisjoint(part):
            self._whole(Opaque(DIALECT, part))
        elif part.get("thought") is True:
            self._thought(_raw_text(part), read_signature(_text(part, "thoughtSignature")))
        else:
            # A signature of plain text is Google's advice, not its demand: it has no place here.
            self._text(Text, _raw_text(part))

    def _thought(self, text: str, signature: Signature | None) -> None:
        if signature is not None and signature.of == "redacted":  # as we ourselves tell it
            self._whole(brought_back(signature, ""))
            return
        if text or (signature is not None and not isinstance(self._open, Reasoning)):
            self._text(Reasoning, text, is_forced=True)
        if signature is not None:
            self._out.append(Delta(signature=signature.value))
            self._close()

    def _text(
        self, kind: type[Text] | type[Reasoning], text: str, *, is_forced: bool = False
    ) -> None:
        if not text and not is_forced:
            return
        if not isinstance(self._open, kind):
            self._close()
            self._open = Text("") if kind is Text else Reasoning("", origin=self._origin)
            self._told = []
            self._begin(self._open)
        self._tell(text)

    def _tell(self, text: str) -> None:
        text = self._mender.push(text)
        if text:
            self._told.append(text)
            self._out.append(Delta(text))

    def _cite(self) -> None:
        """Tell what the last text is grounded in, which is known at its end."""
        if self._grounding and isinstance(self._open, Text):
            pages = read_grounding(self._grounding, "".join(self._told))
            self._out += [Delta(citation=page) for page in pages]

    def _call(self, call: JsonObject, part: JsonObject) -> None:
        self._close()
        number = len(self._calls)
        name = _text(call, "name") or f"tool_{number}"
        arguments = _arguments(call.get("args"))
        call_id = _text(call, "id")
        if not call_id or call_id in self._calls:
            call_id = self._made_up(number, name, arguments)
        self._calls.add(call_id)
        found = read_signature(_text(part, "thoughtSignature"))
        signature, origin = (found.value, self._origin) if found is not None else (None, None)
        self._begin(ToolCall(call_id, name, "", signature=signature, origin=origin))
        if arguments:
            self._out.append(Delta(arguments))
        self._out.append(PartEnd())

    def _made_up(self, number: int, name: str, arguments: str) -> str:
        """Return an id that is the same however the stream is cut, and another in each answer."""
        started = self._started or Start("", "")
        seed = repr((started.id, started.model, number, name, arguments))
        digest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()
        return f"call_{digest[:24]}"

    def _whole(self, part: Media | Opaque | Reasoning) -> None:
        self._close()
        self._begin(part)
        self._out.append(PartEnd())

    def _begin(self, part: Part) -> None:
        self._has_parts = True
        self._out.append(PartStart(part))

    def _close(self) -> None:
        if self._open is None:
            return
        self._open = None
        self._template.forget()
        rest = self._mender.flush()
        if rest:
            self._out.append(Delta(rest))
        self._out.append(PartEnd())


def _lone_text(payload: JsonObject) -> str:
    """Return the text of a chunk that holds nothing else, as nearly all do; "" for any other."""
    candidates = payload.get("candidates")
    if not isinstance(candidates, list) or len(candidates) != 1 or "error" in payload:
        return ""
    candidate = candidates[0]
    if not isinstance(candidate, dict) or not _NOT_LONE.isdisjoint(candidate):
        return ""
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list) or len(parts) != 1 or candidate.get("index"):
        return ""
    part = parts[0]
    text = part.get("text") if isinstance(part, dict) and len(part) == 1 else None
    return text if isinstance(text, str) else ""


def _candidate(payload: JsonObject) -> JsonObject | None:
    """Return the first answer; the others were not asked for."""
    for candidate in _list(payload, "candidates"):
        if isinstance(candidate, dict) and candidate.get("index") in (None, 0):
            return candidate
    return None


def _arguments(value: Json) -> str:
    if value is None or isinstance(value, str):
        return mended(value or "")
    return arguments_text(value)


def _raw_text(part: JsonObject) -> str:
    value = part.get("text")
    return value if isinstance(value, str) else ""


def _text(payload: JsonObject, key: str) -> str:
    value = payload.get(key)
    return mended(value) if isinstance(value, str) else ""


def _object(payload: JsonObject, key: str) -> JsonObject:
    value = payload.get(key)
    return value if isinstance(value, dict) else {}


def _list(payload: JsonObject, key: str) -> list[Json]:
    value = payload.get(key)
    return value if isinstance(value, list) else []


def _epoch(value: Json) -> int:
    if not isinstance(value, str):
        return 0
    try:
        moment = datetime.fromisoformat(value)
        return max(0, int(moment.timestamp())) if moment.tzinfo is not None else 0
    except (ValueError, OverflowError):
        return 0
