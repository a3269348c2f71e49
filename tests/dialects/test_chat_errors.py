"""Errors of the Chat format, and what the official SDK makes of ours."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.base import ModelEntry
from dialects.openai_chat import CHAT
from models.errors import (
    BadRequest,
    ErrorKind,
    Forbidden,
    GatewayError,
    NoCapacity,
    NoRoute,
    PayloadTooLarge,
    Unauthorized,
    Unrepresentable,
    UpstreamError,
)
from models.json_types import Json, JsonObject


def told(error: GatewayError) -> tuple[int, JsonObject]:
    body = CHAT.encode_error(error, "req")
    payload = json.loads(body.body)
    assert set(payload) == {"error"}
    return body.status, payload["error"]


def upstream(kind: ErrorKind, status: int) -> UpstreamError:
    return UpstreamError("what happened", kind=kind, status=status)


@pytest.mark.parametrize(
    ("error", "status", "error_type", "code"),
    [
        (BadRequest("m", path="a.b"), 400, "invalid_request_error", None),
        (Unrepresentable("m"), 400, "invalid_request_error", "unsupported_parameter"),
        (Unauthorized("m"), 401, "invalid_request_error", "invalid_api_key"),
        (Forbidden("m"), 403, "invalid_request_error", "permission_denied"),
        (NoRoute("m"), 404, "invalid_request_error", "model_not_found"),
        (PayloadTooLarge("m"), 413, "invalid_request_error", "request_too_large"),
        (upstream(ErrorKind.RATE_LIMIT, 429), 429, "rate_limit_error", "rate_limit_exceeded"),
        (upstream(ErrorKind.BILLING, 402), 429, "insufficient_quota", "insufficient_quota"),
        (
            upstream(ErrorKind.OVERLOADED, 529),
            503,
            "service_unavailable_error",
            "server_is_overloaded",
        ),
        (upstream(ErrorKind.UPSTREAM_AUTH, 502), 502, "server_error", "upstream_auth"),
        (upstream(ErrorKind.PERMISSION, 502), 502, "server_error", "permission_denied"),
        (upstream(ErrorKind.UPSTREAM, 502), 502, "server_error", "upstream_error"),
        (upstream(ErrorKind.TIMEOUT, 504), 504, "server_error", "timeout"),
        (NoCapacity("m"), 503, "service_unavailable_error", "unavailable"),
        (
            NoCapacity("m", kind=ErrorKind.RATE_LIMIT, status=429),
            429,
            "rate_limit_error",
            "rate_limit_exceeded",
        ),
        (GatewayError("m"), 500, "server_error", "internal_error"),
    ],
)
def test_clients_get_the_status_and_words_they_know(
    error: GatewayError,
    status: int,
    error_type: str,
    code: str | None,
) -> None:
    got, body = told(error)
    assert (got, body["type"], body["code"]) == (status, error_type, code)
    assert body["param"] == error.path


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_has_words(kind: ErrorKind) -> None:
    status, body = told(UpstreamError("m", kind=kind))
    assert status in range(400, 600)
    assert body["type"]
    assert body["message"] == "m"


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (UpstreamError("m", retry_after_s=0.2, status=429), {"retry-after": "1"}),
        (UpstreamError("m", retry_after_s=0.0, status=429), {"retry-after": "0"}),
        (
            UpstreamError("m", retry_after_s=61, status=429),
            {"retry-after": "61", "x-should-retry": "false"},
        ),
        (UpstreamError("m", status=502), {"x-should-retry": "false"}),
        (UpstreamError("m", status=429), {}),
        (NoCapacity("m", retry_after_s=3), {"retry-after": "3"}),
        (BadRequest("m"), {}),
    ],
)
def test_clients_are_told_when_to_come_again(error: GatewayError, headers: dict[str, str]) -> None:
    assert CHAT.encode_error(error, "req").headers == headers


def test_messages_are_scrubbed_and_reasons_told() -> None:
    error = NoCapacity("key sk-abcdef123456 rests", details={"reasons": {"rate_limit": 2}})
    _, body = told(error)
    assert body["message"] == "key *** rests"
    assert body["reasons"] == {"rate_limit": 2}


@pytest.mark.parametrize(
    ("payload", "kind", "code", "message"),
    [
        (
            {"error": {"message": "m", "type": "invalid_request_error", "code": None}},
            ErrorKind.INVALID_REQUEST,
            None,
            "m",
        ),
        (
            {"error": {"message": "m", "code": "context_length_exceeded"}},
            ErrorKind.CONTEXT_LENGTH,
            "context_length_exceeded",
            "m",
        ),
        (
            {
                "object": "error",
                "message": "This model's maximum context length is 5",
                "code": 400,
            },
            ErrorKind.CONTEXT_LENGTH,
            "400",
            "This model's maximum context length is 5",
        ),
        (
            {"error": {"message": "m", "type": "tokens", "code": "rate_limit_exceeded"}},
            ErrorKind.RATE_LIMIT,
            "rate_limit_exceeded",
            "m",
        ),
        (
            {"error": {"message": "m", "code": "insufficient_quota"}},
            ErrorKind.BILLING,
            "insufficient_quota",
            "m",
        ),
        ({"error": {"code": "1302", "message": "m"}}, None, "1302", "m"),
        ({"error": {"code": 1302, "message": "m"}}, None, "1302", "m"),
        ({"code": 1113, "msg": "m", "success": False}, None, "1113", "m"),
        ({"error": "boom"}, None, None, "boom"),
        ({"detail": [{"loc": ["body"]}]}, None, None, '[{"loc":["body"]}]'),
        ({"error": {"x": 1}}, None, None, ""),
    ],
)
def test_errors_of_every_shape_are_read(
    payload: JsonObject, kind: ErrorKind | None, code: str | None, message: str
) -> None:
    facts = CHAT.read_error(payload)
    assert facts is not None
    assert (facts.kind, facts.code, facts.message) == (kind, code, message)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"error": None},
        {"error": {}},
        {"error": ""},
        {"choices": [], "message": "x"},
        {"id": "i", "message": "x"},
        {"object": "list", "data": []},
    ],
)
def test_what_is_no_error_is_none(payload: JsonObject) -> None:
    assert CHAT.read_error(payload) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["code", "message", "type", "param"]), inner)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["error", "code", "msg", "success", "message", "detail"]), JSON)
)
def test_reading_errors_never_raises(payload: JsonObject) -> None:
    facts = CHAT.read_error(payload)
    assert facts is None or isinstance(facts.message, str)


def test_a_detail_nested_beyond_sense_is_no_crash() -> None:
    deep: Json = "x"
    for _ in range(3000):
        deep = [deep]
    facts = CHAT.read_error({"detail": deep})
    assert facts is not None
    assert facts.message == ""


def test_models_are_listed_in_openais_shape() -> None:
    entry = ModelEntry("gpt-5", "openai", 1_754_500_000)
    listed = CHAT.encode_models([entry])
    assert listed == {
        "object": "list",
        "data": [
            {
                "id": "gpt-5",
                "object": "model",
                "created": 1_754_500_000,
                "owned_by": "openai",
            }
        ],
    }
    assert CHAT.encode_model(entry)["id"] == "gpt-5"
    assert CHAT.read_models(listed) == [ModelEntry("gpt-5", "", 1_754_500_000)]


@pytest.mark.parametrize(
    "payload",
    [{}, {"data": None}, {"data": [None, {"id": 5}, {"id": ""}]}, {"models": [{"id": "x"}]}],
)
def test_unknown_lists_are_empty(payload: JsonObject) -> None:
    assert CHAT.read_models(payload) == []


def test_odd_entries_are_read_as_far_as_they_go() -> None:
    payload: JsonObject = {"data": [{"id": "a", "created": "x"}, {"id": "a"}, {"id": "b"}]}
    assert CHAT.read_models(payload) == [ModelEntry("a", ""), ModelEntry("b", "")]
