"""Every rule about errors: what a provider says, what it means, and what clients are told."""

import json

import pytest

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.openai_chat import CHAT
from models.errors import Blame, ErrorKind, StreamBroken, UpstreamError
from models.json_types import JsonObject
from providers import anthropic, glm, openai
from providers.base import Provider
from providers.failures import stream_error
from tests.dialects.answers import Answer, chat_stream, messages_stream
from tests.dialects.test_rules_response import streamed

K = ErrorKind
CLAUDE, GPT, GLM = anthropic.PROVIDER, openai.PROVIDER, glm.PROVIDER


def claude(kind: str, message: str = "m", **more: object) -> JsonObject:
    return {"type": "error", "error": {"type": kind, "message": message, **more}}  # type: ignore[dict-item]  # JSON of a table


def gpt(kind: str, code: str | None = None, message: str = "m") -> JsonObject:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def zhipu(code: str, message: str = "m") -> JsonObject:
    return {"error": {"code": code, "message": message}}


INVALID = (400, "invalid_request_error", 400, "invalid_request_error", None)
TOO_LONG = (400, "invalid_request_error", 400, "invalid_request_error", "context_length_exceeded")
AUTH = (502, "api_error", 502, "server_error", "upstream_auth")
BILL = (402, "billing_error", 429, "insufficient_quota", "insufficient_quota")
FORBIDDEN = (502, "api_error", 502, "server_error", "permission_denied")
MISSING = (404, "not_found_error", 404, "invalid_request_error", "model_not_found")
LIMIT = (429, "rate_limit_error", 429, "rate_limit_error", "rate_limit_exceeded")
QUOTA = (429, "rate_limit_error", 429, "usage_limit_reached", "usage_limit_reached")
BUSY = (529, "overloaded_error", 503, "service_unavailable_error", "server_is_overloaded")
SLOW = (504, "timeout_error", 504, "server_error", "timeout")
BROKEN = (502, "api_error", 502, "server_error", "upstream_error")
POLICY = (400, "invalid_request_error", 400, "invalid_request_error", "content_policy_violation")
LARGE = (413, "request_too_large", 413, "invalid_request_error", "request_too_large")
CONFLICT = (409, "conflict_error", 409, "invalid_request_error", "conflict")
SPENT: JsonObject = {"error_code": "enforced_spend_limit_reached"}

ROWS = [
    (CLAUDE, 400, claude("invalid_request_error"), K.INVALID_REQUEST, False, INVALID),
    (CLAUDE, 400, claude("invalid_request_error", "prompt is too long: 9 > 8"),
     K.CONTEXT_LENGTH, False, TOO_LONG),
    (CLAUDE, 401, claude("authentication_error"), K.UPSTREAM_AUTH, True, AUTH),
    (CLAUDE, 402, claude("billing_error"), K.BILLING, True, BILL),
    (CLAUDE, 429, claude("rate_limit_error", details=SPENT), K.BILLING, True, BILL),
    (CLAUDE, 403, claude("permission_error"), K.PERMISSION, True, FORBIDDEN),
    (CLAUDE, 404, claude("not_found_error", "model: x"), K.MODEL_NOT_FOUND, True, MISSING),
    (CLAUDE, 409, claude("conflict_error"), K.CONFLICT, True, CONFLICT),
    (CLAUDE, 413, claude("request_too_large"), K.TOO_LARGE, False, LARGE),
    (CLAUDE, 413, None, K.TOO_LARGE, False, LARGE),
    (CLAUDE, 429, claude("rate_limit_error"), K.RATE_LIMIT, True, LIMIT),
    (CLAUDE, 500, claude("api_error"), K.UPSTREAM, True, BROKEN),
    (CLAUDE, 503, claude("api_error"), K.OVERLOADED, True, BUSY),
    (CLAUDE, 504, claude("timeout_error"), K.TIMEOUT, True, SLOW),
    (CLAUDE, 529, claude("overloaded_error"), K.OVERLOADED, True, BUSY),
    (CLAUDE, 529, None, K.OVERLOADED, True, BUSY),
    (GPT, 400, gpt("invalid_request_error", "context_length_exceeded"),
     K.CONTEXT_LENGTH, False, TOO_LONG),
    (GPT, 400, gpt("invalid_request_error", "content_policy_violation"),
     K.CONTENT_POLICY, False, POLICY),
    (GPT, 401, gpt("invalid_request_error", "invalid_api_key"), K.UPSTREAM_AUTH, True, AUTH),
    (GPT, 403, gpt("invalid_request_error"), K.PERMISSION, True, FORBIDDEN),
    (GPT, 404, gpt("invalid_request_error", "model_not_found"), K.MODEL_NOT_FOUND, True, MISSING),
    (GPT, 422, gpt("invalid_request_error"), K.INVALID_REQUEST, False,
     (422, "invalid_request_error", 422, "invalid_request_error", None)),
    (GPT, 429, gpt("requests", "rate_limit_exceeded"), K.RATE_LIMIT, True, LIMIT),
    (GPT, 429, gpt("server_error", "slow_down"), K.RATE_LIMIT, True, LIMIT),
    (GPT, 429, gpt("insufficient_quota", "insufficient_quota"), K.BILLING, True, BILL),
    (GPT, 429, gpt("x", "credit_balance_exhausted"), K.BILLING, True, BILL),
    (GPT, 429, gpt("usage_limit_reached"), K.QUOTA, True, QUOTA),
    (GPT, 500, gpt("server_error"), K.UPSTREAM, True, BROKEN),
    (GPT, 503, gpt("service_unavailable_error", "server_is_overloaded"), K.OVERLOADED, True, BUSY),
    (GPT, 503, gpt("server_error", "slow_down"), K.OVERLOADED, True, BUSY),
    (GPT, 529, gpt("server_error"), K.OVERLOADED, True, BUSY),
    (GPT, 408, None, K.TIMEOUT, True, SLOW),
    (GPT, 418, None, K.INVALID_REQUEST, False,
     (418, "invalid_request_error", 418, "invalid_request_error", None)),
    (GLM, 400, zhipu("1211"), K.MODEL_NOT_FOUND, True, MISSING),
    (GLM, 400, zhipu("1214"), K.INVALID_REQUEST, False, INVALID),
    (GLM, 400, zhipu("1261"), K.CONTEXT_LENGTH, False, TOO_LONG),
    (GLM, 400, zhipu("1301"), K.CONTENT_POLICY, False, POLICY),
    (GLM, 401, zhipu("1002"), K.UPSTREAM_AUTH, True, AUTH),
    (GLM, 429, zhipu("1113"), K.BILLING, True, BILL),
    (GLM, 429, zhipu("1302"), K.RATE_LIMIT, True, LIMIT),
    (GLM, 429, zhipu("1308"), K.QUOTA, True, QUOTA),
    (GLM, 200, zhipu("1305"), K.OVERLOADED, True, BUSY),
    (GLM, 500, zhipu("1234"), K.UPSTREAM, True, BROKEN),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "status", "body", "kind", "retryable", "told"), ROWS)
