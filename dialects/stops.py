"""Stop sequences applied by the gateway, for providers that take none or too few."""

from collections.abc import Sequence

from models.chat import ChatResponse, FinishReason
from models.content import Text
from models.errors import BadRequest
from models.events import (
    Delta,
    Deltas,
    Event,
    Failed,
    Finish,
    PartEnd,
    PartStart,
    Progress,
    Start,
    collect,
    replay,
)
from models.record import replace
from models.usage import NO_USAGE

# What we may have to look for ourselves in every piece of an answer must be cheap to look for.
_MAX_STOPS = 100
_MAX_CHARACTERS = 500


def checked_stops(stops: Sequence[str], path: str) -> tuple[str, ...]:
    """Return a client's stop sequences, each once, empty ones left out. Raises BadRequest."""
    if not stops:
        return ()
    unique = tuple(dict.fromkeys(stop for stop in stops if stop))
    if len(unique) > _MAX_STOPS or any(len(stop) > _MAX_CHARACTERS for stop in unique):
        limits = f"{_MAX_STOPS} stop sequences of {_MAX_CHARACTERS} characters"
        raise BadRequest(f"{path}: expected at most {limits}", path=path)
    return unique


class StopFilter:
    """Cuts a stream of events at the first stop sequence in its text.

    Reasoning and tool arguments are not searched. Text that may be the beginning of a stop
    sequence is held back until that is decided, so what comes out never depends on how the
    text was cut into deltas.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self._in_text = False
        self._usage = NO_USAGE
        self.done = False
        """The answer is complete: the upstream may be cancelled, the rest is not wanted."""

    def feed(self, event: Event) -> list[Event]:
        """Return what may be shown so far."""
        if self.done:
            return []
        match event:
            case PartStart(part=Text() as text):
                self._in_text = True
                opened = PartStart(replace(text, text=""))
                return [opened, *(self._text(Delta(text.text)) if text.text else [])]
            case Delta() if self._in_text:
                return self._text(event)
            case Deltas() if self._in_text:
                return [kept for text in event.texts for kept in self.feed(Delta(text))]
            case PartEnd() if self._in_text:
                self._in_text = False
                return [*self._flush(), event]
            case Start() | Progress():
                self._usage = self._usage.updated(event.usage)
                return [event]
            case Failed():
                self.done = True
                return [*self._flush(), event]
            case Finish():
                self.done = True
                return [event]
            case _:
                return [event]

    def _text(self, delta: Delta) -> list[Event]:
        text = self._held + delta.text
        self._held = ""
        match = _first_stop(text, self._stops)
        if match is None:
            self._held = _possible_beginning(text, self._stops)
            shown = text[: len(text) - len(self._held)]
            return [replace(delta, text=shown)] if shown or delta.citation else []
        start, stop = match
        self.done = True
        shown_events: list[Event] = [replace(delta, text=text[:start])] if start else []
        return [
            *shown_events,
            PartEnd(),
            Finish(FinishReason.STOP_SEQUENCE, stop, self._usage),
        ]

    def _flush(self) -> list[Event]:
        held, self._held = self._held, ""
        return [Delta(held)] if held else []


def stopped(response: ChatResponse, stops: Sequence[str]) -> ChatResponse:
    """Return a whole answer cut at the first stop sequence of its text."""
    if not stops:
        return response
    cutter = StopFilter(stops)
    shown = collect(event for told in replay(response) for event in cutter.feed(told))
    if shown.finish is not FinishReason.STOP_SEQUENCE:
        return response
    return replace(shown, usage=response.usage, extras=response.extras)


def _first_stop(text: str, stops: Sequence[str]) -> tuple[int, str] | None:
    """Return start and value of the stop sequence that is complete first.

    "Complete first", not "begins first", is what does not depend on the cuts of a stream.
    """
    found = [(text.find(stop), stop) for stop in stops]
    ends = [(start + len(stop), start, stop) for start, stop in found if start >= 0]
    if not ends:
        return None
    _, start, stop = min(ends)
    return start, stop


def _possible_beginning(text: str, stops: Sequence[str]) -> str:
    """Return the longest end of `text` that begins one of the stop sequences."""
    longest = min(len(text), max((len(stop) for stop in stops), default=0) - 1)
    for size in range(longest, 0, -1):
        tail = text[-size:]
        if any(stop.startswith(tail) for stop in stops):
            return tail
    return ""
