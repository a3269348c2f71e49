"""How it stands with the refreshes of an account, as an operator is shown."""

from dataclasses import dataclass

from models.account import Account, StoredAccount, TokenState
from services.freshness import due_at, is_late, issued_at
from services.shared_tokens import Backoff


@dataclass(frozen=True, slots=True)
class Outlook:
    """Times are epoch seconds UTC."""

    account: Account
    last_success_at: float | None
    """None where an operator brought the tokens."""
    last_attempt_at: float | None
    next_attempt_at: float | None
    """None where none will come: no refresh token, no expiry, or a new login is needed."""
    failures: int
    """In a row."""
    is_late: bool
    """It needs a login, or more than half of the time between due and expiry has passed."""


def outlook_of(
    stored: StoredAccount, backoff: Backoff | None, now: float, leeway_s: float
) -> Outlook:
    """Put together what is known; `backoff` is the last failure, if it is remembered."""
    account, credentials = stored.account, stored.credentials
    needs_login = account.token_state is TokenState.NEEDS_REAUTH
    next_at = None if needs_login or credentials.refresh is None else due_at(stored, leeway_s)
    if next_at is not None:
        next_at = max(next_at, now, backoff.until if backoff is not None else 0.0)
    succeeded_at, failed_at = issued_at(credentials), backoff.at if backoff is not None else None
    return Outlook(
        account,
        succeeded_at,
        max((at for at in (succeeded_at, failed_at) if at is not None), default=None),
        next_at,
        backoff.failures if backoff is not None else 0,
        is_overdue(stored, now, leeway_s),
    )


def is_overdue(stored: StoredAccount, now: float, leeway_s: float) -> bool:
    """Tell whether an account needs a login, or had more than half of the time for its refresh."""
    needs_login = stored.account.token_state is TokenState.NEEDS_REAUTH
    return needs_login or is_late(stored, now, leeway_s)
