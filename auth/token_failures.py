"""Why a token endpoint gave no token, out of its answer: one of a fixed set of words.

No other word of an answer is ever repeated: it may hold anything.
"""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from models.json_types import Json, JsonObject

_MAX_RETRY_AFTER_S: Final = 3600.0

# Error words that end a credential's life until an operator acts.
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
PENDING: Final = "authorization_pending"
"""Reason while somebody has not yet said yes or no on another device (RFC 8628)."""
_TRANSIENT: Final = frozenset(
    {
        PENDING,
        "api_error",
        "internal_error",
        "overloaded_error",
        "server_error",
        "temporarily_unavailable",
    }
)


class RefreshError(Exception):
    """A token request brought no token. `reason` is one of a fixed set of words, safe to show."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RefreshRejected(RefreshError):
    """The provider will not take this token, code or client again; asking on is useless."""


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


def read_failure(
    status: int, headers: Mapping[str, str], payload: JsonObject | None, now: float
) -> RefreshError:
    """Return what an answer without a token means."""
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
    seconds = number_of(text.strip())
    if seconds is None:
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return None
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        seconds = at.timestamp() - now
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_S)


def number_of(value: Json) -> float | None:
    """Read a number, also one in quotes, as some token endpoints send it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
