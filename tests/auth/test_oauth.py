import base64
from collections.abc import Mapping
from urllib.parse import parse_qs

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.oauth import (
    DEFAULT_LIFETIME_S,
    ISSUED_AT,
    authorize_url,
    code_request,
    device_request,
    device_token_request,
    jwt_expiry,
    read_token,
    refresh_request,
)
from auth.token_failures import RefreshError, RefreshFailed, RefreshRejected, RefreshThrottled
from models.account import Credentials, OAuthClient
from models.json_types import Json

NOW = 1_700_000_000.0
CLIENT = OAuthClient("https://idp.example/token", "client-1", scopes=("a", "b"))
OLD = Credentials("old-access", "old-refresh", NOW - 5, CLIENT, {"project_id": "p1"})


def _read(
    payload: "Json | bytes", status: int = 200, headers: Mapping[str, str] | None = None
) -> Credentials:
    body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return read_token(status, headers or {}, body, previous=OLD, now=NOW)


def _jwt(claims: Json) -> str:
    parts = (b'{"alg":"none"}', orjson.dumps(claims), b"signature")
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


# --- the request ---


@pytest.mark.parametrize(
    ("way", "header", "names"),
    [
        ("post", None, {"client_id", "client_secret"}),
        ("basic", "Basic aWQ6c2VjcmV0", set()),
        ("none", None, {"client_id"}),
    ],
)
def test_a_client_shows_its_secret_in_the_way_it_is_told(
    way: str, header: str | None, names: set[str]
) -> None:
    client = OAuthClient("https://idp.example/token", "id", "secret", client_auth=way)
    request = refresh_request(client, "r")
    fields = parse_qs(request.body.decode(), strict_parsing=True)
    assert request.headers.get("authorization") == header
    assert fields.keys() == {"grant_type", "refresh_token"} | names


def test_a_login_begins_at_an_address_with_everything_in_it() -> None:
    address = authorize_url(
        CLIENT,
        "https://idp.example/authorize?tenant=1",
        redirect_uri="https://us.example/cb?x=1",
        state="s",
        challenge="c",
        params=[("prompt", "a b"), ("uri", "taken"), ("response_mode", "query")],
    )
    base, _, query = address.partition("?")
    assert base == "https://idp.example/authorize"
    assert parse_qs(query, strict_parsing=True) == {
        "tenant": ["1"],
        "response_type": ["code"],
        "client_id": ["client-1"],
        "redirect_uri": ["https://us.example/cb?x=1"],
        "scope": ["a b"],
        "state": ["s"],
        "code_challenge": ["c"],
        "code_challenge_method": ["S256"],
        "prompt": ["a b"],
        "uri": ["taken"],
        "response_mode": ["query"],
    }
    bare = OAuthClient("https://idp.example/token", "id")
    plain = authorize_url(bare, "https://i.example/a", redirect_uri="r", state="s", challenge="c")
    assert "scope" not in plain


def test_parameters_of_an_operator_never_replace_ours() -> None:
    ours = dict.fromkeys(("code", "code_verifier", "state", "redirect_uri", "grant_type"), "theirs")
    client = OAuthClient("https://idp.example/token", "id", token_params={**ours, "resource": "x"})
    request = code_request(client, "code 1", redirect_uri="r", verifier="v", state="s")
    assert parse_qs(request.body.decode(), strict_parsing=True) == {
        "grant_type": ["authorization_code"],
        "code": ["code 1"],
        "redirect_uri": ["r"],
        "code_verifier": ["v"],
        "state": ["s"],
        "resource": ["x"],
        "client_id": ["id"],
    }


def test_a_device_login_begins_with_the_client_and_what_is_asked_for() -> None:
    request = device_request(CLIENT, "https://idp.example/device")
    assert request.url == "https://idp.example/device"
    assert parse_qs(request.body.decode()) == {"scope": ["a b"], "client_id": ["client-1"]}
    bare = device_request(OAuthClient("https://t", "id"), "https://idp.example/device")
    assert bare.body == b"client_id=id"
    polled = device_token_request(CLIENT, "dev 1")
    assert parse_qs(polled.body.decode()) == {
        "grant_type": ["urn:ietf:params:oauth:grant-type:device_code"],
        "device_code": ["dev 1"],
        "client_id": ["client-1"],
    }


def test_the_request_is_a_form_with_the_token_and_the_client() -> None:
    request = refresh_request(CLIENT, "r+/= &%é", user_agent="aigateway/9.9")
    assert (request.method, request.url) == ("POST", "https://idp.example/token")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"] == "aigateway/9.9"
    assert parse_qs(request.body.decode(), strict_parsing=True) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["r+/= &%é"],
        "client_id": ["client-1"],
    }


