"""How an account is now, in one word for its operator."""

from collections.abc import Mapping, Sequence
from typing import Final

from models.account import Account, AccountState, AuthType, TokenState
from models.egress import EgressProxy
from models.rest import EVERY_MODEL, Rest

SERVING: Final[frozenset[AccountState]] = frozenset({"available", "limited"})
"""The states in which an account takes new work."""


def state_of(
    account: Account, proxies: Mapping[str, EgressProxy], rests: Mapping[str, Sequence[Rest]]
) -> AccountState:
    """Return the state; `rests` are those in force now, by subject."""
    own = rests.get(account.id, ())
    standing = _standing(account, proxies)
    if standing is not None:
        return standing
    if any(rest.scope == EVERY_MODEL for rest in own):
        return "needs_operator" if any(rest.needs_operator for rest in own) else "cooling"
    if account.proxy_id is not None and rests.get(account.proxy_id):
        return "proxy_down"
    if account.is_draining:
        return "draining"
    return "limited" if own else "available"


def _standing(account: Account, proxies: Mapping[str, EgressProxy]) -> AccountState | None:
    if not account.is_active:
        return "inactive"
    if account.token_state is TokenState.NEEDS_REAUTH and account.auth_type is AuthType.OAUTH:
        return "needs_login"
    proxy = proxies.get(account.proxy_id or "")
    has_way = account.goes_direct or (proxy is not None and proxy.is_active)
    return None if has_way else "waiting_for_proxy"


def in_force(rests: Sequence[Rest], now: float) -> dict[str, list[Rest]]:
    """Return the rests that are not over, by subject; that one request may try ends none."""
    found: dict[str, list[Rest]] = {}
    for rest in rests:
        if rest.until > now:
            found.setdefault(rest.subject, []).append(rest)
    return found
