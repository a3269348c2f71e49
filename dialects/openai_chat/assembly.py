"""Chunks of a Chat answer, told as parts that never overlap.

The head of the queue is open and streams; what comes for later parts waits. A run of text ends when
something else begins. A tool call ends when something else has begun and its arguments are a
complete object, for servers may interleave the fragments of their calls.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from dialects.fields import Mender
from dialects.openai_chat.errors import network_error, stream_failure
from dialects.openai_chat.finish import NETWORK_ERROR, read_finish
from dialects.openai_chat.runs import Run, RunKind, Runs, first_answer, read_start
from dialects.openai_chat.tool_deltas import Call
from dialects.openai_chat.usage import read_usage
from dialects.template import Template
from models.content import Part, Reasoning, Refusal, Text
from models.errors import StreamBroken, UpstreamError
from models.events import Delta, Event, Failed, Finish, PartEnd, PartStart, Progress, Start
from models.json_types import JsonObject
from models.usage import NO_USAGE

_USUAL_KEYS: Final[Mapping[RunKind, str]] = {
    Text: "content",
    Reasoning: "reasoning_content",
    Refusal: "refusal",
}


class Assembly:
    """Turns parsed chunks into events. After `is_done` nothing more comes out."""

    def __init__(self, vendor: str = "") -> None:
        self.is_done = False
        self._origin = vendor or None
        self._started: Start | None = None
        self._runs = Runs()
        self._queue = self._runs.queue
        self._is_open = False
        self._continuing = ""  # the field that brings more of an open run of text
        self._template = Template()  # of the chunks that bring it
        self._mender = Mender()
        self._kinds: list[type[Part]] = []
        self._usage = NO_USAGE

    def more(self, frames: Sequence[bytes], at: int) -> list[str]:
        """Return what the frames from `at` on that are like the one before add to the open text."""
        texts = self._template.texts(frames, at)
        if texts:
            texts[0] = self._mender.push(texts[0])  # only what came before is cut in a character
        return texts

    def chunk(self, payload: JsonObject, data: bytes, frame: bytes = b"") -> list[Event]:
        """Return the events of one chunk. `data` are its bytes, kept with an error; `frame` is
        what they came in."""
        events: list[Event] = []
        if self.is_done:
            return events
        if self._continuing and (text := _lone_text(payload, self._continuing)):
            self._template.learn(frame, text, self._lone_text)
            text = self._mender.push(text)
            return [Delta(text)] if text else events
        failure = stream_failure(payload, data)
        if failure is not None:
            return self._failed(failure)
        if self._started is None:
            self._started = read_start(payload)
            events.append(self._started)
        usage = read_usage(payload)
        if usage is not NO_USAGE and usage != NO_USAGE:
            self._usage = self._usage.updated(usage)
            events.append(Progress(self._usage))
        for choice in first_answer(payload):
            if choice.get("finish_reason") == NETWORK_ERROR:
                return [*events, *self._failed(network_error())]
            self._runs.add(choice)
        self._advance(events, is_final=self._runs.finish is not None)
        return events

    def finish(self) -> list[Event]:
        """The end marker came."""
        if self.is_done:
            return []
        if self._started is None:
            return self._failed(_cut())
        events: list[Event] = []
        self._advance(events, is_final=True)
        self._end()
        reason = read_finish(self._runs.finish, self._kinds)
        return [*events, Finish(reason, usage=self._usage)]

    def broken_off(self) -> list[Event]:
        """The stream ended without its marker: fine after a finish reason, else a failure."""
        if self._runs.finish is not None:
            return self.finish()
        return [] if self.is_done else self._failed(_cut())

    def garbage(self, data: bytes) -> list[Event]:
        """Something came that is not JSON."""
        error = UpstreamError(
            "the provider's stream holds something unreadable", upstream_body=data[:4096]
        )
        return [] if self.is_done else self._failed(error)

    def overflowed(self) -> list[Event]:
        """Something came that is too long to be read."""
        error = StreamBroken("an event of the provider's stream is too long")
        return [] if self.is_done else self._failed(error)

    def _failed(self, error: UpstreamError) -> list[Event]:
        self._end()
        return [Failed(error)]

    def _end(self) -> None:
        self.is_done = True
        self._template.forget()

    def _lone_text(self, payload: JsonObject) -> str:
        return _lone_text(payload, self._continuing)

    # --- the queue ----------------------------------------------------------------------------

    def _advance(self, events: list[Event], *, is_final: bool) -> None:
        while self._queue:
            head = self._queue[0]
            if not self._is_open and not self._open(head, events, is_final=is_final):
                return
            self._show(head, events)
            is_followed = len(self._queue) > 1
            is_over = isinstance(head, Run) or (is_followed and head.is_whole)
            if not is_final and not (is_followed and is_over):
                return
            self._close(head, events)

    def _open(self, head: Run | Call, events: list[Event], *, is_final: bool) -> bool:
        if isinstance(head, Run):
            part = self._opened(head.kind)
            self._continuing = _USUAL_KEYS[head.kind]
        elif (head.id and head.name) or is_final:
            part = self._runs.calls.made(head, len(self._kinds), self._started or Start("", ""))
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

    def _show(self, head: Run | Call, events: list[Event]) -> None:
        if isinstance(head, Run):
            waiting = "".join(head.waiting)
            head.waiting.clear()
            cited, head.cited = head.cited, []
        else:
            waiting, cited = head.take(), []
        text = self._mender.push(waiting) if waiting else ""
        if text:
            events.append(Delta(text))
        if cited:
            events += [Delta(citation=page) for page in cited]

    def _close(self, head: Run | Call, events: list[Event]) -> None:
        rest = self._mender.flush()
        if rest:
            events.append(Delta(rest))
        events.append(PartEnd())
        self._queue.popleft()
        self._is_open = False
        self._continuing = ""
        self._template.forget()
        if isinstance(head, Call):
            head.is_closed = True


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
    if len(delta) > 1 and any(delta[name] for name in delta if name not in (key, "role")):
        return ""
    text = delta.get(key)
    return text if isinstance(text, str) else ""


def _cut() -> UpstreamError:
    return StreamBroken("the provider's answer ended before it was complete")