def test_a_client_with_a_secret_sends_it_in_the_body() -> None:
    client = OAuthClient("https://idp.example/token", "id", client_secret="s&=+ %41")
    fields = parse_qs(refresh_request(client, "r").body.decode(), strict_parsing=True)
    assert fields["client_secret"] == ["s&=+ %41"]
    assert "authorization" not in refresh_request(client, "r").headers


def test_the_request_is_json_where_the_provider_wants_it() -> None:
    client = OAuthClient(
        "https://idp.example/token",
        "id",
        client_secret="s&=+ %41",
        token_body="json",
        token_params={"audience": "api", "scope": "x y"},
    )
    request = refresh_request(client, "r+/= &%é")
    assert request.headers["content-type"] == "application/json"
    assert orjson.loads(request.body) == {
        "grant_type": "refresh_token",
        "refresh_token": "r+/= &%é",
        "audience": "api",
        "scope": "x y",
        "client_id": "id",
        "client_secret": "s&=+ %41",
    }


def test_extra_parameters_never_replace_ours() -> None:
    params = {
        "grant_type": "password",
        "client_id": "x",
        "refresh_token": "x",
        "body": "x",
        "a": "1",
    }
    client = OAuthClient("https://idp.example/token", "id", token_params=params)
    assert parse_qs(refresh_request(client, "r").body.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["r"],
        "a": ["1"],
        "client_id": ["id"],
    }


def test_the_token_is_not_shown_by_the_request() -> None:
    assert "canary" not in repr(refresh_request(CLIENT, "canary"))


# --- a good answer ---


def test_a_rotated_refresh_token_replaces_the_old_one() -> None:
    new = _read({"access_token": "new", "refresh_token": "r2", "expires_in": 600})
    assert (new.access, new.refresh, new.expires_at) == ("new", "r2", NOW + 600)
    assert new.oauth == CLIENT
    assert new.facts == {"project_id": "p1", ISSUED_AT: str(int(NOW))}


@pytest.mark.parametrize("refresh", [None, "", 5, "two\r\nlines"])
def test_an_answer_without_a_refresh_token_keeps_the_old_one(refresh: Json) -> None:
    assert _read({"access_token": "new"}).refresh == "old-refresh"
    assert _read({"access_token": "new", "refresh_token": refresh}).refresh == "old-refresh"


@pytest.mark.parametrize(
    ("fields", "lifetime_s"),
    [
        pytest.param({"expires_in": 600}, 600, id="number"),
        pytest.param({"expires_in": 600.9}, 600, id="fraction"),
        pytest.param({"expires_in": "600"}, 600, id="in quotes"),
        pytest.param({}, DEFAULT_LIFETIME_S, id="absent"),
        pytest.param({"expires_in": None}, DEFAULT_LIFETIME_S, id="null"),
        pytest.param({"expires_in": "soon"}, DEFAULT_LIFETIME_S, id="a word"),
        pytest.param({"expires_in": "nan"}, DEFAULT_LIFETIME_S, id="not a number"),
        pytest.param({"expires_in": "1e400"}, DEFAULT_LIFETIME_S, id="infinite"),
        pytest.param({"expires_in": True}, DEFAULT_LIFETIME_S, id="true"),
        pytest.param({"expires_in": 0}, DEFAULT_LIFETIME_S, id="zero"),
        pytest.param({"expires_in": -5}, DEFAULT_LIFETIME_S, id="negative"),
        pytest.param({"access_token": _jwt({"exp": NOW + 50})}, 50, id="claim of the token"),
        pytest.param(
            {"access_token": _jwt({"exp": NOW + 50}), "expires_in": 70}, 70, id="answer over claim"
        ),
        pytest.param(
            {"access_token": _jwt({"exp": NOW - 50})}, DEFAULT_LIFETIME_S, id="claim in the past"
        ),
        pytest.param({"access_token": _jwt([1])}, DEFAULT_LIFETIME_S, id="claims are a list"),
    ],
)
def test_the_expiry_is_read_from_what_there_is(fields: dict[str, Json], lifetime_s: float) -> None:
    assert _read({"access_token": "new", **fields}).expires_at == NOW + lifetime_s


@pytest.mark.parametrize(
    "token", ["", "a.b", "a.b.c", "a.!!!.c", "....", _jwt({}), _jwt({"exp": {}})]
)
def test_a_token_without_a_claim_has_no_expiry(token: str) -> None:
    assert jwt_expiry(token) is None


# --- refusals and failures ---