def test_4_what_a_provider_says_and_what_clients_are_told(
    provider: Provider,
    status: int,
    body: JsonObject | None,
    kind: ErrorKind,
    retryable: bool,
    told: tuple[int, str, int, str, str | None],
) -> None:
    raw = json.dumps(body).encode() if body else b"upstream connect error"
    error = provider.diagnose(provider.main.dialect, status, {}, raw)
    assert (error.kind, error.retryable) == (kind, retryable)
    assert (error.blame is Blame.REQUEST) is not retryable
    messages, chat = MESSAGES.encode_error(error, "req_1"), CHAT.encode_error(error, "req_1")
    said, seen = json.loads(messages.body)["error"], json.loads(chat.body)["error"]
    assert (messages.status, said["type"], chat.status, seen["type"], seen["code"]) == told
    assert said["message"]
    assert seen["message"]


def test_a_prompt_too_long_is_told_in_anthropics_words() -> None:
    body = json.dumps(gpt("invalid_request_error", "context_length_exceeded", "8192 at most"))
    error = GPT.diagnose(CHAT, 400, {}, body.encode())
    told = json.loads(MESSAGES.encode_error(error, "r").body)["error"]["message"]
    assert told == "prompt is too long: 8192 at most"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, {"retry-after": "7"}),
        ({"Retry-After-Ms": "1500", "retry-after": "9"}, {"retry-after": "2"}),
        ({"retry-after": "3600"}, {"retry-after": "3600", "x-should-retry": "false"}),
        ({}, {}),
    ],
)
def test_the_wait_that_a_provider_names_reaches_every_client(
    headers: dict[str, str], expected: dict[str, str]
) -> None:
    body = json.dumps(claude("rate_limit_error")).encode()
    error = CLAUDE.diagnose(MESSAGES, 429, headers, body)
    assert MESSAGES.encode_error(error, "r").headers == expected
    assert CHAT.encode_error(error, "r").headers == expected


def test_nobody_retries_what_was_tried_everywhere() -> None:
    for kind, status in ((K.UPSTREAM, 502), (K.OVERLOADED, 503), (K.TIMEOUT, 504)):
        error = UpstreamError("m", kind=kind, status=status)
        for client in (MESSAGES, CHAT):
            assert client.encode_error(error, "r").headers == {"x-should-retry": "false"}


OVERLOADED = (
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"m"}}'
)
BUSY_GLM = b'data: {"error":{"code":"1305","message":"m"}}'


@pytest.mark.parametrize(
    ("upstream", "client", "frames", "error"),
    [
        (MESSAGES, CHAT, messages_stream(Answer(("a", "b"))), OVERLOADED),
        (CHAT, MESSAGES, chat_stream(Answer(("a", "b"))), BUSY_GLM),
    ],
)
@pytest.mark.parametrize("is_told", [True, False])
def test_a_stream_that_fails_ends_with_an_error_and_nothing_else(
    upstream: Dialect, client: Dialect, frames: list[bytes], error: bytes, is_told: bool
) -> None:
    begun = frames[:3]
    raw = streamed(upstream, client, [*begun, error + b"\n\n", *frames[3:]] if is_told else begun)
    last = raw.split(b"\n\n")[-2]
    told = json.loads(last.partition(b"data: ")[2])
    assert told["error"]["message"]
    assert last.startswith(b"event: error\n") is (client is MESSAGES)
    for mark in (b"[DONE]", b"message_stop", b"message_delta", b'"finish_reason":"'):
        assert mark not in raw
    if not is_told:
        assert told["error"].get("code", "upstream_truncated") == "upstream_truncated"


def test_an_error_inside_a_stream_is_judged_by_its_provider() -> None:
    decoder = CHAT.decoder(GLM.main.profile("glm-4.6"))
    (failed,) = decoder.feed(BUSY_GLM + b"\n\n")
    error = getattr(failed, "error", None)
    assert isinstance(error, UpstreamError)
    judged = stream_error(GLM.diagnose, CHAT, error)
    assert (judged.kind, judged.blame) == (K.OVERLOADED, Blame.PROVIDER)
    broken = StreamBroken("cut")
    assert stream_error(GLM.diagnose, CHAT, broken) is broken
