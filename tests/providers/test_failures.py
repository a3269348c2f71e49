import json

import pytest

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.openai_chat import CHAT
from models.errors import Blame, ErrorKind, StreamBroken, UpstreamError
from models.json_types import JsonObject
from providers.failures import stream_error
from providers.openai import diagnose


def judged(
    status: int,
    payload: JsonObject | bytes,
    dialect: Dialect = CHAT,
    headers: dict[str, str] | None = None,
) -> UpstreamError:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return diagnose(dialect, status, headers or {}, body)


def error(
    code: str | None = None, kind: str = "invalid_request_error", message: str = "m"
) -> JsonObject:
    return {"error": {"message": message, "type": kind, "param": "p", "code": code}}


@pytest.mark.parametrize(
    ("status", "payload", "dialect", "kind", "blame"),
    [
        pytest.param(
            400, error("context_length_exceeded"), CHAT, ErrorKind.CONTEXT_LENGTH, Blame.REQUEST
        ),
        pytest.param(
            429, error("insufficient_quota"), CHAT, ErrorKind.BILLING, Blame.ACCOUNT, id="quota"
        ),
        pytest.param(
            429,
            error("usage_limit_reached"),
            CHAT,
            ErrorKind.QUOTA,
            Blame.ACCOUNT,
            id="a subscription's window",
        ),
        pytest.param(
            429, error("slow_down"), CHAT, ErrorKind.RATE_LIMIT, Blame.ACCOUNT_MODEL, id="slow"
        ),
        pytest.param(503, error("slow_down"), CHAT, ErrorKind.OVERLOADED, Blame.ACCOUNT_MODEL),
        pytest.param(401, error("invalid_api_key"), CHAT, ErrorKind.UPSTREAM_AUTH, Blame.ACCOUNT),
        pytest.param(
            401,
            error(),
            CHAT,
            ErrorKind.UPSTREAM_AUTH,
            Blame.ACCOUNT,
            id="status over generic type",
        ),
        pytest.param(
            404, error("model_not_found"), CHAT, ErrorKind.MODEL_NOT_FOUND, Blame.ACCOUNT_MODEL
        ),
        pytest.param(
            404,
            error(message="The model `x` does not exist"),
            CHAT,
            ErrorKind.MODEL_NOT_FOUND,
            Blame.ACCOUNT_MODEL,
            id="an API's 404",
        ),
        pytest.param(
            529,
            error(None, "server_error"),
            CHAT,
            ErrorKind.OVERLOADED,
            Blame.ACCOUNT_MODEL,
            id="overload under a generic type",
        ),
        pytest.param(
            500, error(None, "overloaded_error"), CHAT, ErrorKind.OVERLOADED, Blame.ACCOUNT_MODEL
        ),
        pytest.param(403, error("account_deactivated"), CHAT, ErrorKind.PERMISSION, Blame.ACCOUNT),
        pytest.param(
            400,
            {
                "type": "error",
                "error": {
                    "type": "invalid_request_error",
                    "message": "Your credit balance is too low to access the API.",
                },
            },
            MESSAGES,
            ErrorKind.BILLING,
            Blame.ACCOUNT,
            id="no credit, told as a bad request",
        ),
        pytest.param(
            400,
            {
                "type": "error",
                "error": {
                    "type": "invalid_request_error",
                    "message": "This organization has been disabled.",
                },
            },
            MESSAGES,
            ErrorKind.PERMISSION,
            Blame.ACCOUNT,
            id="organisation disabled",
        ),
        pytest.param(
            429,
            {
                "type": "error",
                "error": {
                    "type": "rate_limit_error",
                    "message": "m",
                    "details": {"error_code": "enforced_spend_limit_reached"},
                },
            },
            MESSAGES,
            ErrorKind.BILLING,
            Blame.ACCOUNT,
            id="spend limit",
        ),
        pytest.param(
            503,
            {"type": "error", "error": {"type": "api_error", "message": "m"}},
            MESSAGES,
            ErrorKind.OVERLOADED,
            Blame.ACCOUNT_MODEL,
        ),
    ],
)
def test_what_the_body_names_is_believed(
    status: int, payload: JsonObject, dialect: Dialect, kind: ErrorKind, blame: Blame
) -> None:
    found = judged(status, payload, dialect)
    assert (found.kind, found.blame) == (kind, blame)
    assert found.retryable is (blame is not Blame.REQUEST)


def test_errors_about_the_request_keep_status_body_and_field() -> None:
    payload = error("unsupported_parameter", message="no such thing")
    found = judged(422, payload, headers={"Content-Type": "application/json"})
    assert (found.status, found.upstream_status) == (422, 422)
    assert json.loads(found.upstream_body or b"") == payload
    assert (found.path, found.vendor_code, found.message) == (
        "p",
        "unsupported_parameter",
        "no such thing",
    )


PAGE = b"<!DOCTYPE html><html><body>Attention</body></html>"


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (403, {"content-type": "text/html; charset=UTF-8"}, PAGE),
        (403, {}, PAGE),
        (503, {}, b"<html><script src='/cdn-cgi/challenge-platform/x'></script></html>"),
        (429, {"cf-mitigated": "challenge"}, PAGE),
        (407, {"proxy-authenticate": "Basic"}, b""),
        (502, {"x-squid-error": "ERR_CONNECT_FAIL 111"}, PAGE),
        (502, {"content-type": "text/html"}, b"<html>Bad Gateway</html>"),
    ],
)
def test_pages_of_machines_on_the_way_are_charged_to_the_way(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    found = diagnose(CHAT, status, headers, body)
    assert (found.kind, found.blame, found.status) == (ErrorKind.EGRESS, Blame.EGRESS, 502)
    assert found.retryable


def test_a_page_of_the_providers_own_edge_is_its_failure() -> None:
    headers = {"content-type": "text/html", "CF-Ray": "8f1-FRA"}
    found = diagnose(CHAT, 502, headers, b"<html>Bad Gateway</html>")
    assert (found.kind, found.blame) == (ErrorKind.UPSTREAM, Blame.ACCOUNT_MODEL)
    assert diagnose(CHAT, 404, {}, PAGE).kind is ErrorKind.NOT_FOUND


def test_a_word_of_the_api_beats_a_header_on_the_way() -> None:
    found = judged(429, error("rate_limit_exceeded"), headers={"Proxy-Status": "x"})
    assert found.kind is ErrorKind.RATE_LIMIT


def test_the_wait_that_the_provider_names_is_told() -> None:
    assert judged(429, error(), headers={"Retry-After": "7"}).retry_after_s == 7
    assert judged(429, error()).retry_after_s is None


def test_errors_inside_a_stream_are_judged_by_their_body() -> None:
    body = json.dumps(error("insufficient_quota")).encode()
    told = UpstreamError("m", upstream_body=body)
    found = stream_error(diagnose, CHAT, told)
    assert (found.kind, found.blame, found.status) == (ErrorKind.BILLING, Blame.ACCOUNT, 402)
    cut = StreamBroken("cut")
    assert stream_error(diagnose, CHAT, cut) is cut


def test_a_bad_request_told_inside_a_stream_is_a_bad_request() -> None:
    body = json.dumps(error("context_length_exceeded")).encode()
    found = stream_error(diagnose, CHAT, UpstreamError("m", upstream_body=body))
    assert (found.status, found.retryable) == (400, False)
