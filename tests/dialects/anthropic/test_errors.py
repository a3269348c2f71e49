import json

import pytest

from dialects.anthropic import MESSAGES
from dialects.base import ErrorFacts
from models.errors import (
    BadRequest,
    Blame,
    ErrorKind,
    GatewayError,
    NoCapacity,
    NoRoute,
    PayloadTooLarge,
    StreamBroken,
    TimedOut,
    Unauthorized,
    UpstreamError,
)
from models.json_types import JsonObject


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        pytest.param(BadRequest("m"), 400, "invalid_request_error", id="bad request"),
        pytest.param(Unauthorized("m"), 401, "authentication_error", id="wrong client key"),
        pytest.param(NoRoute("m"), 404, "not_found_error", id="unknown model"),
        pytest.param(PayloadTooLarge("m"), 413, "request_too_large", id="too large"),
        pytest.param(
            NoCapacity("m", kind=ErrorKind.RATE_LIMIT, status=429),
            429,
            "rate_limit_error",
            id="all cool down",
        ),
        pytest.param(NoCapacity("m"), 503, "api_error", id="no account"),
        pytest.param(
            UpstreamError("m", kind=ErrorKind.OVERLOADED, status=503),
            529,
            "overloaded_error",
            id="overloaded",
        ),
        pytest.param(
            UpstreamError("m", kind=ErrorKind.UPSTREAM_AUTH), 502, "api_error", id="operator's key"
        ),
        pytest.param(
            UpstreamError("m", kind=ErrorKind.PERMISSION), 502, "api_error", id="operator's rights"
        ),
        pytest.param(
            UpstreamError("m", kind=ErrorKind.BILLING, status=429), 402, "billing_error", id="bill"
        ),
        pytest.param(
            UpstreamError("m", kind=ErrorKind.INVALID_REQUEST, status=400, blame=Blame.REQUEST),
            400,
            "invalid_request_error",
            id="provider refuses the request",
        ),
        pytest.param(UpstreamError("m"), 502, "api_error", id="provider fails"),
        pytest.param(TimedOut("m"), 504, "timeout_error", id="timeout"),
        pytest.param(StreamBroken("m"), 502, "api_error", id="cut off"),
        pytest.param(GatewayError("m"), 500, "api_error", id="ours"),
    ],
)
def test_errors_have_the_status_and_type_that_clients_expect(
    error: GatewayError, status: int, name: str
) -> None:
    written = MESSAGES.encode_error(error, "req_1")
    assert written.status == status
    assert json.loads(written.body) == {
        "type": "error",
        "error": {"type": name, "message": "m"},
        "request_id": "req_1",
    }
    # Where every account was tried in vain, the client shall not try again at once.
    is_exhausted = isinstance(error, UpstreamError) and error.status >= 500
    assert written.headers == ({"x-should-retry": "false"} if is_exhausted else {})


@pytest.mark.parametrize(
    ("seconds", "headers"),
    [
        (0.2, {"retry-after": "1"}),
        (12, {"retry-after": "12"}),
        (60.0, {"retry-after": "60"}),
        (60.5, {"retry-after": "61", "x-should-retry": "false"}),
        (7200, {"retry-after": "7200", "x-should-retry": "false"}),
        (-3, {"retry-after": "0"}),
    ],
)
def test_waits_are_whole_seconds_and_long_ones_forbid_a_retry(
    seconds: float, headers: dict[str, str]
) -> None:
    error = NoCapacity("m", status=429, retry_after_s=seconds)
    assert MESSAGES.encode_error(error, "r").headers == headers


def test_a_prompt_that_is_too_long_is_told_in_the_vendors_words() -> None:
    error = UpstreamError("8192 tokens at most", kind=ErrorKind.CONTEXT_LENGTH, status=400)
    told = json.loads(MESSAGES.encode_error(error, "r").body)
    assert told["error"]["message"] == "prompt is too long: 8192 tokens at most"


def test_details_are_told() -> None:
    error = NoCapacity("m", details={"reasons": {"cooling": 3}, "other": {1}})
    told = json.loads(MESSAGES.encode_error(error, "r").body)
    assert told["error"]["details"] == {"reasons": {"cooling": 3}, "other": "{1}"}


def test_the_frame_that_ends_a_broken_stream() -> None:
    frame = MESSAGES.encode_stream_error(StreamBroken("cut"), "req_1")
    assert frame == (
        b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"cut"},'
        b'"request_id":"req_1"}\n\n'
    )


@pytest.mark.parametrize(
    ("error", "facts"),
    [
        (
            {"type": "invalid_request_error", "message": "bad"},
            ErrorFacts(ErrorKind.INVALID_REQUEST, "bad", "invalid_request_error"),
        ),
        (
            {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"},
            ErrorFacts(
                ErrorKind.CONTEXT_LENGTH, "prompt is too long: 9 > 8", "invalid_request_error"
            ),
        ),
        (
            {"type": "authentication_error", "message": "x"},
            ErrorFacts(ErrorKind.UPSTREAM_AUTH, "x", "authentication_error"),
        ),
        (
            {"type": "not_found_error", "message": "model: claude-9"},
            ErrorFacts(ErrorKind.MODEL_NOT_FOUND, "model: claude-9", "not_found_error"),
        ),
        (
            {
                "type": "rate_limit_error",
                "message": "x",
                "details": {"error_code": "enforced_spend_limit_reached"},
            },
            ErrorFacts(ErrorKind.BILLING, "x", "enforced_spend_limit_reached"),
        ),
        ({"type": "api_error", "message": "x"}, ErrorFacts(None, "x", "api_error")),
        ({"type": "new_error"}, ErrorFacts(None, "new_error", "new_error")),
        ({}, ErrorFacts(None, "no message")),
        ("plain", ErrorFacts(None, "plain")),
        (7, None),
        (None, None),
    ],
)
def test_error_bodies_are_read(error: JsonObject, facts: ErrorFacts | None) -> None:
    assert MESSAGES.read_error({"type": "error", "error": error}) == facts
