"""Chunks of a Chat answer, put together into parts that never overlap.

The parts form a queue. Its head is open and streams; what comes for later parts waits. A run
of text ends when something else begins. A tool call ends when something else has begun and
its arguments are a complete object, for servers may interleave the fragments of their calls.
"""

import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from dialects.citations import read_annotations
from dialects.fields import Mender, mended
from dialects.openai_chat.errors import network_error, stream_failure
from dialects.openai_chat.finish import NETWORK_ERROR, read_finish
from dialects.openai_chat.tool_deltas import Call, Calls
from dialects.openai_chat.usage import read_usage
from models.content import Part, Reasoning, Refusal, Text, ToolCall
from models.errors import StreamBroken, UpstreamError
from models.events import Delta, Event, Failed, Finish, PartEnd, PartStart, Progress, Start
from models.json_types import Json, JsonObject
from models.usage import NO_USAGE

RunKind: TypeAlias = type[Text] | type[Reasoning] | type[Refusal]

_REASONING_KEYS: Final = ("reasoning_content", "reasoning")
_USUAL_KEYS: Final[Mapping[RunKind, str]] = {
    Text: "content",
    Reasoning: "reasoning_content",
    Refusal: "refusal",
}


@dataclass(slots=True, eq=False)
class _Run:
    """Text of one kind without interruption."""

    kind: RunKind
    is_first: bool = True
    """No text of its kind stands before it."""
    waiting: list[str] = field(default_factory=list)
    cited: list[JsonObject] = field(default_factory=list)


class Assembly:
    """Turns parsed chunks into events. After `is_done` nothing more comes out."""

    def __init__(self, vendor: str = "") -> None:
        self.is_done = False
        self._origin = vendor or None
        self._started: Start | None = None
        self._queue: deque[_Run | Call] = deque()
        self._is_open = False
        self._continuing = ""  # the field that brings more of an open run of text
        self._mender = Mender()
        self._calls = Calls()
        self._made_up = 0
        self._kinds: list[type[Part]] = []
        self._said: set[RunKind] = set()
        self._finish: str | None = None
        self._usage = NO_USAGE

    def chunk(self, payload: JsonObject, data: bytes) -> list[Event]:
        """Return the events of one chunk; `data` are its bytes, kept with an error."""
        events: list[Event] = []
        if self.is_done:
            return events
        if self._continuing and (text := _lone_text(payload, self._continuing)):
            text = self._mender.push(text)
            return [Delta(text)] if text else events
        failure = stream_failure(payload, data)
        if failure is not None:
            return self._failed(failure)
        self._start(payload, events)
        usage = read_usage(payload)
        if usage != NO_USAGE:
            self._usage = self._usage.updated(usage)
            events.append(Progress(self._usage))
        for choice in _choices(payload):
            if choice.get("finish_reason") == NETWORK_ERROR:
                return [*events, *self._failed(network_error())]
            self._choice(choice)
        self._advance(events, is_final=self._finish is not None)
        return events

    def finish(self) -> list[Event]:
        """The end marker came."""
        if self.is_done:
            return []
        if self._started is None:
            return self._failed(_cut())
        events: list[Event] = []
        self._advance(events, is_final=True)
        self.is_done = True
        reason = read_finish(self._finish, self._kinds)
        return [*events, Finish(reason, usage=self._usage)]

    def broken_off(self) -> list[Event]:
        """The stream ended without its marker: fine after a finish reason, else a failure."""
        if self._finish is not None:
            return self.finish()
        return [] if self.is_done else self._failed(_cut())

    def garbage(self, data: bytes) -> list[Event]:
        """Something came that is not JSON."""
        error = UpstreamError(
            "the provider's stream holds something unreadable", upstream_body=data[:4096]
        )
        return [] if self.is_done else self._failed(error)

    def _failed(self, error: UpstreamError) -> list[Event]:
        self.is_done = True
        return [Failed(error)]

    # --- reading a chunk ----------------------------------------------------------------------

    def _start(self, payload: JsonObject, events: list[Event]) -> None:
        if self._started is None:
            created = payload.get("created")
            is_time = isinstance(created, int) and not isinstance(created, bool) and created >= 0
            self._started = Start(
                _text(payload.get("id")),
                _text(payload.get("model")),
                created if is_time and isinstance(created, int) else 0,
            )
            events.append(self._started)

    def _choice(self, choice: JsonObject) -> None:
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = choice.get("message")
        if isinstance(delta, dict):
            self._delta(delta)
        else:  # as legacy text completions have it
            self._text(Text, _content(choice.get("text")))
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self._finish = reason

    def _delta(self, delta: JsonObject) -> None:
        self._text(Reasoning, _reasoning(delta))
        self._text(Text, _content(delta.get("content")))
        self._text(Refusal, _content(delta.get("refusal")))
        self._cite(delta.get("annotations"))
        calls = delta.get("tool_calls")
        for position, entry in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(entry, dict):
                self._call(self._calls.add(entry, position))
        legacy = delta.get("function_call")
        if isinstance(legacy, dict):
            self._call(self._calls.add_legacy(legacy))

    def _text(self, kind: RunKind, text: str) -> None:
        if not text:
            return
        last = self._queue[-1] if self._queue else None
        if not isinstance(last, _Run) or last.kind is not kind:
            last = _Run(kind, is_first=kind not in self._said)
            self._said.add(kind)
            self._queue.append(last)
        last.waiting.append(text)

    def _cite(self, notes: Json) -> None:
        """Take in what the text cites, which is told once for all of it."""
        for run in self._queue:
            if isinstance(run, _Run) and run.kind is Text:
                run.cited += read_annotations(notes, has_place=run.is_first)
                return

    def _call(self, call: Call) -> None:
        if not call.is_closed and call not in self._queue:
            self._queue.append(call)

    # --- the queue ----------------------------------------------------------------------------

    def _advance(self, events: list[Event], *, is_final: bool) -> None:
        while self._queue:
            head = self._queue[0]
            if not self._is_open and not self._open(head, events, is_final=is_final):
                return
            self._show(head, events)
            is_followed = len(self._queue) > 1
            is_over = isinstance(head, _Run) or (is_followed and head.is_whole)
            if not is_final and not (is_followed and is_over):
                return
            self._close(head, events)

    def _open(self, head: _Run | Call, events: list[Event], *, is_final: bool) -> bool:
        if isinstance(head, _Run):
            part = self._opened(head.kind)
            self._continuing = _USUAL_KEYS[head.kind]
        elif (head.id and head.name) or is_final:
            self._complete(head)
            part = ToolCall(
                mended(head.id),
                mended(head.name),
                "",
                signature=head.signature,
                origin=head.origin,
            )
        else:
            return False
        self._is_open = True
        self._kinds.append(type(part))
        events.append(PartStart(part))
        return True

    def _opened(self, kind: RunKind) -> Part:
        if kind is Reasoning:
            return Reasoning("", origin=self._origin)
        return Text("") if kind is Text else Refusal("")

    def _show(self, head: _Run | Call, events: list[Event]) -> None:
        if isinstance(head, _Run):
            waiting = "".join(head.waiting)
            head.waiting.clear()
            cited, head.cited = head.cited, []
        else:
            waiting, cited = head.take(), []
        text = self._mender.push(waiting) if waiting else ""
        if text:
            events.append(Delta(text))
        events += [Delta(citation=page) for page in cited]

    def _close(self, head: _Run | Call, events: list[Event]) -> None:
        rest = self._mender.flush()
        if rest:
            events.append(Delta(rest))
        events.append(PartEnd())
        self._queue.popleft()
        self._is_open = False
        self._continuing = ""
        if isinstance(head, Call):
            head.is_closed = True

    def _complete(self, call: Call) -> None:
        """Give a call what its server left out. The id is the same however the stream is cut."""
        if not call.name:
            call.name = f"tool_{len(self._kinds)}"
        if not call.id:
            self._made_up += 1
            started = self._started or Start("", "")
            told = (started.id, started.model, started.created, self._made_up, call.name)
            seed = repr((*told, call.all_arguments and "".join(call.all_arguments)))
            digest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()
            call.id = f"call_{digest[:24]}"


