"""Whole answers and errors of the Responses format."""

import orjson
import pytest

from dialects.base import ModelEntry
from dialects.openai_chat import CHAT
from dialects.openai_responses import RESPONSES
from models.chat import ChatResponse, FinishReason
from models.content import Reasoning, Text, ToolCall
from models.errors import BadRequest, ErrorKind, GatewayError, UpstreamError
from models.json_types import JsonObject
from models.usage import Usage
from tests.dialects.official import check_answer
from tests.dialects.responses.support import ID, context, message, response

FULL = ChatResponse(
    "up",
    "gpt-new-2026",
    1_750_000_000,
    (
        Reasoning("hm", "gA", "openai"),
        Text("Hi"),
        ToolCall("call_1", "wx", '{"a":1}'),
        ToolCall("call_2", "patch", '{"input":"x"}'),
    ),
    FinishReason.TOOL_CALLS,
    usage=Usage(20, 50, 1000, 200, 40),
)


def test_an_answer_is_read() -> None:
    items: list[JsonObject] = [
        {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gA"},
        message("a", "b"),
    ]
    found = RESPONSES.decode_response(response(items))
    assert found.parts == (Reasoning("", "gA", "openai"), Text("a"), Text("b"))
    assert (found.id, found.model, found.created) == ("resp_1", "gpt-new-2026", 1_750_000_000)
    assert (found.finish, found.usage) == (FinishReason.STOP, Usage())


def test_an_answer_survives_being_written_and_read() -> None:
    tools: list[JsonObject] = [{"type": "custom", "name": "patch"}]
    written = RESPONSES.encode_response(FULL, context(tools=[*tools]))
    check_answer("responses", written)
    assert written["id"] == f"resp_{ID}"
    again = RESPONSES.decode_response(written)
    assert (again.parts, again.finish, again.usage) == (FULL.parts, FULL.finish, FULL.usage)
    assert RESPONSES.read_usage(written) == FULL.usage
    assert RESPONSES.read_error(written) is None


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"output": "x"},
        {"error": {"message": "bad"}},
        response(status="failed", error={"code": "server_error", "message": "bad"}),
        response(status="cancelled"),
    ],
)
def test_what_is_no_answer_is_an_error(payload: JsonObject) -> None:
    with pytest.raises(UpstreamError) as caught:
        RESPONSES.decode_response(payload)
    assert caught.value.upstream_body == orjson.dumps(payload)


def test_an_answer_that_is_nested_absurdly_is_an_error() -> None:
    deep: JsonObject = {}
    for _ in range(2000):
        deep = {"a": deep}
    call: JsonObject = {"type": "function_call", "call_id": "c", "name": "f", "arguments": deep}
    with pytest.raises(UpstreamError):
        RESPONSES.decode_response(response([call]))


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "kind", "code"),
    [
        (
            {"error": {"message": "m", "type": "invalid_request_error", "code": None}},
            ErrorKind.INVALID_REQUEST,
            None,
        ),
        (
            {"error": {"message": "m", "code": "previous_response_not_found", "param": "p"}},
            ErrorKind.RESPONSE_NOT_FOUND,
            "previous_response_not_found",
        ),
        (
            {"type": "error", "code": "context_length_exceeded", "message": "m"},
            ErrorKind.CONTEXT_LENGTH,
            "context_length_exceeded",
        ),
        (
            {"type": "response.failed", "response": {"error": {"code": "x", "message": "m"}}},
            None,
            "x",
        ),
        ({"detail": "m"}, None, None),
    ],
)
def test_errors_are_read(payload: JsonObject, kind: ErrorKind | None, code: str | None) -> None:
    facts = RESPONSES.read_error(payload)
    assert facts is not None
    assert (facts.kind, facts.code, facts.message) == (kind, code, "m")


def test_what_is_no_error_is_none() -> None:
    assert RESPONSES.read_error(response()) is None
    assert RESPONSES.read_error({"type": "response.created", "response": response()}) is None


def test_errors_before_an_answer_are_those_of_chat() -> None:
    error = BadRequest("no", path="input[0]")
    assert RESPONSES.encode_error(error, "r") == CHAT.encode_error(error, "r")
    lost = BadRequest("gone", kind=ErrorKind.RESPONSE_NOT_FOUND, path="previous_response_id")
    assert orjson.loads(RESPONSES.encode_error(lost, "r").body)["error"] == {
        "message": "gone",
        "type": "invalid_request_error",
        "param": "previous_response_id",
        "code": "previous_response_not_found",
    }


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ErrorKind.RATE_LIMIT, "rate_limit_exceeded"),
        (ErrorKind.QUOTA, "rate_limit_exceeded"),
        (ErrorKind.BILLING, "insufficient_quota"),
        (ErrorKind.OVERLOADED, "server_is_overloaded"),
        (ErrorKind.CONTEXT_LENGTH, "context_length_exceeded"),
        (ErrorKind.CONTENT_POLICY, "invalid_prompt"),
        (ErrorKind.INTERNAL, "server_error"),
        (ErrorKind.UPSTREAM_AUTH, "server_error"),
    ],
)
def test_the_error_that_ends_a_stream(kind: ErrorKind, code: str) -> None:
    frame = RESPONSES.encode_stream_error(GatewayError("why", kind=kind, path="p"), "r")
    name, data = frame.removesuffix(b"\n\n").split(b"\n")
    payload = orjson.loads(data.removeprefix(b"data: "))
    assert (name, payload["type"]) == (b"event: error", "error")
    assert (payload["code"], payload["message"], payload["param"]) == (code, "why", "p")
    assert isinstance(payload["sequence_number"], int)
    # OpenAI's SDKs raise for this object only.
    assert payload["error"]["message"] == "why"


# --- models -----------------------------------------------------------------------------------


def test_model_lists_are_those_of_chat() -> None:
    entry = ModelEntry("m", "openai", 5)
    assert RESPONSES.encode_models([entry]) == CHAT.encode_models([entry])
    assert RESPONSES.encode_model(entry) == CHAT.encode_model(entry)
    assert RESPONSES.read_models({"data": [{"id": "m"}]}) == [ModelEntry("m", "")]
