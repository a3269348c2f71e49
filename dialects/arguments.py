"""Tool arguments: JSON text on one side, an object on the other, and what lies between."""

import json
from typing import Final

import orjson

from dialects.fields import dumps, has_huge_integer
from models.json_types import Json, JsonObject

RAW: Final = "_raw"
"""Key under which text that is no JSON object travels where an object is demanded."""

_CLOSERS: Final = {"{": "}", "[": "]"}
_MAX_COMPLETED: Final = 1024 * 1024


def arguments_text(arguments: Json) -> str:
    """Return an object as compact JSON text; text that came as `{"_raw": text}` as it was."""
    if isinstance(arguments, dict) and len(arguments) == 1:
        raw = arguments.get(RAW)
        if isinstance(raw, str) and _object(raw) is None:
            return raw
    return dumps(arguments).decode()


def read_arguments(text: str) -> JsonObject:
    """Return the object that `text` says: `{}` for nothing, `{"_raw": text}` for no object."""
    if not text or text.isspace():
        return {}
    found = _object(text)
    return {RAW: text} if found is None else found


def read_cut_arguments(text: str) -> JsonObject:
    """As `read_arguments`, but text that breaks off is completed where that is possible."""
    if not text or text.isspace():
        return {}
    found = _object(text)
    if found is None and len(text) <= _MAX_COMPLETED:
        found = _completed(text)
    return {RAW: text} if found is None else found


def _object(text: str) -> JsonObject | None:
    try:
        value: Json = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if isinstance(value, dict) and has_huge_integer(text.encode()):
        value = json.loads(text)
    return value if isinstance(value, dict) else None


def _completed(text: str) -> JsonObject | None:
    """Close what is open; give up what is half said."""
    closers: list[str] = []
    cut, cut_closers = 0, ""  # end of the last thing that was complete, what was open there
    in_string = escaped = False
    for at, char in enumerate(text):
        if in_string:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                in_string = False
        elif char == '"':
            in_string = True
        elif char in _CLOSERS:
            closers.append(_CLOSERS[char])
            cut, cut_closers = at + 1, "".join(reversed(closers))
        elif char in "]}" and closers:
            closers.pop()
            cut, cut_closers = at + 1, "".join(reversed(closers))
        elif char == ",":
            cut, cut_closers = at, "".join(reversed(closers))
    ends = "".join(reversed(closers))
    candidates = [text + '"' + ends, text[:-1] + '"' + ends] if in_string else [text + ends]
    for candidate in [*candidates, text[:cut] + cut_closers]:
        found = _object(candidate)
        if found is not None:
            return found
    return None
