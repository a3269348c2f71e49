"""Errors of Google's, read and written."""

import orjson
import pytest
from google.genai import errors as sdk

from dialects.base import ErrorFacts
from dialects.gemini import GEMINI
from models.errors import (
    BadRequest,
    ErrorKind,
    GatewayError,
    NoCapacity,
    NoRoute,
    Unauthorized,
    UpstreamError,
)
from models.json_types import JsonObject
from tests.dialects.gemini.support import dig

TYPE = "type.googleapis.com/google.rpc."


def told(status: str, message: str = "m", *details: JsonObject) -> JsonObject:
    error: JsonObject = {"code": 400, "message": message, "status": status}
    return {"error": {**error, "details": [*details]} if details else error}


def info(reason: str) -> JsonObject:
    return {"@type": TYPE + "ErrorInfo", "reason": reason, "domain": "googleapis.com"}


@pytest.mark.parametrize(
    ("payload", "kind", "code"),
    [
        (told("INVALID_ARGUMENT"), ErrorKind.INVALID_REQUEST, "INVALID_ARGUMENT"),
        (
            told("INVALID_ARGUMENT", "API key not valid.", info("API_KEY_INVALID")),
            ErrorKind.UPSTREAM_AUTH,
            "API_KEY_INVALID",
        ),
        (
            told(
                "INVALID_ARGUMENT",
                "The input token count (9) exceeds the maximum number of tokens allowed (8).",
            ),
            ErrorKind.CONTEXT_LENGTH,
            "INVALID_ARGUMENT",
        ),
        (told("UNAUTHENTICATED"), ErrorKind.UPSTREAM_AUTH, "UNAUTHENTICATED"),
        (
            told("PERMISSION_DENIED", "m", info("SERVICE_DISABLED")),
            ErrorKind.PERMISSION,
            "SERVICE_DISABLED",
        ),
        (told("NOT_FOUND"), ErrorKind.MODEL_NOT_FOUND, "NOT_FOUND"),
        (told("RESOURCE_EXHAUSTED"), ErrorKind.RATE_LIMIT, "RESOURCE_EXHAUSTED"),
        (
            told("RESOURCE_EXHAUSTED", "m", info("QUOTA_EXHAUSTED")),
            ErrorKind.QUOTA,
            "QUOTA_EXHAUSTED",
        ),
        (
            told("RESOURCE_EXHAUSTED", "m", info("MODEL_CAPACITY_EXHAUSTED")),
            ErrorKind.OVERLOADED,
            "MODEL_CAPACITY_EXHAUSTED",
        ),
        (told("UNAVAILABLE"), ErrorKind.OVERLOADED, "UNAVAILABLE"),
        (told("DEADLINE_EXCEEDED"), ErrorKind.TIMEOUT, "DEADLINE_EXCEEDED"),
        (told("INTERNAL"), ErrorKind.UPSTREAM, "INTERNAL"),
        (told("SOMETHING_NEW"), None, "SOMETHING_NEW"),
    ],
)
def test_errors_are_read(payload: JsonObject, kind: ErrorKind | None, code: str) -> None:
    facts = GEMINI.read_error(payload)
    assert facts is not None
    assert (facts.kind, facts.code) == (kind, code)


def test_a_wrong_field_is_named() -> None:
    violation: JsonObject = {"field": "contents[0].parts", "description": "d"}
    detail: JsonObject = {"@type": TYPE + "BadRequest", "fieldViolations": [violation]}
    assert GEMINI.read_error(told("INVALID_ARGUMENT", "m", detail)) == ErrorFacts(
        ErrorKind.INVALID_REQUEST, "m", "INVALID_ARGUMENT", "contents[0].parts"
    )


@pytest.mark.parametrize(
    "payload",
    [{}, {"error": None}, {"error": {}}, {"error": []}, {"candidates": []}],
)
def test_what_is_no_error(payload: JsonObject) -> None:
    assert GEMINI.read_error(payload) is None


