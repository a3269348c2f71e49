"""How many tokens a request may have, where nobody can be asked. Always marked as an estimate.

Tokenizers are secrets of their vendors; what is known is that Latin text has about four
characters to a token and other scripts about one. An estimate errs on the high side, because
clients use it to decide when a conversation is too long.
"""

from collections.abc import Iterable
from typing import Final

from dialects.fields import dumps
from models.chat import ChatRequest
from models.content import Media, Opaque, Part, PlainText, Reasoning, Refusal, Text, ToolCall
from models.content import ToolResult as Result

_CHARACTERS_PER_TOKEN: Final = 3.5
_MESSAGE_TOKENS: Final = 4
_MEDIA_TOKENS: Final = 1_600
"""A large image at Anthropic; other vendors count less."""


def estimated_tokens(request: ChatRequest) -> int:
    """Return an estimate of the input tokens of a request."""
    tokens = sum(_text(text.text) for text in request.system)
    for message in request.messages:
        tokens += _MESSAGE_TOKENS + _parts(message.parts)
    for tool in request.tools:
        shape = dumps(tool.raw if tool.raw is not None else tool.schema or {}).decode()
        tokens += _MESSAGE_TOKENS + _text(f"{tool.name} {tool.description or ''} {shape}")
    if request.output.schema is not None:
        tokens += _text(dumps(request.output.schema).decode())
    return max(1, tokens)


def _parts(parts: Iterable[Part]) -> int:
    return sum(_part(part) for part in parts)


def _part(part: Part) -> int:
    match part:
        case Text(text) | Refusal(text) | Reasoning(text):
            return _text(text)
        case ToolCall():
            return _MESSAGE_TOKENS + _text(part.name + part.arguments)
        case Result():
            return _MESSAGE_TOKENS + _parts(part.parts)
        case Media(source=PlainText(text)):
            return _text(text)
        case Media():
            return _MEDIA_TOKENS
        case Opaque():
            return _text(dumps(part.payload).decode())


def _text(text: str) -> int:
    foreign = 0 if text.isascii() else sum(character > "\u02ff" for character in text)
    return foreign + int((len(text) - foreign) / _CHARACTERS_PER_TOKEN + 0.999)
