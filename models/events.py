"""The grammar of a streamed answer, and its two conversions to and from a whole one.

    Start (PartStart (Delta | Deltas)* PartEnd | Progress)* (Finish | Failed)

Parts never overlap: decoders put overlapping upstream parts in sequence, so that no encoder
ever sees an overlap. `Finish.usage` is the final count. Nothing follows Finish or Failed.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from models.chat import ChatResponse, FinishReason
from models.content import Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from models.errors import GatewayError
from models.json_types import JsonObject
from models.record import record, replace
from models.usage import NO_USAGE, Usage


@record(frozen=True, slots=True)
class Start:
    """The upstream began to answer."""

    id: str
    model: str
    created: int = 0
    usage: Usage = NO_USAGE


@record(frozen=True, slots=True)
class PartStart:
    """A part opens. `part` holds what is known: for a tool call its id and name, for text
    and reasoning usually nothing yet; Media, Opaque and redacted reasoning come complete."""

    part: Part


@record(frozen=True, slots=True)
class Delta:
    """More of the open part: text of Text, Reasoning or Refusal, or argument text of a ToolCall."""

    text: str = ""
    signature: str | None = None
    """Whole signature of the open Reasoning; it comes once. (A ToolCall's comes with its start.)"""
    citation: JsonObject | None = None


@record(frozen=True, slots=True)
class Deltas:
    """Several deltas that came together and bring nothing but text. Whoever writes them writes
    each by itself: what a client gets does not depend on how its bytes came."""

    texts: Sequence[str]
    """At least one, and none of them is empty."""


@record(frozen=True, slots=True)
class PartEnd:
    """The open part is complete."""


@record(frozen=True, slots=True)
class Progress:
    """The upstream is alive or reported usage, without content."""

    usage: Usage = NO_USAGE


@record(frozen=True, slots=True)
class Finish:
    """The answer is complete."""

    reason: FinishReason
    stop_sequence: str | None = None
    usage: Usage = NO_USAGE


@record(frozen=True, slots=True)
class Failed:
    """The answer broke off; nothing of it may be taken for complete."""

    error: GatewayError
    """The provider's, or what happened on our side of it."""


Event: TypeAlias = Start | PartStart | Delta | Deltas | PartEnd | Progress | Finish | Failed


def told(texts: Sequence[str]) -> Delta | Deltas:
    """Return what tells these pieces of the open part's text."""
    return Delta(texts[0]) if len(texts) == 1 else Deltas(texts)


def extended(part: Part, delta: Delta) -> Part:
    """Return `part` with `delta` added to its end."""
    match part:
        case Text():
            citations = part.citations + ((delta.citation,) if delta.citation else ())
            return Text(part.text + delta.text, part.cache, citations)
        case Reasoning():
            signature = delta.signature or part.signature
            return Reasoning(part.text + delta.text, signature, part.origin, part.redacted)
        case Refusal():
            return Refusal(part.text + delta.text)
        case ToolCall():
            return replace(part, arguments=part.arguments + delta.text)
        case _:
            return part


def collect(events: Iterable[Event]) -> ChatResponse:
    """Fold a stream into a whole answer.

    Raises the error of a `Failed`; raises ValueError for a stream without Start or end.
    Deltas of a part are joined once, so that long answers cost linear time.
    """
    start: Start | None = None
    usage = NO_USAGE
    parts: list[Part] = []
    deltas: list[Delta] = []
    for event in events:
        match event:
            case Delta():
                deltas.append(event)
            case PartStart():
                parts.append(event.part)
                deltas.clear()
            case PartEnd():
                parts[-1] = _completed(parts[-1], deltas)
                deltas.clear()
            case Start():
                start, usage = event, usage.updated(event.usage)
            case Progress():
                usage = usage.updated(event.usage)
            case Deltas():
                deltas.append(Delta("".join(event.texts)))
            case Failed():
                raise event.error
            case Finish():
                if start is None:
                    break
                return ChatResponse(
                    start.id,
                    start.model,
                    start.created,
                    tuple(parts),
                    event.reason,
                    event.stop_sequence,
                    usage.updated(event.usage),
                )
    raise ValueError("the stream has no Start or no end")


def _completed(part: Part, deltas: list[Delta]) -> Part:
    if len(deltas) == 1:  # as in an answer that came whole
        return extended(part, deltas[0])
    signatures = [delta.signature for delta in deltas if delta.signature]
    text = "".join([delta.text for delta in deltas])
    part = extended(part, Delta(text, signatures[-1] if signatures else None))
    for delta in deltas:
        if delta.citation is not None:
            part = extended(part, Delta(citation=delta.citation))
    return part


def replay(response: ChatResponse) -> Iterator[Event]:
    """Tell a whole answer as a stream: one delta for each part that has text."""
    yield Start(response.id, response.model, response.created, response.usage)
    for part in response.parts:
        opened, delta = _split(part)
        yield PartStart(opened)
        if delta is not None:
            yield delta
        yield PartEnd()
    yield Finish(response.finish, response.stop_sequence, response.usage)


def _split(part: Part) -> tuple[Part, Delta | None]:
    match part:
        case Text():
            return replace(part, text=""), Delta(part.text)
        case Reasoning(redacted=None):
            opened = replace(part, text="", signature=None)
            return opened, Delta(part.text, part.signature)
        case Refusal():
            return Refusal(""), Delta(part.text)
        case ToolCall():
            return replace(part, arguments=""), Delta(part.arguments)
        case Media() | Opaque() | _:
            return part, None


class GrammarError(AssertionError):
    """A stream that breaks the grammar above; only tests raise it."""


def check(events: Iterable[Event]) -> list[Event]:
    """Return the events as a list after verifying the grammar; for tests."""
    seen = list(events)
    state = "new"
    for event in seen:
        match state, event:
            case "new", Start():
                state = "idle"
            case "new", Failed():
                state = "done"
            case (("idle" | "open"), Progress()):
                pass
            case "idle", PartStart():
                state = "open"
            case "open", Delta() | Deltas():
                pass
            case "open", PartEnd():
                state = "idle"
            case "idle", Finish():
                state = "done"
            case (("idle" | "open"), Failed()):
                state = "done"
            case _:
                raise GrammarError(f"{event!r} in state {state}")
    if state != "done":
        raise GrammarError(f"the stream ended in state {state}")
    return seen
