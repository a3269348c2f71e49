"""Fragments of tool calls, put together as servers really send them.

Seen in the field: the id on every fragment or on none, an empty name after the first, whole
arguments in one fragment or as an object, no index, one index for all calls, calls that take
turns.
"""

import hashlib
from dataclasses import dataclass, field

import orjson

from dialects.fields import mended
from dialects.openai_chat.calls import read_signature
from dialects.openai_chat.read_parts import plain_json
from models.content import ToolCall
from models.events import Start
from models.json_types import Json, JsonObject


@dataclass(slots=True, eq=False)
class Call:
    """A tool call that is coming in."""

    id: str = ""
    name: str = ""
    is_closed: bool = False
    waiting: list[str] = field(default_factory=list)
    """Argument text that has not been shown yet."""
    all_arguments: list[str] = field(default_factory=list)
    signature: str | None = None
    origin: str | None = None
    given_id: str = ""
    """The server's id; `id` differs from it where the server gave it twice."""
    _balance: int = 0
    _is_broken: bool = False

    def add(self, text: str) -> None:
        self.waiting.append(text)
        self.all_arguments.append(text)
        self._balance += text.count("{") - text.count("}")

    @property
    def is_whole(self) -> bool:
        """Whether the arguments are a complete JSON object, so that nothing can follow.

        Braces are counted first, and text that does not parse with balanced ones is given up:
        else every fragment of a long hostile argument would cost a parse of all of it.
        """
        if self._balance != 0 or self._is_broken or not self.all_arguments:
            return False
        text = "".join(self.all_arguments)
        if not text.rstrip().endswith("}"):
            return False
        try:
            value: Json = orjson.loads(text)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            self._is_broken = True
            return False
        return isinstance(value, dict)

    def take(self) -> str:
        """Return the argument text that has not been shown yet."""
        text = "".join(self.waiting)
        self.waiting.clear()
        return text


class Calls:
    """Finds out which call a fragment belongs to."""

    def __init__(self) -> None:
        self._by_key: dict[int, Call] = {}
        self._ids: set[str] = set()
        self._made_up = 0

    def made(self, call: Call, position: int, start: Start, arguments: str = "") -> ToolCall:
        """Return a call as a part. What its server left out is made up; its id then is the same
        however the stream is cut. `position`: of the call among all parts."""
        if not call.name:
            call.name = f"tool_{position}"
        if not call.id:
            self._made_up += 1
            told = (start.id, start.model, start.created, self._made_up, call.name)
            seed = repr((*told, call.all_arguments and "".join(call.all_arguments)))
            digest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()
            call.id = f"call_{digest[:24]}"
        call_id, name = mended(call.id), mended(call.name)
        return ToolCall(call_id, name, arguments, None, call.signature, call.origin)

    def add(self, entry: JsonObject, position: int) -> Call:
        """Take one entry of `tool_calls` in; return the call it belongs to."""
        function = entry.get("function", entry.get("custom"))
        call = self._add(
            _index(entry, position), entry.get("id"), function if isinstance(function, dict) else {}
        )
        if call.signature is None:
            call.signature, call.origin = read_signature(entry)
        return call

    def add_legacy(self, function: JsonObject) -> Call:
        """Take a fragment of `function_call` in."""
        return self._add(0, None, function)

    def _add(self, key: int, call_id: Json, function: JsonObject) -> Call:
        name = function.get("name")
        name = name if isinstance(name, str) else ""
        given_id = call_id if isinstance(call_id, str) else ""
        fragment = function.get("arguments", function.get("input"))
        text = "" if fragment is None else plain_json(fragment)
        call = self._by_key.get(key)
        if call is None or self._begins_another(call, given_id, name, text):
            call = self._by_key[key] = Call()
        if given_id and not call.given_id:
            call.given_id, call.id = given_id, self._unique(given_id)
        if name and not call.name:
            call.name = name
        if text:
            call.add(text)
        return call

    def _begins_another(self, call: Call, given_id: str, name: str, text: str) -> bool:
        if given_id and call.given_id:
            return given_id != call.given_id
        # Without ids only a complete call that is named again tells of another one.
        return bool(not call.given_id and name and text) and call.is_whole

    def _unique(self, given_id: str) -> str:
        unique, number = given_id, 1
        while unique in self._ids:
            number += 1
            unique = f"{given_id}_{number}"
        self._ids.add(unique)
        return unique


def _index(entry: JsonObject, position: int) -> int:
    index = entry.get("index")
    return index if isinstance(index, int) and not isinstance(index, bool) else position
