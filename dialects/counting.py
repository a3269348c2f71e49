"""Requests that are counted instead of answered, and the answers that hold a count alone."""

from collections.abc import Collection

from dialects.base import Encoded
from models.chat import NO_SAMPLING, ChatRequest, ChatResponse, FinishReason
from models.record import replace
from models.usage import Usage


def to_count(request: ChatRequest) -> ChatRequest:
    """Return the request without what only steers its answer."""
    return replace(request, stream=False, max_tokens=None, stop=(), sampling=NO_SAMPLING)


def only(encoded: Encoded, fields: Collection[str]) -> Encoded:
    """Return a written request with the fields that an endpoint takes which refuses others."""
    payload = {key: value for key, value in encoded.payload.items() if key in fields}
    return Encoded(payload, encoded.dropped)


def counted(usage: Usage, model: str = "") -> ChatResponse:
    """Return the answer that holds a count."""
    return ChatResponse("", model, 0, (), FinishReason.STOP, usage=usage)
