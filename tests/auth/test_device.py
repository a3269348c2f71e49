import orjson
import pytest

from auth import device
from auth.token_failures import (
    PENDING,
    RefreshError,
    RefreshFailed,
    RefreshRejected,
    RefreshThrottled,
)
from models.account import OAuthClient
from models.json_types import JsonObject

NOW = 1_700_000_000.0
BEGUN: JsonObject = {
    "device_code": "dev-1",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://idp.example/device",
    "expires_in": 1800,
    "interval": 5,
}


def _begin(**changes: object) -> device.DeviceLogin:
    return device.read_begin((200, {}, orjson.dumps({**BEGUN, **changes})), NOW)


def test_the_answer_of_the_standard_is_read() -> None:
    assert _begin() == device.DeviceLogin(
        "dev-1", "WDJB-MJHT", "https://idp.example/device", None, 1800.0, 5.0
    )


@pytest.mark.parametrize(
    ("changes", "lifetime_s", "interval_s"),
    [
        ({"interval": None, "expires_in": None}, 900.0, 5.0),
        ({"interval": "7", "expires_in": "60"}, 60.0, 7.0),
        ({"interval": -1, "expires_in": 1e12}, 3600.0, 5.0),
        ({"interval": 1e9, "expires_in": "soon"}, 900.0, 120.0),
    ],
)
def test_times_are_held_within_reason(
    changes: dict[str, object], lifetime_s: float, interval_s: float
) -> None:
    found = _begin(**changes)
    assert (found.expires_in_s, found.interval_s) == (lifetime_s, interval_s)


def test_google_s_name_of_the_address_is_known() -> None:
    found = _begin(verification_uri=None, verification_url="https://google.example/device")
    assert found.verification_uri == "https://google.example/device"


@pytest.mark.parametrize(
    "changes",
    [
        {"user_code": "<script>alert(1) "},
        {"user_code": 5},
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri_complete": "data:text/html,x"},
        {"device_code": "a b"},
    ],
)
def test_what_must_not_be_shown_is_no_answer(changes: dict[str, object]) -> None:
    with pytest.raises(RefreshFailed, match="malformed"):
        _begin(**changes)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b'{"error":"invalid_client"}', RefreshRejected),
        (429, b"", RefreshThrottled),
        (500, b"<html>", RefreshFailed),
        (200, b"[]", RefreshFailed),
        (404, b"", RefreshFailed),
    ],
)
def test_failures_are_told_apart(status: int, body: bytes, kind: type[RefreshError]) -> None:
    with pytest.raises(kind):
        device.read_begin((status, {}, body), NOW)
    with pytest.raises(kind):
        device.read_openai_begin((status, {}, body), "https://idp.example", NOW)


def test_openai_s_kind_has_addresses_below_one() -> None:
    client = OAuthClient("https://idp.example/token", "client-1")
    begun = device.openai_begin_request(client, "https://idp.example/", user_agent="us")
    assert begun.url == "https://idp.example/api/accounts/deviceauth/usercode"
    polled = device.openai_poll_request("https://idp.example", "dev-1", "AB", user_agent="us")
    assert polled.url == "https://idp.example/api/accounts/deviceauth/token"
    assert orjson.loads(polled.body) == {"device_auth_id": "dev-1", "user_code": "AB"}
    answer = b'{"device_auth_id":"dev-1","user_code":"AB","interval":"6"}'
    found = device.read_openai_begin((200, {}, answer), "https://idp.example/", NOW)
    assert found.verification_uri == "https://idp.example/codex/device"
    assert found.interval_s == 6.0


@pytest.mark.parametrize("status", [403, 404])
def test_openai_s_kind_says_not_yet_by_its_status(status: int) -> None:
    with pytest.raises(RefreshFailed) as caught:
        device.read_openai_poll((status, {}, b""), NOW)
    assert caught.value.reason == PENDING


def test_a_code_is_never_shown() -> None:
    grant = device.read_openai_poll(
        (200, {}, b'{"authorization_code":"canary","code_verifier":"canary"}'), NOW
    )
    assert "canary" not in repr(grant) + repr(_begin(device_code="canary"))
