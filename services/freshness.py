"""How long an access token may still be used, and when it is time for the next one."""

import random
from typing import Final

from auth.oauth import ISSUED_AT
from models.account import Credentials, StoredAccount

_LIFETIME_SHARE: Final = 0.2
_JITTER: Final = 0.1
# A token that lives for minutes only would otherwise always be about to expire.
_MAX_SHARE: Final = 0.5
_WAIT_SHARE: Final = 0.2


def is_live(credentials: Credentials, now: float) -> bool:
    """Tell whether there is an access token that has not expired, as far as we know."""
    expires_at = credentials.expires_at
    return bool(credentials.access) and (expires_at is None or now < expires_at)


def is_fresh(credentials: Credentials, now: float, leeway_s: float) -> bool:
    """Tell whether the token is good for longer than the leeway (of a short life: half of it)."""
    expires_at = credentials.expires_at
    if not credentials.access or expires_at is None:
        return bool(credentials.access)
    return now < expires_at - leeway_s or now < expires_at - _capped(credentials, leeway_s)


def is_worth_waiting(credentials: Credentials, now: float, leeway_s: float) -> bool:
    """Tell whether a request should wait for the next token: this one is almost at its end.

    With the usual leeway of five minutes that is its last minute.
    """
    return not is_fresh(credentials, now, leeway_s * _WAIT_SHARE)


def is_due(stored: StoredAccount, now: float, leeway_s: float) -> bool:
    """Tell whether the background scan should refresh."""
    credentials = stored.credentials
    if credentials.access and credentials.expires_at is not None:
        # Most have long to go: their jitter, which takes a while to find, need not be known.
        earliest_s = _lead_s(credentials, leeway_s) * (1 + _JITTER)
        if now < credentials.expires_at - earliest_s:
            return False
    at = due_at(stored, leeway_s)
    return at is not None and now >= at


def due_at(stored: StoredAccount, leeway_s: float) -> float | None:
    """Return when the scan should refresh: a fifth of the life is left, or the leeway.

    0 for an account without an access token, None for a token that does not expire. Jitter, fixed
    for each token, keeps accounts that were added together from coming due together.
    """
    credentials, account = stored.credentials, stored.account
    if not credentials.access:
        return 0.0
    if credentials.expires_at is None:
        return None
    chance = random.Random(f"{account.id}:{account.token_version}")  # noqa: S311 - spreads load
    lead_s = _lead_s(credentials, leeway_s) * chance.uniform(1 - _JITTER, 1 + _JITTER)
    return credentials.expires_at - lead_s


def is_late(stored: StoredAccount, now: float, leeway_s: float) -> bool:
    """Tell whether more than half of the time between due and expiry has passed in vain."""
    expires_at = stored.credentials.expires_at
    return expires_at is not None and now > expires_at - _lead_s(stored.credentials, leeway_s) / 2


def issued_at(credentials: Credentials) -> float | None:
    """Return when the access token was got; None for one that an operator brought."""
    try:
        return float(credentials.facts.get(ISSUED_AT, ""))
    except ValueError:
        return None


def _lead_s(credentials: Credentials, leeway_s: float) -> float:
    lifetime_s = _lifetime_s(credentials)
    lead_s = max(leeway_s, _LIFETIME_SHARE * lifetime_s) if lifetime_s else leeway_s
    return _capped(credentials, lead_s)


def _capped(credentials: Credentials, lead_s: float) -> float:
    lifetime_s = _lifetime_s(credentials)
    return min(lead_s, _MAX_SHARE * lifetime_s) if lifetime_s else lead_s


def _lifetime_s(credentials: Credentials) -> float | None:
    """Return for how long the token was issued, where that is known."""
    since = issued_at(credentials)
    if since is None or credentials.expires_at is None or credentials.expires_at <= since:
        return None
    return credentials.expires_at - since
