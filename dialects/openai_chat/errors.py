"""Errors of the Chat format, both directions."""

from collections.abc import Mapping
from typing import Final

import orjson

from dialects import fields
from dialects.base import ErrorBody, ErrorFacts
from dialects.openai_chat.finish import NETWORK_ERROR
from dialects.refusal_facts import refusal_facts
from dialects.retries import retry_headers
from dialects.scrub import scrubbed
from dialects.sse import frame
from models.errors import BadRequest, ErrorKind, GatewayError, UpstreamError
from models.json_types import Json, JsonObject

NOTHING_SAID: Final = "the provider reported an error without saying which"

_BY_CODE: Final[Mapping[str, ErrorKind]] = {
    "account_deactivated": ErrorKind.PERMISSION,
    "billing_hard_limit_reached": ErrorKind.BILLING,
    "billing_not_active": ErrorKind.BILLING,
    "content_filter": ErrorKind.CONTENT_POLICY,
    "content_policy_violation": ErrorKind.CONTENT_POLICY,
    "context_length_exceeded": ErrorKind.CONTEXT_LENGTH,
    "credit_balance_exhausted": ErrorKind.BILLING,
    "insufficient_quota": ErrorKind.BILLING,
    "invalid_api_key": ErrorKind.UPSTREAM_AUTH,
    "invalid_encrypted_content": ErrorKind.INVALID_REQUEST,
    "invalid_prompt": ErrorKind.INVALID_REQUEST,
    "model_not_found": ErrorKind.MODEL_NOT_FOUND,
    "previous_response_not_found": ErrorKind.RESPONSE_NOT_FOUND,
    "rate_limit_exceeded": ErrorKind.RATE_LIMIT,
    "request_too_large": ErrorKind.TOO_LARGE,
    "server_is_overloaded": ErrorKind.OVERLOADED,
    "unsupported_parameter": ErrorKind.UNSUPPORTED,
    "unsupported_value": ErrorKind.UNSUPPORTED,
    "usage_limit_reached": ErrorKind.QUOTA,
}
# `slow_down` is left to the status: with 429 it is a limit, with 503 an overload.

_BY_TYPE: Final[Mapping[str, ErrorKind]] = {
    "api_error": ErrorKind.UPSTREAM,
    "authentication_error": ErrorKind.UPSTREAM_AUTH,
    "billing_error": ErrorKind.BILLING,
    "insufficient_quota": ErrorKind.BILLING,
    "internal_error": ErrorKind.UPSTREAM,
    "invalid_request_error": ErrorKind.INVALID_REQUEST,
    "not_found_error": ErrorKind.NOT_FOUND,
    "overloaded_error": ErrorKind.OVERLOADED,
    "permission_error": ErrorKind.PERMISSION,
    "rate_limit_error": ErrorKind.RATE_LIMIT,
    "requests": ErrorKind.RATE_LIMIT,
    "server_error": ErrorKind.UPSTREAM,
    "service_unavailable_error": ErrorKind.OVERLOADED,
    "timeout_error": ErrorKind.TIMEOUT,
    "tokens": ErrorKind.RATE_LIMIT,
    "usage_limit_reached": ErrorKind.QUOTA,
}

# These say what happened where the code says nothing.
_TELLING_TYPES: Final = frozenset(
    {"insufficient_quota", "usage_limit_reached", "usage_not_included"}
)

_CONTEXT_TEXTS: Final = (
    "maximum context length",
    "prompt is too long",
    "context window",
    "context length",
    "tokens in request more than max tokens allowed",
)

_WORDS: Final[Mapping[ErrorKind, tuple[str, str | None]]] = {
    ErrorKind.INVALID_REQUEST: ("invalid_request_error", None),
    ErrorKind.CONTEXT_LENGTH: ("invalid_request_error", "context_length_exceeded"),
    ErrorKind.UNSUPPORTED: ("invalid_request_error", "unsupported_parameter"),
    ErrorKind.CONTENT_POLICY: ("invalid_request_error", "content_policy_violation"),
    ErrorKind.SIGNATURE: ("invalid_request_error", "invalid_encrypted_content"),
    ErrorKind.AUTHENTICATION: ("invalid_request_error", "invalid_api_key"),
    ErrorKind.UPSTREAM_AUTH: ("server_error", "upstream_auth"),
    ErrorKind.BILLING: ("insufficient_quota", "insufficient_quota"),
    ErrorKind.PERMISSION: ("invalid_request_error", "permission_denied"),
    ErrorKind.NOT_FOUND: ("invalid_request_error", "not_found"),
    ErrorKind.MODEL_NOT_FOUND: ("invalid_request_error", "model_not_found"),
    ErrorKind.RESPONSE_NOT_FOUND: ("invalid_request_error", "previous_response_not_found"),
    ErrorKind.CONFLICT: ("invalid_request_error", "conflict"),
    ErrorKind.TOO_LARGE: ("invalid_request_error", "request_too_large"),
    ErrorKind.RATE_LIMIT: ("rate_limit_error", "rate_limit_exceeded"),
    ErrorKind.QUOTA: ("usage_limit_reached", "usage_limit_reached"),
    ErrorKind.OVERLOADED: ("service_unavailable_error", "server_is_overloaded"),
    ErrorKind.UNAVAILABLE: ("service_unavailable_error", "unavailable"),
    ErrorKind.TIMEOUT: ("server_error", "timeout"),
    ErrorKind.UPSTREAM: ("server_error", "upstream_error"),
    ErrorKind.TRUNCATED: ("server_error", "upstream_truncated"),
    ErrorKind.EGRESS: ("server_error", "egress_error"),
    ErrorKind.CANCELLED: ("server_error", "cancelled"),
    ErrorKind.INTERNAL: ("server_error", "internal_error"),
}

