"""Logins on another device: a short code is shown here and typed in there; sends nothing.

Sources: RFC 8628, and what the device login of OpenAI's Codex is seen to answer.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import orjson

from auth.oauth import read_object
from auth.token_failures import PENDING, RefreshFailed, number_of, read_failure
from models.account import OAuthClient
from models.exchange import UpstreamRequest
from models.json_types import Json, JsonObject

INTERVAL_S: Final = 5.0
"""How often to ask when the provider does not say, and by how much `slow_down` adds to it."""

_MAX_INTERVAL_S: Final = 120.0
_LIFETIME_S: Final = 900.0
_MAX_LIFETIME_S: Final = 3600.0
_SHOWN: Final = re.compile(r"[!-~]{1,64}")
_SECRET: Final = re.compile(r"[!-~]{1,4096}")
_ADDRESS: Final = re.compile(r"https?://[!-~]{1,2048}")


@dataclass(frozen=True, slots=True)
class DeviceLogin:
    """A login that somebody ends on another device."""

    device_code: str = field(repr=False)
    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_in_s: float
    interval_s: float


@dataclass(frozen=True, slots=True)
class DeviceGrant:
    """What OpenAI's variant answers once somebody has agreed; traded like any other code."""

    code: str = field(repr=False)
    verifier: str = field(repr=False)


_Answer: TypeAlias = tuple[int, Mapping[str, str], bytes]


def read_begin(answer: _Answer, now: float) -> DeviceLogin:
    """Read the answer of RFC 8628 section 3.2. Raises RefreshError."""
    payload = _good(answer, now, "device_code")
    # Google says `verification_url`.
    uri = payload.get("verification_uri") or payload.get("verification_url")
    complete = payload.get("verification_uri_complete")
    return DeviceLogin(
        _text(payload.get("device_code"), _SECRET),
        _text(payload.get("user_code"), _SHOWN),
        _text(uri, _ADDRESS),
        _text(complete, _ADDRESS) if complete else None,
        _seconds(payload.get("expires_in"), _LIFETIME_S, _MAX_LIFETIME_S),
        _seconds(payload.get("interval"), INTERVAL_S, _MAX_INTERVAL_S),
    )


# --- OpenAI's variant ---


def openai_begin_request(
    client: OAuthClient, device_url: str, *, user_agent: str
) -> UpstreamRequest:
    """Build the request for a code to show."""
    payload: JsonObject = {"client_id": client.client_id}
    return _json(f"{_base(device_url)}/api/accounts/deviceauth/usercode", payload, user_agent)


def read_openai_begin(answer: _Answer, device_url: str, now: float) -> DeviceLogin:
    """Read the code to show. Raises RefreshError."""
    payload = _good(answer, now, "device_auth_id")
    return DeviceLogin(
        _text(payload.get("device_auth_id"), _SECRET),
        _text(payload.get("user_code") or payload.get("usercode"), _SHOWN),
        f"{_base(device_url)}/codex/device",
        None,
        _LIFETIME_S,
        _seconds(payload.get("interval"), INTERVAL_S, _MAX_INTERVAL_S),
    )


def openai_poll_request(
    device_url: str, device_code: str, user_code: str, *, user_agent: str
) -> UpstreamRequest:
    """Build the request that asks whether somebody has agreed."""
    payload: JsonObject = {"device_auth_id": device_code, "user_code": user_code}
    return _json(f"{_base(device_url)}/api/accounts/deviceauth/token", payload, user_agent)


def read_openai_poll(answer: _Answer, now: float) -> DeviceGrant:
    """Return the code. Raises RefreshFailed with PENDING, or another RefreshError."""
    if answer[0] in (403, 404):
        raise RefreshFailed(PENDING)
    payload = _good(answer, now, "authorization_code")
    return DeviceGrant(
        _text(payload.get("authorization_code"), _SECRET),
        _text(payload.get("code_verifier"), _SECRET),
    )


def openai_redirect_uri(device_url: str) -> str:
    """Return the redirect address that belongs to such a code."""
    return f"{_base(device_url)}/deviceauth/callback"


def _base(device_url: str) -> str:
    return device_url.rstrip("/")


def _json(url: str, payload: JsonObject, user_agent: str) -> UpstreamRequest:
    headers = {
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": user_agent,
    }
    return UpstreamRequest("POST", url, headers, orjson.dumps(payload))


def _good(answer: _Answer, now: float, needed: str) -> JsonObject:
    status, headers, body = answer
    payload = read_object(body)
    if payload is None or not 200 <= status < 300 or needed not in payload:
        raise read_failure(status, headers, payload, now)
    return payload


def _text(value: Json, shape: re.Pattern[str]) -> str:
    if not isinstance(value, str) or shape.fullmatch(value) is None:
        raise RefreshFailed("malformed")
    return value


def _seconds(value: Json, default_s: float, most_s: float) -> float:
    seconds = number_of(value)
    return min(seconds, most_s) if seconds is not None and seconds > 0 else default_s