REJECTED = RefreshRejected
FAILED = RefreshFailed
THROTTLED = RefreshThrottled


@pytest.mark.parametrize(
    ("status", "payload", "outcome", "reason"),
    [
        (400, {"error": "invalid_grant", "error_description": "gone"}, REJECTED, "invalid_grant"),
        (401, {"error": "invalid_client"}, REJECTED, "invalid_client"),
        (400, {"error": "unauthorized_client"}, REJECTED, "unauthorized_client"),
        (200, {"error": "invalid_grant"}, REJECTED, "invalid_grant"),
        (400, {"error": {"type": "invalid_grant"}}, REJECTED, "invalid_grant"),
        (
            400,
            {"error": {"type": "invalid_request_error", "message": "x"}},
            REJECTED,
            "invalid_request",
        ),
        (
            401,
            {"error": {"code": "refresh_token_reused", "type": "invalid_request_error"}},
            REJECTED,
            "refresh_token_reused",
        ),
        (401, {"error": {"code": "refresh_token_xyz"}}, REJECTED, "refresh_token_rejected"),
        (400, {"error": {"code": 7, "type": "canary"}}, FAILED, "status_400"),
        (400, {"error": "canary"}, FAILED, "status_400"),
        (403, b"<html>canary</html>", FAILED, "status_403"),
        (302, b"", FAILED, "status_302"),
        (429, b"", THROTTLED, "throttled"),
        (400, {"error": "slow_down"}, THROTTLED, "slow_down"),
        (500, {"error": "invalid_grant"}, FAILED, "invalid_grant"),
        (500, b"canary", FAILED, "status_500"),
        (503, {"error": {"type": "overloaded_error"}}, FAILED, "overloaded_error"),
        (200, b"<html>canary</html>", FAILED, "malformed"),
        (200, b"", FAILED, "malformed"),
        (200, [1], FAILED, "malformed"),
        (200, {"token": "canary"}, FAILED, "malformed"),
        (200, {"access_token": None}, FAILED, "malformed"),
        (200, {"access_token": "two\r\nlines"}, FAILED, "malformed"),
    ],
)
def test_every_failure_has_its_outcome_and_a_known_word(
    status: int, payload: "Json | bytes", outcome: type[RefreshError], reason: str
) -> None:
    with pytest.raises(RefreshError) as caught:
        _read(payload, status)
    assert type(caught.value) is outcome
    assert caught.value.reason == reason
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "payload", "is_lost"),
    [
        (500, b"", False),
        (503, b"", False),
        (502, b"", True),
        (504, b"", True),
        (200, b"{", True),
        (200, {"access_token": 5}, True),
        (400, {"error": "temporarily_unavailable"}, False),
    ],
)
def test_an_answer_that_may_have_carried_a_token_counts_as_lost(
    status: int, payload: "Json | bytes", is_lost: bool
) -> None:
    with pytest.raises(RefreshFailed) as caught:
        _read(payload, status)
    assert caught.value.is_lost is is_lost


@pytest.mark.parametrize(
    ("status", "text", "wait_s"),
    [
        (429, "30", 30.0),
        (429, " 1.5 ", 1.5),
        (429, "Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        (429, "Tue, 14 Nov 2023 22:14:20", 60.0),
        (429, "-5", 0.0),
        (429, "999999", 3600.0),
        (429, "later", None),
        (503, "7", 7.0),
    ],
)
def test_a_throttled_refresh_says_how_long(status: int, text: str, wait_s: float | None) -> None:
    with pytest.raises(RefreshThrottled) as caught:
        _read(b"{}", status, {"Retry-After": text})
    assert caught.value.retry_after_s == wait_s


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
FIELDS = ("access_token", "refresh_token", "expires_in", "error", "code", "type")


@given(
    st.integers(100, 599),
    st.binary() | st.dictionaries(st.sampled_from(FIELDS), json_values).map(orjson.dumps),
    st.dictionaries(st.just("Retry-After"), st.text()),
)
def test_any_answer_is_a_token_or_a_typed_outcome(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    try:
        outcome: Credentials | RefreshError = read_token(
            status, headers, body, previous=OLD, now=NOW
        )
    except RefreshError as error:
        outcome = error
    if isinstance(outcome, RefreshError):
        assert outcome.reason.isidentifier()
    else:
        assert outcome.access
        assert outcome.refresh
        assert outcome.expires_at is not None
        assert outcome.expires_at > NOW - 1


@given(st.text() | st.binary().map(lambda claims: f"a.{base64.b64encode(claims).decode()}.c"))
def test_any_text_can_be_asked_for_a_claim(token: str) -> None:
    assert isinstance(jwt_expiry(token), float | None)