# Clients of this format know neither 529 nor 402.
_STATUSES: Final[Mapping[ErrorKind, int]] = {
    ErrorKind.OVERLOADED: 503,
    ErrorKind.BILLING: 429,
}


# --- a provider's errors ----------------------------------------------------------------------


def read_error(payload: JsonObject) -> ErrorFacts | None:
    """Read an error body or an error chunk; None when it is none.

    Shapes: OpenAI's `{"error": {...}}`, `{"error": "text"}`, GLM's
    `{"code", "msg", "success": false}`, vLLM's `{"object": "error", "message"}` and
    FastAPI's `{"detail"}`.
    """
    error = payload.get("error")
    if error is None and "choices" in payload:
        return None  # an answer, as most are
    if isinstance(error, dict) and error:
        return _facts(error, error.get("message"))
    if isinstance(error, str) and error:
        return ErrorFacts(_kind_of("", "", error), error)
    if "choices" in payload:
        return None
    if payload.get("success") is False or (payload.get("code") and "msg" in payload):
        return _facts(payload, payload.get("msg") or payload.get("message"))
    if isinstance(payload.get("message"), str) and "id" not in payload:
        return _facts(payload, payload.get("message"))
    if detail := payload.get("detail"):
        return _facts(detail if isinstance(detail, dict) else {}, detail)
    return None


def stream_failure(payload: JsonObject, data: bytes) -> UpstreamError | None:
    """Return the error that a stream's chunk carries; `data` is kept for the diagnosis."""
    facts = read_error(payload)
    return None if facts is None else failure(facts, data)


def failure(facts: ErrorFacts, data: bytes) -> UpstreamError:
    """Return the error that a provider told of inside a stream or an answer of status 200."""
    return UpstreamError(
        scrubbed(facts.message, NOTHING_SAID),
        kind=facts.kind,
        upstream_body=data,
        vendor_code=facts.code,
        path=facts.param,
    )


def network_error() -> UpstreamError:
    """Return the error of an answer whose finish reason says that it broke off."""
    return UpstreamError(
        "the provider lost its own connection while answering", vendor_code=NETWORK_ERROR
    )


def _facts(error: JsonObject, told: Json) -> ErrorFacts:
    message = _text(told)
    code, param = error.get("code"), error.get("param")
    told_type = error.get("type")
    kind = told_type if isinstance(told_type, str) else ""
    is_code = isinstance(code, str | int) and not isinstance(code, bool) and code != ""
    name = str(code) if is_code else kind if kind in _TELLING_TYPES else None
    return ErrorFacts(
        _kind_of(name or "", kind, message),
        message,
        code=name,
        param=param if isinstance(param, str) else None,
    )


def _text(told: Json) -> str:
    if told is None or isinstance(told, str):
        return told or ""
    try:
        return fields.dumps(told).decode(errors="replace")
    except BadRequest:  # nested too deeply to be shown
        return ""


def _kind_of(code: str, error_type: str, message: str) -> ErrorKind | None:
    kind = _BY_CODE.get(code) or _BY_TYPE.get(error_type)
    if kind is None or kind is ErrorKind.INVALID_REQUEST:
        told = message.lower()
        if any(text in told for text in _CONTEXT_TEXTS):
            return ErrorKind.CONTEXT_LENGTH
    return kind


# --- our errors -------------------------------------------------------------------------------


def encode_error(error: GatewayError) -> ErrorBody:
    """Write an error answer with the status that Chat clients expect."""
    return ErrorBody(
        _STATUSES.get(error.kind, error.status),
        orjson.dumps(error_body(error)),
        retry_headers(error),
    )


def encode_stream_error(error: GatewayError) -> bytes:
    """Write the frame that ends a broken stream. No `[DONE]` follows: that would look whole."""
    return frame(orjson.dumps(error_body(error)))


def error_body(error: GatewayError) -> JsonObject:
    """Return `{"error": {...}}`, which OpenAI's other formats share."""
    error_type, code = _words(error)
    told: JsonObject = {
        "message": scrubbed(error.message, "the request failed"),
        "type": error_type,
        "param": error.path,
        "code": code,
        **refusal_facts(error),
    }
    return {"error": told}


def _words(error: GatewayError) -> tuple[str, str | None]:
    error_type, code = _WORDS[error.kind]
    if error.kind is ErrorKind.PERMISSION and error.status >= 500:
        return "server_error", code
    return error_type, code
