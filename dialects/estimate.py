"""How many tokens a request may have, where nobody can be asked. Always marked as an estimate.

Tokenizers are secrets of their vendors; what is known is that plain English has about four
characters to a token and other scripts about three bytes of UTF-8: one sign of Chinese, one or
two letters of Russian. An estimate errs on the high side: clients use it to decide when a
conversation is too long.
"""

import math
from collections.abc import Iterable
from typing import Final

from dialects.fields import dumps
from models.chat import ChatRequest
from models.content import (
    Inline,
    Media,
    Opaque,
    Part,
    PlainText,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from models.content import ToolResult as Result

_ASCII_PER_TOKEN: Final = 3.5
_OTHER_BYTES_PER_TOKEN: Final = 3
_MESSAGE_TOKENS: Final = 4
_MEDIA_TOKENS: Final = 1_600
"""A large image at Anthropic; other vendors count less."""
_DOCUMENT_BASE64_PER_TOKEN: Final = 40
"""A page of a PDF costs 1,500 to 3,000 tokens, and has some ten thousands of bytes."""


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
        case Media(kind="document", source=Inline(_, data)):
            return max(_MEDIA_TOKENS, len(data) // _DOCUMENT_BASE64_PER_TOKEN)
        case Media():
            return _MEDIA_TOKENS
        case Opaque():
            return _text(dumps(part.payload).decode())


def _text(text: str) -> int:
    if text.isascii():
        return math.ceil(len(text) / _ASCII_PER_TOKEN)
    plain = len(text.encode("ascii", "ignore"))
    other = len(text.encode("utf-8", "surrogatepass")) - plain
    return math.ceil(plain / _ASCII_PER_TOKEN + other / _OTHER_BYTES_PER_TOKEN)
