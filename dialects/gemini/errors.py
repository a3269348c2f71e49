"""Errors of the Gemini format (google.rpc.Status), read and written."""

from collections.abc import Mapping
from typing import Final

from dialects.base import ErrorBody, ErrorFacts
from dialects.fields import dumps
from dialects.gemini.lines import frame
from dialects.refusal_facts import refusal_words
from dialects.retries import retry_headers
from dialects.scrub import scrubbed
from models.errors import ErrorKind, GatewayError, UpstreamError
from models.json_types import Json, JsonObject

_KINDS: Final[Mapping[str, ErrorKind]] = {
    "ABORTED": ErrorKind.CONFLICT,
    "CANCELLED": ErrorKind.CANCELLED,
    "DEADLINE_EXCEEDED": ErrorKind.TIMEOUT,
    "FAILED_PRECONDITION": ErrorKind.INVALID_REQUEST,
    "INTERNAL": ErrorKind.UPSTREAM,
    "INVALID_ARGUMENT": ErrorKind.INVALID_REQUEST,
    "NOT_FOUND": ErrorKind.MODEL_NOT_FOUND,
    "OUT_OF_RANGE": ErrorKind.INVALID_REQUEST,
    "PERMISSION_DENIED": ErrorKind.PERMISSION,
    "RESOURCE_EXHAUSTED": ErrorKind.RATE_LIMIT,
    "UNAUTHENTICATED": ErrorKind.UPSTREAM_AUTH,
    "UNAVAILABLE": ErrorKind.OVERLOADED,
}
_BY_REASON: Final[Mapping[str, ErrorKind]] = {
    "API_KEY_EXPIRED": ErrorKind.UPSTREAM_AUTH,
    "API_KEY_INVALID": ErrorKind.UPSTREAM_AUTH,
    "MODEL_CAPACITY_EXHAUSTED": ErrorKind.OVERLOADED,
    "QUOTA_EXHAUSTED": ErrorKind.QUOTA,
}
_CONTEXT_TEXTS: Final = (
    "exceeds the maximum number of tokens",
    "input token count",
    "prompt is too long",
)
_STATUSES: Final[Mapping[ErrorKind, int]] = {ErrorKind.OVERLOADED: 503, ErrorKind.BILLING: 429}
"""Where this format's clients expect another status than the others do."""
_NAMES: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TYPE: Final = "type.googleapis.com/google.rpc."

# --- reading ----------------------------------------------------------------------------------


def read_error(payload: JsonObject) -> ErrorFacts | None:
    """Read a provider's error body; None when it is none.

    What kind of limit was met, and how long it lasts, is for the provider to say: it stands in
    details that only its own services write.
    """
    error = payload.get("error")
    if isinstance(error, str) and error:
        return ErrorFacts(None, error)
    if not isinstance(error, dict) or not error:
        return None
    status, message = _text(error, "status"), _text(error, "message")
    details = _details(error)
    reason = _first(details, "ErrorInfo", "reason")
    kind = _BY_REASON.get(reason) or _KINDS.get(status)
    if kind is ErrorKind.INVALID_REQUEST and _is_too_long(message):
        kind = ErrorKind.CONTEXT_LENGTH
    return ErrorFacts(
        kind, message or status or "no message", reason or status or None, _field(details)
    )


def upstream_error(payload: JsonObject, body: bytes) -> UpstreamError:
    """Return the error that an answer of status 200 holds, or that it is none at all."""
    facts = read_error(payload)
    if facts is None:
        return UpstreamError("the provider's answer is not in the Gemini format")
    return UpstreamError(
        scrubbed(facts.message, "the provider reported an error"),
        kind=facts.kind,
        upstream_status=200,
        upstream_body=body,
        vendor_code=facts.code,
        path=facts.param,
    )


def _is_too_long(message: str) -> bool:
    told = message.lower()
    return any(text in told for text in _CONTEXT_TEXTS)


def _details(error: JsonObject) -> list[JsonObject]:
    details = error.get("details")
    return [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []


def _first(details: list[JsonObject], kind: str, key: str) -> str:
    told = (_text(one, key) for one in details if _text(one, "@type") == _TYPE + kind)
    return next((text for text in told if text), "")


def _field(details: list[JsonObject]) -> str | None:
    for detail in details:
        violations = detail.get("fieldViolations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict) and _text(violation, "field"):
                return _text(violation, "field")
    return None


def _text(payload: JsonObject, key: str) -> str:
    value = payload.get(key)
    return value if isinstance(value, str) else ""


# --- writing ----------------------------------------------------------------------------------


def encode_error(error: GatewayError, request_id: str) -> ErrorBody:
    """Write an error answer with the status that Gemini's clients expect."""
    return ErrorBody(_status(error), dumps(_payload(error, request_id)), retry_headers(error))


def encode_stream_error(error: GatewayError, request_id: str) -> bytes:
    """Write the frame that ends a broken stream; clients know it by its first key."""
    return frame(dumps(_payload(error, request_id)))


def _status(error: GatewayError) -> int:
    return _STATUSES.get(error.kind, error.status)


def _payload(error: GatewayError, request_id: str) -> JsonObject:
    status, message = _status(error), scrubbed(error.message, "the request failed")
    told: JsonObject = {
        "code": status,
        "message": message,
        "status": _NAMES.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL"),
        "details": _written_details(error, message, request_id),
    }
    return {"error": told}


def _written_details(error: GatewayError, message: str, request_id: str) -> list[Json]:
    metadata: JsonObject = {**refusal_words(error)}
    details: list[Json] = [
        {
            "@type": _TYPE + "ErrorInfo",
            "reason": error.kind.name,
            "domain": "aigateway",
            **({"metadata": metadata} if metadata else {}),
        }
    ]
    if error.retry_after_s is not None:
        delay = f"{max(error.retry_after_s, 0):.3f}".rstrip("0").rstrip(".")
        details.append({"@type": _TYPE + "RetryInfo", "retryDelay": f"{delay}s"})
    if error.path:
        violation: JsonObject = {"field": error.path, "description": message}
        details.append({"@type": _TYPE + "BadRequest", "fieldViolations": [violation]})
    if request_id:
        details.append({"@type": _TYPE + "RequestInfo", "requestId": request_id})
    return details
