"""How a conversation begins: the same in each of its turns, however its client writes it down.

Clients move cache markers from turn to turn, and write the same text once as a string and once as
parts. So only texts count, without their borders.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Literal, TypeAlias

from models.json_types import Json, JsonObject
from models.session import Session

Speaker: TypeAlias = Literal["system", "user", "model", ""]
"""Who speaks; `""` for what is nobody's word, such as a tool's result."""
Turn: TypeAlias = tuple[Speaker, Json]
"""Who speaks, and the content as the format has it."""

_SPEAKERS: Final[dict[str, Speaker]] = {
    "user": "user",
    "assistant": "model",
    "system": "system",
    "developer": "system",
}

MAX_CHARS: Final = 2048
"""Of the system text, and of the opening: what is longer differs within so much, or never."""


def session_of(name: Json, system: Json, turns: Iterable[Turn]) -> Session:
    """Return what a request's body says of its conversation; never raises.

    `name`: the client's own for the conversation, whatever it is. The turns are read up to the
    first of the model's, which ends the opening.
    """
    told, said = _Text(), _Text()
    told.take(system)
    has_history = False
    for speaker, content in turns:
        if speaker == "model":
            has_history = True
            break
        if speaker == "user":
            said.take(content)
        elif speaker == "system":
            told.take(content)
    named = name if isinstance(name, str) and name.strip() else None
    return Session(named, has_history, told.text, said.text)


def messages(items: Json) -> Iterator[Turn]:
    """Yield the turns of a list of messages with `role` and `content`."""
    for message in objects(items):
        yield speaker_of(message.get("role")), message.get("content")


def speaker_of(role: Json) -> Speaker:
    """Return who speaks in the role of a message."""
    return _SPEAKERS.get(role, "") if isinstance(role, str) else ""


def objects(items: Json) -> Iterator[JsonObject]:
    """Yield what of a list is an object; nothing of what is no list."""
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield item


class _Text:
    """Text that is gathered up to a limit."""

    __slots__ = ("_left", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._left = MAX_CHARS

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def take(self, content: Json) -> None:
        """Take the texts of a content: a string, or parts with a `text`."""
        for part in content if isinstance(content, list) else (content,):
            text = part.get("text") if isinstance(part, dict) else part
            if self._left > 0 and isinstance(text, str):
                self._pieces.append(text[: self._left])
                self._left -= len(text)
