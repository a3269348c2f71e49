"""Errors of the Messages format, read and written."""

import json
from collections.abc import Mapping
from typing import Final

from dialects import sse
from dialects.base import ErrorBody, ErrorFacts
from dialects.fields import dumps
from dialects.retries import retry_headers
from dialects.scrub import scrubbed
from models.errors import ErrorKind, GatewayError, UpstreamError
from models.json_types import Json, JsonObject

_TYPES: Final[Mapping[ErrorKind, str]] = {
    ErrorKind.INVALID_REQUEST: "invalid_request_error",
    ErrorKind.CONTEXT_LENGTH: "invalid_request_error",
    ErrorKind.UNSUPPORTED: "invalid_request_error",
    ErrorKind.CONTENT_POLICY: "invalid_request_error",
    ErrorKind.SIGNATURE: "invalid_request_error",
    ErrorKind.AUTHENTICATION: "authentication_error",
    ErrorKind.BILLING: "billing_error",
    ErrorKind.PERMISSION: "permission_error",
    ErrorKind.NOT_FOUND: "not_found_error",
    ErrorKind.MODEL_NOT_FOUND: "not_found_error",
    ErrorKind.RESPONSE_NOT_FOUND: "invalid_request_error",
    ErrorKind.CONFLICT: "conflict_error",
    ErrorKind.TOO_LARGE: "request_too_large",
    ErrorKind.RATE_LIMIT: "rate_limit_error",
    ErrorKind.QUOTA: "rate_limit_error",
    ErrorKind.OVERLOADED: "overloaded_error",
    ErrorKind.TIMEOUT: "timeout_error",
}
_STATUSES: Final[Mapping[ErrorKind, int]] = {ErrorKind.OVERLOADED: 529, ErrorKind.BILLING: 402}
"""Where this dialect's clients expect another status than the others do."""

_KINDS: Final[Mapping[str, ErrorKind]] = {
    "invalid_request_error": ErrorKind.INVALID_REQUEST,
    "authentication_error": ErrorKind.UPSTREAM_AUTH,
    "billing_error": ErrorKind.BILLING,
    "permission_error": ErrorKind.PERMISSION,
    "not_found_error": ErrorKind.NOT_FOUND,
    "conflict_error": ErrorKind.CONFLICT,
    "request_too_large": ErrorKind.TOO_LARGE,
    "rate_limit_error": ErrorKind.RATE_LIMIT,
    "overloaded_error": ErrorKind.OVERLOADED,
    "timeout_error": ErrorKind.TIMEOUT,
}
_SPEND_LIMIT: Final = "enforced_spend_limit_reached"
_TOO_LONG: Final = "prompt is too long"

# --- reading ----------------------------------------------------------------------------------


def read_error(payload: JsonObject) -> ErrorFacts | None:
    """Read a provider's error body; None when it is none.

    `api_error` stands beside any status and says nothing that the status does not.
    """
    error = payload.get("error")
    if isinstance(error, str) and error:
        return ErrorFacts(None, error)
    if not isinstance(error, dict):
        return None
    kind, message = error.get("type"), error.get("message")
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    text = message if isinstance(message, str) else ""
    name = kind if isinstance(kind, str) else ""
    named = code if isinstance(code, str) else name
    return ErrorFacts(_kind(name, text, named), text or named or "no message", named or None)


def _kind(name: str, message: str, code: str) -> ErrorKind | None:
    if code == _SPEND_LIMIT:
        return ErrorKind.BILLING
    kind = _KINDS.get(name)
    if kind is ErrorKind.INVALID_REQUEST and _TOO_LONG in message.lower():
        return ErrorKind.CONTEXT_LENGTH
    if kind is ErrorKind.NOT_FOUND and message.startswith("model:"):
        return ErrorKind.MODEL_NOT_FOUND
    return kind


def upstream_error(payload: JsonObject, body: bytes) -> UpstreamError:
    """Return the error that an answer of status 200 holds, or that it is none at all."""
    facts = read_error(payload)
    if facts is None:
        return UpstreamError("the provider's answer is not in the Messages format")
    kind = facts.kind or ErrorKind.UPSTREAM
    return UpstreamError(
        scrubbed(facts.message, "the provider reported an error"),
        kind=kind,
        status=_STATUSES.get(kind),
        upstream_status=200,
        upstream_body=body,
        vendor_code=facts.code,
    )


# --- writing ----------------------------------------------------------------------------------


def encode_error(error: GatewayError, request_id: str) -> ErrorBody:
    """Write an error answer with the status that Anthropic's clients expect."""
    status = _STATUSES.get(error.kind, error.status)
    return ErrorBody(status, dumps(_payload(error, request_id)), retry_headers(error))


def encode_stream_error(error: GatewayError, request_id: str) -> bytes:
    """Write the event that ends a broken stream."""
    return sse.frame(dumps(_payload(error, request_id)), b"error")


def _payload(error: GatewayError, request_id: str) -> JsonObject:
    described: JsonObject = {"type": _type(error), "message": _message(error)}
    if error.details:
        details: Json = json.loads(json.dumps(dict(error.details), default=str))
        described["details"] = details
    payload: JsonObject = {"type": "error", "error": described}
    if request_id:
        payload["request_id"] = request_id
    return payload


def _type(error: GatewayError) -> str:
    is_ours = isinstance(error, UpstreamError) and error.kind is ErrorKind.PERMISSION
    # A provider that forbids something to the operator's account forbids nothing to the client.
    return "api_error" if is_ours else _TYPES.get(error.kind, "api_error")


def _message(error: GatewayError) -> str:
    if error.kind is ErrorKind.CONTEXT_LENGTH and _TOO_LONG not in error.message.lower():
        return f"{_TOO_LONG}: {error.message}"
    return error.message
