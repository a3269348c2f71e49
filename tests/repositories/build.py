"""Accounts and proxies as these tests need them, with ids of their own."""

from dataclasses import replace

from models.account import Account, AuthType, Credentials, EgressPolicy
from models.egress import EgressProxy
from models.ids import new_id
from repositories.open import Repositories

OPEN = Credentials("sk-test")


def account(policy: EgressPolicy = EgressPolicy.AUTO, **changes: object) -> Account:
    plain = Account(new_id(), "openai", "an account", AuthType.API_KEY, egress_policy=policy)
    return replace(plain, **changes)  # type: ignore[arg-type] # names are checked at run time


def proxy(host: str = "one", max_accounts: int = 0, **changes: object) -> EgressProxy:
    plain = EgressProxy(
        new_id(), host, f"http://user:pass@{host}.example:3128", max_accounts=max_accounts
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # names are checked at run time


async def add_accounts(
    stores: Repositories, count: int, policy: EgressPolicy = EgressPolicy.AUTO, **changes: object
) -> list[Account]:
    """Create accounts one after the other."""
    return [await stores.accounts.create(account(policy, **changes), OPEN) for _ in range(count)]


async def places(stores: Repositories) -> list[str]:
    """For each account in id order: the label of its proxy, or its status in capitals."""
    labels = {proxy.id: proxy.label for proxy in await stores.egress.all()}
    return [
        labels[stored.account.proxy_id]
        if stored.account.proxy_id is not None
        else stored.account.egress_status.value.upper()
        for stored in await stores.accounts.all()
    ]


async def counters(stores: Repositories) -> dict[str, int]:
    """Assigned accounts by proxy label, after checking them against the accounts."""
    proxies = await stores.egress.all()
    for found in proxies:
        assert found.assigned == len(await stores.egress.assignments(found.id)), found.label
    return {found.label: found.assigned for found in proxies}
