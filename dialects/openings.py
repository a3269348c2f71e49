"""How a conversation begins: the same in each of its turns, however its client writes it down.

Clients move cache markers from turn to turn, and write the same text once as a string and once as
parts. So only texts count, without their borders.
"""

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from models.json_types import Json, JsonObject
from models.session import Session

Speaker: TypeAlias = Literal["system", "user", "model", ""]
"""Who speaks; `""` for what is nobody's word, such as a tool's result."""

_SPEAKERS: Final[dict[str, Speaker]] = {
    "user": "user",
    "assistant": "model",
    "system": "system",
    "developer": "system",
}

MAX_CHARS: Final = 2048
"""Of the system text, and of the opening: what is longer differs within so much, or never."""


def by_role(item: JsonObject) -> Speaker:
    """Return who speaks in a message: its role says so."""
    role = item.get("role")
    return _SPEAKERS.get(role, "") if isinstance(role, str) else ""


def session_of(
    name: Json,
    system: Json,
    items: Json,
    speaker_of: Callable[[JsonObject], Speaker] = by_role,
    content: str = "content",
) -> Session:
    """Return what a request's body says of its conversation; never raises.

    `name`: the client's own for the conversation, whatever it is. `items` are what was said, in
    order, each below its key `content`; they are read up to the first of the model's, which ends
    the opening.
    """
    told: list[str] = []
    said: list[str] = []
    if system is not None:
        _take(system, told)
    has_history = False
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, dict):
            continue
        speaker = speaker_of(item)
        if speaker == "user":
            _take(item.get(content), said)
        elif speaker == "system":
            _take(item.get(content), told)
        elif speaker == "model":
            has_history = True
            break
    named = name if isinstance(name, str) and name.strip() else None
    return Session(named, has_history, "".join(told)[:MAX_CHARS], "".join(said)[:MAX_CHARS])


def _take(content: Json, texts: list[str]) -> None:
    """Take the texts of a content: a string, or parts with a `text`. Of each only what counts."""
    if isinstance(content, str):
        texts.append(content[:MAX_CHARS])
        return
    for part in content if isinstance(content, list) else (content,):
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            texts.append(text[:MAX_CHARS])
