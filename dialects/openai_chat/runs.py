"""What the chunks of a Chat answer say, as a queue of parts that never overlap.

A run of text ends when something else begins. Fragments of tool calls may take turns: each goes to
its own call, whose place is that of its first.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from dialects.citations import read_annotations
from dialects.fields import mended
from dialects.openai_chat.tool_deltas import Call, Calls
from models.content import Reasoning, Refusal, Text
from models.events import Start
from models.json_types import Json, JsonObject

RunKind: TypeAlias = type[Text] | type[Reasoning] | type[Refusal]

_REASONING_KEYS: Final = ("reasoning_content", "reasoning")
_REASONS: Final = frozenset({*_REASONING_KEYS, "reasoning_details"})


@dataclass(slots=True, eq=False)
class Run:
    """Text of one kind without interruption."""

    kind: RunKind
    is_first: bool
    """No text of its kind stands before it."""
    waiting: list[str]
    """What has not been told yet."""
    cited: list[JsonObject] = field(default_factory=list)


class Runs:
    """Takes in what is said, choice by choice. Who tells it takes it from the head."""

    def __init__(self) -> None:
        self.queue: deque[Run | Call] = deque()
        self.calls = Calls()
        self.finish: str | None = None
        """The last reason to stop that was given."""
        self._said: set[RunKind] = set()

    def add(self, choice: JsonObject) -> None:
        """Take in what a choice of a chunk, or of a whole answer, says."""
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = choice.get("message")
        if isinstance(delta, dict):
            self._delta(delta)
        else:  # as legacy text completions have it
            self._text(Text, _content(choice.get("text")))
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self.finish = reason

    def _delta(self, delta: JsonObject) -> None:
        if not _REASONS.isdisjoint(delta):
            self._text(Reasoning, _reasoning(delta))
        if content := delta.get("content"):
            self._text(Text, _content(content))
        if refusal := delta.get("refusal"):
            self._text(Refusal, _content(refusal))
        if notes := delta.get("annotations"):
            self._cite(notes)
        if calls := delta.get("tool_calls"):
            self._called(calls)
        legacy = delta.get("function_call")
        if isinstance(legacy, dict):
            self._call(self.calls.add_legacy(legacy))

    def _called(self, calls: Json) -> None:
        for position, entry in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(entry, dict):
                self._call(self.calls.add(entry, position))

    def _text(self, kind: RunKind, text: str) -> None:
        if not text:
            return
        last = self.queue[-1] if self.queue else None
        if isinstance(last, Run) and last.kind is kind:
            last.waiting.append(text)
            return
        self.queue.append(Run(kind, kind not in self._said, [text]))
        self._said.add(kind)

    def _cite(self, notes: Json) -> None:
        """Take in what the text cites, which is told once for all of it."""
        for run in self.queue:
            if isinstance(run, Run) and run.kind is Text:
                run.cited += read_annotations(notes, has_place=run.is_first)
                return

    def _call(self, call: Call) -> None:
        if not call.is_closed and call not in self.queue:
            self.queue.append(call)


def read_start(payload: JsonObject) -> Start:
    """Return what an answer says of itself, whole or in its first chunk."""
    created = payload.get("created")
    # By its type: true and false are integers, too.
    at = created if type(created) is int and created >= 0 else 0
    return Start(_name(payload.get("id")), _name(payload.get("model")), at)


def first_answer(payload: JsonObject) -> list[JsonObject]:
    """Return the choices of the first answer; the others were not asked for."""
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
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def _name(value: Json) -> str:
    return mended(value) if isinstance(value, str) else ""
