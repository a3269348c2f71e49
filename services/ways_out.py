"""Which way out a call takes that no request made: refreshes of parked accounts, and logins."""

from collections.abc import Callable, Iterable

from models.account import Account, EgressPolicy
from models.egress import EgressProxy
from models.errors import NoCapacity
from services.refresh import EgressOf
from services.refusals import refused
from services.snapshot import Snapshot


class WaysOut:
    """Chooses from the snapshot; who really gets a place is decided in the database."""

    def __init__(self, snapshot: Callable[[], Snapshot], egress_of: EgressOf) -> None:
        """`egress_of`: the way of an account that serves."""
        self._snapshot = snapshot
        self._egress_of = egress_of

    def of_account(self, account: Account) -> EgressProxy | None:
        """Return the account's way out, None for direct; raises NoCapacity.

        One that is switched off holds no place at a proxy, and may not go direct once it had one.
        Its tokens must live on nevertheless: it borrows the way that it would get now.
        """
        try:
            return self._egress_of(account)
        except NoCapacity:
            if account.is_active:
                raise
            return self._first(account.provider_id, None)

    def of_new(
        self, provider_id: str, policy: EgressPolicy, wished: str | None
    ) -> EgressProxy | None:
        """Return the way that a new account will get, the wished proxy before others.

        Raises NoCapacity where its policy demands a proxy and none has room.
        """
        if policy is EgressPolicy.DIRECT:
            return None
        try:
            return self._first(provider_id, wished)
        except NoCapacity:
            if policy is EgressPolicy.REQUIRED:
                raise
            return None

    def check(self, provider_id: str, proxy_id: str) -> None:
        """Raise Unprocessable unless the proxy can take one more account of the provider."""
        proxy = self._snapshot().proxies.get(proxy_id)
        if proxy is None or not _is_open(proxy, provider_id):
            raise refused("proxy_id", "there is no such proxy that is open to this provider")
        if not _has_room(proxy):
            raise refused("proxy_id", "the proxy is full")

    def _first(self, provider_id: str, wished: str | None) -> EgressProxy:
        ordered = _in_order(self._snapshot().proxies.values(), wished)
        for proxy in ordered:
            if _is_open(proxy, provider_id) and _has_room(proxy):
                return proxy
        raise NoCapacity("no outbound proxy has room", retry_after_s=5.0)


def _in_order(proxies: Iterable[EgressProxy], wished: str | None) -> list[EgressProxy]:
    """Return proxies as they fill (see repositories/sql/placement.py), the wished one first."""
    return sorted(proxies, key=lambda proxy: (proxy.id != wished, -proxy.priority, proxy.id))


def _is_open(proxy: EgressProxy, provider_id: str) -> bool:
    return proxy.is_active and proxy.provider_id in (None, provider_id)


def _has_room(proxy: EgressProxy) -> bool:
    return proxy.max_accounts == 0 or proxy.assigned < proxy.max_accounts