@pytest.mark.parametrize(
    "error", [{"details": 5}, {"details": [5, {"@type": 5}]}, {"message": 5}, {"status": []}]
)
def test_odd_errors_are_errors(error: JsonObject) -> None:
    facts = GEMINI.read_error({"error": error})
    assert facts is not None
    assert facts.message == "no message"


# --- written ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (BadRequest("x", path="contents"), 400, "INVALID_ARGUMENT"),
        (Unauthorized("x"), 401, "UNAUTHENTICATED"),
        (NoRoute("x"), 404, "NOT_FOUND"),
        (NoCapacity("x"), 503, "UNAVAILABLE"),
        (GatewayError("x", kind=ErrorKind.TOO_LARGE, status=413), 413, "INVALID_ARGUMENT"),
        (UpstreamError("x", kind=ErrorKind.RATE_LIMIT, status=429), 429, "RESOURCE_EXHAUSTED"),
        (UpstreamError("x", kind=ErrorKind.BILLING, status=402), 429, "RESOURCE_EXHAUSTED"),
        (UpstreamError("x", kind=ErrorKind.OVERLOADED, status=529), 503, "UNAVAILABLE"),
        (UpstreamError("x", kind=ErrorKind.UPSTREAM_AUTH), 502, "INTERNAL"),
        (UpstreamError("x", kind=ErrorKind.PERMISSION), 502, "INTERNAL"),
        (UpstreamError("x", kind=ErrorKind.TIMEOUT, status=504), 504, "DEADLINE_EXCEEDED"),
        (GatewayError("x"), 500, "INTERNAL"),
    ],
)
def test_errors_are_written(error: GatewayError, status: int, name: str) -> None:
    body = GEMINI.encode_error(error, "req_1")
    payload = orjson.loads(body.body)
    assert body.status == status
    assert (payload["error"]["code"], payload["error"]["status"]) == (status, name)
    assert sdk.APIError(status, payload).message == "x"
    frame = GEMINI.encode_stream_error(error, "req_1")
    assert frame == b'data: {"error":{"code":%d%b\r\n\r\n' % (
        status,
        body.body.split(b"%d" % status, 1)[1],
    )


def test_an_error_says_what_it_knows() -> None:
    error = NoCapacity("x", retry_after_s=1.25, details={"reasons": {"cooling down": 2}})
    body = GEMINI.encode_error(error, "req_1")
    assert body.headers["retry-after"] == "2"
    assert dig(orjson.loads(body.body), "error", "details") == [
        {
            "@type": TYPE + "ErrorInfo",
            "reason": "UNAVAILABLE",
            "domain": "aigateway",
            "metadata": {"cooling down": "2"},
        },
        {"@type": TYPE + "RetryInfo", "retryDelay": "1.25s"},
        {"@type": TYPE + "RequestInfo", "requestId": "req_1"},
    ]


@pytest.mark.parametrize(
    ("seconds", "delay"), [(0, "0s"), (30.0, "30s"), (0.5, "0.5s"), (100, "100s")]
)
def test_delays_are_googles_durations(seconds: float, delay: str) -> None:
    body = GEMINI.encode_error(NoCapacity("x", retry_after_s=seconds), "").body
    assert dig(orjson.loads(body), "error", "details", 1, "retryDelay") == delay


def test_a_wrong_field_of_a_clients_is_named_by_its_path() -> None:
    body = GEMINI.encode_error(BadRequest("contents: required", path="contents"), "").body
    assert dig(orjson.loads(body), "error", "details", 1, "fieldViolations", 0) == {
        "field": "contents",
        "description": "contents: required",
    }


def test_credentials_are_not_told() -> None:
    body = GEMINI.encode_error(UpstreamError("key sk-abcdef1234567 is bad"), "").body
    assert b"abcdef1234567" not in body
