"""Tool names and call ids within what a vendor accepts, and the way back."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping

from models.chat import ChatRequest
from models.content import ToolCall

_BAD_CHARACTER = re.compile(r"[^a-zA-Z0-9_-]")


def wire_names(
    names: Iterable[str], *, limit: int = 64, bad_character: re.Pattern[str] = _BAD_CHARACTER
) -> dict[str, str]:
    """Return each name's accepted form: letters, digits, `_` and `-`, at most `limit` long.

    Names that are fine already keep theirs; others that fall together get `_2`, `_3`, ...
    """
    unique = list(dict.fromkeys(names))
    if not unique:
        return {}
    accepted = {name: name for name in unique if _is_accepted(name, limit, bad_character)}
    taken = dict.fromkeys(accepted, 1)
    for name in unique:
        if name not in accepted:
            accepted[name] = _free(bad_character.sub("_", name)[:limit] or "_", taken, limit)
    return accepted


def tool_names(request: ChatRequest) -> Iterator[str]:
    """Return every name of a tool that a request mentions, those of its history too."""
    for tool in request.tools:
        if tool.raw is None:
            yield tool.name
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, ToolCall):
                yield part.name


def changed_names(accepted: Mapping[str, str]) -> dict[str, str]:
    """Return wire name -> own name for those that differ, as `Encoded.tool_names` wants it."""
    return {wire: name for name, wire in accepted.items() if wire != name}


def wire_id(call_id: str, *, limit: int = 40, prefix: str = "call_") -> str:
    """Return `call_id`, or a short form that is the same for the same id every time.

    OpenAI refuses ids above 40 characters, Anthropic characters outside `[a-zA-Z0-9_-]`.
    """
    if _is_accepted(call_id, limit, _BAD_CHARACTER):
        return call_id
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()
    return prefix + digest[:24]


def _is_accepted(name: str, limit: int, bad_character: re.Pattern[str]) -> bool:
    return 0 < len(name) <= limit and bad_character.search(name) is None


def _free(name: str, taken: dict[str, int], limit: int) -> str:
    """Return a form of `name` that nobody has. `taken` tells how many forms were tried so far."""
    candidate = name
    while candidate in taken:
        taken[name] += 1
        suffix = f"_{taken[name]}"
        candidate = name[: limit - len(suffix)] + suffix
    taken[candidate] = 1
    return candidate
