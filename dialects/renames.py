"""Gives tool calls of an answer the names back that the client knows."""

from collections.abc import Mapping, Sequence

from dialects.arguments import arguments_text, read_arguments
from dialects.properties import renamed_arguments
from models.chat import ChatResponse
from models.content import Part, ToolCall
from models.events import Delta, Deltas, Event, PartEnd, PartStart
from models.record import replace


class Restorer:
    """Restores what a request's encoder renamed, in a stream or in a whole answer.

    Arguments with renamed properties are held back until they are complete: a key can be
    cut anywhere. Arguments that are no object stay as they came.
    """

    def __init__(
        self, tools: Mapping[str, str], properties: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Take `Encoded.tool_names` and `Encoded.properties`."""
        self._tools = tools
        self._properties = properties
        self._call = ""
        self._held: list[str] = []

    def feed(self, event: Event) -> Sequence[Event]:
        """Return what may be shown so far."""
        match event:
            case PartStart(part=ToolCall() as call):
                self._call = call.name if call.name in self._properties else ""
                if self._call and call.arguments:
                    self._held.append(call.arguments)
                    call = replace(call, arguments="")
                return [PartStart(self._named(call))]
            case Delta() if self._call:
                self._held.append(event.text)
                return []
            case Deltas() if self._call:
                self._held += event.texts
                return []
            case PartEnd() if self._call:
                text = self._arguments("".join(self._held), self._call)
                self._call = ""
                self._held.clear()
                return [Delta(text), event] if text else [event]
            case _:
                return [event]

    def response(self, answer: ChatResponse) -> ChatResponse:
        """Return a whole answer with the client's names."""
        if not self._tools and not self._properties:
            return answer
        return replace(answer, parts=tuple(self._restored(part) for part in answer.parts))

    def _restored(self, part: Part) -> Part:
        if not isinstance(part, ToolCall):
            return part
        return self._named(replace(part, arguments=self._arguments(part.arguments, part.name)))

    def _named(self, call: ToolCall) -> ToolCall:
        return replace(call, name=self._tools.get(call.name, call.name))

    def _arguments(self, text: str, tool: str) -> str:
        names = self._properties.get(tool)
        if not names or not text:
            return text
        return arguments_text(renamed_arguments(read_arguments(text), names))
