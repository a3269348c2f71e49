"""What every provider promises, built in or an operator's."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.account import Account, AuthType, Credentials
from models.errors import Blame, ErrorKind
from models.provider import StoredProvider
from providers import BUILTIN
from providers.base import Provider, Route, build_request
from providers.compatible import operator_provider
from providers.waits import MAX_WAIT_S

SECRET = "sk-canary-0123456789"
OPERATORS = tuple(
    operator_provider(StoredProvider(f"own-{dialect}", "Own", dialect, "https://x.test/base/v1/"))
    for dialect in ("messages", "chat")
)
EVERY = pytest.mark.parametrize("provider", [*BUILTIN, *OPERATORS], ids=lambda one: one.id)
BODIES = [
    b"",
    b"null",
    b"[]",
    b"<html><body>blocked</body></html>",
    b"\xff\xfe\x00garbage",
    b"{" * 3000,
    b'{"error":null}',
    b'{"error":{"message":"m","type":"invalid_request_error"}}',
    b'{"type":"error","error":{"type":"overloaded_error","message":"m"}}',
    b'{"error":{"code":"1305","message":"m"}}',
]


@EVERY
@pytest.mark.parametrize("auth_type", list(AuthType))
def test_secrets_are_in_headers_and_never_in_the_url(
    provider: Provider, auth_type: AuthType
) -> None:
    for offer in provider.offers:
        request = build_request(
            Route(provider, "m"),
            offer,
            offer.base_url,
            b"{}",
            stream=True,
            request_id="r",
            account=Account("a", provider.id, "label", auth_type),
            credentials=Credentials(SECRET),
            client_headers={},
            user_agent="aigateway/0",
        )
        assert SECRET not in request.url
        assert "//" not in request.url.removeprefix("https://")
        assert request.url.startswith(offer.base_url)
        signed = [name for name, value in request.headers.items() if SECRET in value]
        assert len(signed) == 1
        assert signed[0] in ("authorization", "x-api-key", "x-goog-api-key")
        assert request.headers["user-agent"] == "aigateway/0"
        assert SECRET not in repr(request)


@EVERY
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 418, 429, 500, 503, 529, 599])
def test_every_failure_has_a_judgement(provider: Provider, body: bytes, status: int) -> None:
    error = provider.diagnose(provider.main.dialect, status, {}, body)
    assert error.message
    assert error.status in range(400, 600)
    assert error.upstream_status == status
    assert error.upstream_body == body
    # What another account may have is looked for there, and nobody rests for it.
    is_elsewhere = error.kind is ErrorKind.NOT_FOUND
    assert error.retryable is (error.blame is not Blame.REQUEST or is_elsewhere)
    assert error.evidence
    # 401 is the word for the client's own key, which is fine.
    assert error.status not in (401, 403, 407)


@EVERY
@pytest.mark.parametrize(
    "hostile",
    [
        "-5",
        "NaN",
        "inf",
        "1e309",
        "",
        "soon",
        "9" * 500,
        "Fri, 99 Foo 2026 99:99:99 GMT",
        "\u0661\u0662",
    ],
)
def test_hostile_waits_are_ignored_or_bounded(provider: Provider, hostile: str) -> None:
    for name in ("Retry-After", "retry-after-ms"):
        error = provider.diagnose(provider.main.dialect, 429, {name: hostile}, b"")
        assert error.retry_after_s is None or 0 <= error.retry_after_s <= MAX_WAIT_S
    long = provider.diagnose(provider.main.dialect, 429, {"retry-after": "999999999"}, b"")
    assert long.retry_after_s == MAX_WAIT_S


@EVERY
@pytest.mark.parametrize(
    ("status", "kind", "blame", "retryable", "client_status"),
    [
        pytest.param(400, ErrorKind.INVALID_REQUEST, Blame.REQUEST, False, 400, id="bad request"),
        pytest.param(401, ErrorKind.UPSTREAM_AUTH, Blame.ACCOUNT, True, 502, id="key revoked"),
        pytest.param(402, ErrorKind.BILLING, Blame.ACCOUNT, True, 402, id="no money"),
        pytest.param(403, ErrorKind.EGRESS, Blame.EGRESS, True, 502, id="forbidden, by whom?"),
        pytest.param(404, ErrorKind.NOT_FOUND, Blame.REQUEST, True, 404, id="not there"),
        pytest.param(407, ErrorKind.EGRESS, Blame.EGRESS, True, 502, id="proxy credentials"),
        pytest.param(408, ErrorKind.TIMEOUT, Blame.ACCOUNT_MODEL, True, 504, id="timeout"),
        pytest.param(413, ErrorKind.TOO_LARGE, Blame.REQUEST, False, 413, id="too large"),
        pytest.param(422, ErrorKind.INVALID_REQUEST, Blame.REQUEST, False, 422, id="schema"),
        pytest.param(429, ErrorKind.RATE_LIMIT, Blame.ACCOUNT_MODEL, True, 429, id="limited"),
        pytest.param(500, ErrorKind.UPSTREAM, Blame.ACCOUNT_MODEL, True, 502, id="broken"),
        pytest.param(502, ErrorKind.UPSTREAM, Blame.ACCOUNT_MODEL, True, 502, id="gateway"),
        pytest.param(503, ErrorKind.OVERLOADED, Blame.ACCOUNT_MODEL, True, 503, id="busy"),
        pytest.param(504, ErrorKind.TIMEOUT, Blame.ACCOUNT_MODEL, True, 504, id="slow"),
        pytest.param(529, ErrorKind.OVERLOADED, Blame.ACCOUNT_MODEL, True, 503, id="overloaded"),
    ],
)
def test_the_status_decides_where_the_body_is_silent(
    provider: Provider,
    status: int,
    kind: ErrorKind,
    blame: Blame,
    retryable: bool,
    client_status: int,
) -> None:
    error = provider.diagnose(provider.main.dialect, status, {}, b"")
    assert (error.kind, error.blame, error.retryable, error.status) == (
        kind,
        blame,
        retryable,
        client_status,
    )


@EVERY
def test_secrets_in_a_providers_words_are_not_shown(provider: Provider) -> None:
    body = json.dumps({"error": {"message": f"bad key {SECRET} of jane@example.com"}}).encode()
    for status in (400, 401, 429, 500):
        error = provider.diagnose(provider.main.dialect, status, {}, body)
        assert SECRET not in error.message
        assert "jane" not in error.message


@EVERY
@given(st.integers(100, 999), st.binary(max_size=60))
def test_diagnosis_never_raises(provider: Provider, status: int, body: bytes) -> None:
    assert provider.diagnose(provider.main.dialect, status, {}, body).message


@EVERY
@pytest.mark.parametrize(
    "model", ["", "x", "claude-", "gpt-", "glm-", "o1", "gpt-99.99-z", "\ud83d"]
)
def test_every_name_has_a_profile(provider: Provider, model: str) -> None:
    assert provider.main.profile(model).model == model


def test_the_built_in_ones_are_these() -> None:
    assert [(one.id, one.main.base_url) for one in BUILTIN] == [
        ("anthropic", "https://api.anthropic.com"),
        ("openai", "https://api.openai.com/v1"),
        ("glm", "https://open.bigmodel.cn/api/paas/v4"),
        ("gemini", "https://generativelanguage.googleapis.com"),
        ("antigravity", "https://cloudcode-pa.googleapis.com"),
    ]