def _lone_text(payload: JsonObject, key: str) -> str:
    """Return the text of a chunk that holds nothing but more at `key`, as nearly all do.

    This is the way of most chunks, and several times as fast as that of the others.
    """
    choices = payload.get("choices")
    if not isinstance(choices, list) or len(choices) != 1:
        return ""
    choice = choices[0]
    if not isinstance(choice, dict) or choice.get("index") not in (0, None):
        return ""
    if payload.get("usage") or payload.get("error") or choice.get("finish_reason"):
        return ""
    delta = choice.get("delta")
    if not isinstance(delta, dict) or choice.get("usage"):
        return ""
    for name, value in delta.items():
        if value and name not in (key, "role"):
            return ""
    text = delta.get(key)
    return text if isinstance(text, str) else ""


def _choices(payload: JsonObject) -> list[JsonObject]:
    """Return the chunks of the first answer; the others were not asked for."""
    choices = payload.get("choices")
    return [
        choice
        for choice in (choices if isinstance(choices, list) else ())
        if isinstance(choice, dict) and choice.get("index") in (None, 0)
    ]


def _reasoning(delta: JsonObject) -> str:
    for key in _REASONING_KEYS:
        text = delta.get(key)
        if isinstance(text, str) and text:
            return text
    details = delta.get("reasoning_details")
    return _content(details)


def _content(content: Json) -> str:
    """Return text that is a string or, on some servers, a list of parts."""
    if isinstance(content, str):
        return content
    texts = [
        part.get("text")
        for part in (content if isinstance(content, list) else ())
        if (isinstance(part, dict))
    ]
    return "".join(text for text in texts if isinstance(text, str))


def _text(value: Json) -> str:
    return mended(value) if isinstance(value, str) else ""


def _cut() -> UpstreamError:
    return StreamBroken("the provider's answer ended before it was complete")
