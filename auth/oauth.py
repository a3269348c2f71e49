"""OAuth 2.0 towards providers: builds token requests and reads their answers; sends nothing.

Authlib's primitives know the form of the messages; what the answers mean is decided here.
Sources: RFC 6749 sections 5 and 6, and what public token endpoints are seen to answer.
"""

import base64
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import parse_qsl

import orjson
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_token_request
from authlib.oauth2.rfc6749.wrappers import OAuth2Token

from models.account import Credentials, OAuthClient
from models.exchange import UpstreamRequest
from models.json_types import Json, JsonObject

ISSUED_AT: Final = "issued_at"
"""Name among `Credentials.facts`: when the access token was got, epoch seconds UTC as text."""

DEFAULT_LIFETIME_S: Final = 3600.0
"""Lifetime of an access token when neither the answer nor the token itself names one."""

_MAX_LIFETIME_S: Final = 10 * 366 * 86_400.0
_MAX_RETRY_AFTER_S: Final = 3600.0
_OUR_FIELDS: Final = frozenset(
    {"grant_type", "refresh_token", "client_id", "client_secret", "body"}
)

# Error words that end a credential's life until an operator acts. No other word of an answer is
# ever repeated: it may hold anything.
_TERMINAL: Final = frozenset(
    {
        "access_denied",
        "account_deactivated",
        "app_session_terminated",
        "consent_required",
        "deleted_client",
        "disabled_client",
        "expired_token",
        "interaction_required",
        "invalid_client",
        "invalid_grant",
        "invalid_refresh_token",
        "invalid_request",
        "invalid_scope",
        "login_required",
        "session_terminated",
        "token_expired",
        "token_revoked",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)
_REFRESH_TOKEN: Final = frozenset(
    {
        "refresh_token_expired",
        "refresh_token_invalid",
        "refresh_token_invalidated",
        "refresh_token_not_found",
        "refresh_token_reused",
        "refresh_token_revoked",
    }
)
_THROTTLED: Final = frozenset(
    {"rate_limit_error", "rate_limit_exceeded", "slow_down", "too_many_requests"}
)
_TRANSIENT: Final = frozenset(
    {"api_error", "internal_error", "overloaded_error", "server_error", "temporarily_unavailable"}
)


class RefreshError(Exception):
    """A refresh brought no token. `reason` is one of a fixed set of words, safe to show."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RefreshRejected(RefreshError):
    """The provider will not take this refresh token or client again; asking on is useless."""


class RefreshThrottled(RefreshError):
    """The provider wants us to wait."""

    def __init__(self, reason: str, retry_after_s: float | None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s
        """What it asked for, at most an hour; None when it did not say."""


class RefreshFailed(RefreshError):
    """Something on the way failed; a later try may succeed."""

    def __init__(self, reason: str, *, is_lost: bool = False) -> None:
        super().__init__(reason)
        self.is_lost = is_lost
        """The provider may have answered with a new token that never reached us."""


def refresh_request(
    client: OAuthClient, refresh_token: str, *, user_agent: str = "aigateway"
) -> UpstreamRequest:
    """Build the POST that trades a refresh token for an access token.

    The answer may carry a new refresh token; the old one is then dead.
    Source: RFC 6749 section 6; scopes are not sent, they could only be narrowed.
    """
    extra = {name: text for name, text in client.token_params.items() if name not in _OUR_FIELDS}
    form = prepare_token_request("refresh_token", refresh_token=refresh_token, **extra)
    way = "client_secret_post" if client.client_secret else "none"
    auth = ClientAuth(client.client_id, client.client_secret, way)
    headers = {
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/x-www-form-urlencoded",
        "user-agent": user_agent,
    }
    url, headers, form = auth.prepare("POST", client.token_url, headers, form)
    body = form.encode()
    if client.token_body == "json":  # noqa: S105 - the encoding of the request, not a secret
        headers["content-type"] = "application/json"
        body = orjson.dumps(dict(parse_qsl(form, keep_blank_values=True)))
    return UpstreamRequest("POST", url, headers, body)


def read_token(
    status: int, headers: Mapping[str, str], body: bytes, *, previous: Credentials, now: float
) -> Credentials:
    """Return the credentials of an answer; what it does not name stays as in `previous`.

    Raises RefreshRejected, RefreshThrottled or RefreshFailed.
    """
    payload = _object(body)
    if payload is None or not 200 <= status < 300 or "access_token" not in payload:
        raise _failure(status, headers, payload, now)
    lifetime_s = _lifetime_s(payload, now)
    token = OAuth2Token.from_dict({**payload, "expires_at": int(now + lifetime_s)})
    access, refresh = token["access_token"], token.get("refresh_token")
    if not _is_token(access):
        raise RefreshFailed("malformed", is_lost=True)
    return replace(
        previous,
        access=access,
        refresh=refresh if _is_token(refresh) else previous.refresh,
        expires_at=float(token["expires_at"]),
        facts={**previous.facts, ISSUED_AT: str(int(now))},
    )


def jwt_expiry(token: str) -> float | None:
    """Return the `exp` claim of a token if it is a JWT that has one; no signature is checked."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return _number(claims.get("exp")) if isinstance(claims, dict) else None


def _object(body: bytes) -> JsonObject | None:
    try:
        payload = orjson.loads(body)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def _is_token(value: Json) -> bool:
    """Tell whether a value can stand in a header: visible ASCII without blanks."""
    return isinstance(value, str) and bool(value) and all("!" <= sign <= "~" for sign in value)


def _lifetime_s(payload: JsonObject, now: float) -> float:
    named = _number(payload.get("expires_in"))
    access = payload.get("access_token")
    if named is None and isinstance(access, str):
        expiry = jwt_expiry(access)
        named = expiry - now if expiry is not None else None
    return named if named is not None and 0 < named < _MAX_LIFETIME_S else DEFAULT_LIFETIME_S


def _number(value: Json) -> float | None:
    """Read a number, also one in quotes, as some token endpoints send it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


# --- failures ---


def _failure(
    status: int, headers: Mapping[str, str], payload: JsonObject | None, now: float
) -> RefreshError:
    reason = _reason(payload) if payload is not None else None
    retry_after_s = _retry_after_s(headers, now)
    if status == 429 or reason in _THROTTLED:
        return RefreshThrottled(reason or "throttled", retry_after_s)
    if status >= 500:
        if retry_after_s is not None:
            return RefreshThrottled(reason or f"status_{status}", retry_after_s)
        # Behind these two a token may have been made: the one that answers is a go-between.
        return RefreshFailed(reason or f"status_{status}", is_lost=status in (502, 504))
    if reason in _TERMINAL or reason in _REFRESH_TOKEN or reason == "refresh_token_rejected":
        return RefreshRejected(reason)
    if reason is not None:
        return RefreshFailed(reason)
    if 200 <= status < 300:
        return RefreshFailed("malformed", is_lost=True)
    return RefreshFailed(f"status_{status}" if 100 <= status < 600 else "malformed")


def _reason(payload: JsonObject) -> str | None:
    """Return the error word of an answer, if it is one that we know."""
    return next(filter(None, map(_known, _error_words(payload))), None)


def _error_words(payload: JsonObject) -> Iterator[str]:
    """Yield what may be an error word: `error` is a string or an object."""
    error = payload.get("error")
    fields = error if isinstance(error, dict) else payload
    for name in ("error", "code", "type", "status"):
        word = fields.get(name)
        if isinstance(word, str):
            yield word.lower()


def _known(word: str) -> str | None:
    known = _TERMINAL | _REFRESH_TOKEN | _THROTTLED | _TRANSIENT
    if word in known:
        return word
    if word.startswith("refresh_token_"):
        return "refresh_token_rejected"
    stem = word.removesuffix("_error")
    return stem if stem in known else None


def _retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    text = headers.get("Retry-After") or headers.get("retry-after")
    if not text:
        return None
    seconds = _number(text.strip())
    if seconds is None:
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return None
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        seconds = at.timestamp() - now
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_S)
