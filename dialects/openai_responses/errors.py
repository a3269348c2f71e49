"""Errors of the Responses format: those of Chat before a stream, events of its own inside."""

from collections.abc import Mapping
from typing import Final

from dialects.base import ErrorFacts
from dialects.fields import dumps
from dialects.openai_chat import errors as chat
from dialects.scrub import scrubbed
from dialects.sse import frame
from models.errors import ErrorKind, GatewayError, UpstreamError
from models.json_types import JsonObject

_UNSAID: Final = ErrorFacts(None, chat.NOTHING_SAID)

_CODES: Final[Mapping[ErrorKind, str]] = {
    ErrorKind.BILLING: "insufficient_quota",
    ErrorKind.CONTENT_POLICY: "invalid_prompt",
    ErrorKind.CONTEXT_LENGTH: "context_length_exceeded",
    ErrorKind.INVALID_REQUEST: "invalid_prompt",
    ErrorKind.OVERLOADED: "server_is_overloaded",
    ErrorKind.QUOTA: "rate_limit_exceeded",
    ErrorKind.RATE_LIMIT: "rate_limit_exceeded",
    ErrorKind.SIGNATURE: "invalid_prompt",
}
_OTHER: Final = "server_error"


def read_error(payload: JsonObject) -> ErrorFacts | None:
    """Read an error body, an event that tells of one, or an answer that failed."""
    response = payload.get("response")
    if isinstance(response, dict) and not payload.get("error"):
        payload = response
    facts = chat.read_error(payload)
    if facts is None and payload.get("status") in ("failed", "cancelled"):
        return _UNSAID
    return facts


def stream_failure(payload: JsonObject, data: bytes) -> UpstreamError:
    """Return the error that an event tells of; `data` is kept for the diagnosis."""
    return chat.failure(read_error(payload) or _UNSAID, data)


def response_error(error: GatewayError) -> JsonObject:
    """Return `error` of an answer that failed, in the words that clients act on."""
    return {
        "code": _CODES.get(error.kind, _OTHER),
        "message": scrubbed(error.message, "the request failed"),
    }


def encode_stream_error(error: GatewayError, sequence_number: int = 0) -> bytes:
    """Write the event that ends a stream whose answer is unknown to us.

    The flat fields are the format's; OpenAI's SDKs raise only for an `error` object.
    """
    told: JsonObject = {
        "type": "error",
        "sequence_number": sequence_number,
        **response_error(error),
        "param": error.path,
        **chat.error_body(error),
    }
    return frame(dumps(told), b"error")
