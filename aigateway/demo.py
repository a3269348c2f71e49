"""`serve --demo`: a pretend provider with three accounts behind two pretend proxies.

Everything is marked as pretend, listens on loopback only, and is taken out again at the end.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from aigateway.pretend_provider import MODEL, open_pretend_provider
from aigateway.pretend_proxy import open_pretend_proxy
from aigateway.wiring import House
from models.account import Account, AuthType, Credentials, EgressPolicy
from models.egress import EgressProxy
from models.errors import GatewayError
from models.ids import new_id
from models.provider import StoredProvider

logger = logging.getLogger(__name__)

PROVIDER: Final = "demo"
_CAPACITIES: Final = {"demo proxy A": 2, "demo proxy B": 0}


@asynccontextmanager
async def demo(house: House) -> AsyncGenerator[None, None]:
    """Put the demo into a running gateway, and take it out at the end."""
    await _remove(house)
    async with AsyncExitStack() as stack:
        base_url = await stack.enter_async_context(open_pretend_provider())
        target = _admitted(house, base_url.removesuffix("/v1"))
        await house.repositories.providers.create(
            StoredProvider(PROVIDER, "Pretend provider (demo)", "chat", base_url, ("demo-",))
        )
        for label, capacity in _CAPACITIES.items():
            url = await stack.enter_async_context(open_pretend_proxy(label, target))
            _admitted(house, url)
            await house.repositories.egress.create(
                EgressProxy(new_id(), label, url, PROVIDER, max_accounts=capacity)
            )
        for number in (1, 2, 3):
            await house.repositories.accounts.create(_account(number), _credentials(number))
        await house.snapshots.changed()
        logger.warning(
            "DEMO: a pretend provider answers; no model is asked", extra={"model": MODEL}
        )
        try:
            yield
        finally:
            await _remove(house)


def _admitted(house: House, url: str) -> str:
    """Let the gateway connect to a server of the demo; return its `host:port`."""
    target = url.removeprefix("http://")
    host, _, port = target.partition(":")
    house.guard.admit(host, int(port))
    return target


def _account(number: int) -> Account:
    return Account(
        new_id(),
        PROVIDER,
        f"demo account {number}",
        AuthType.API_KEY,
        egress_policy=EgressPolicy.REQUIRED,
        models=(MODEL,),
        metadata={"demo": True},
    )


def _credentials(number: int) -> Credentials:
    return Credentials(f"demo-account-{number}")


async def _remove(house: House) -> None:
    """Take out what this or an earlier demo that was killed has put in."""
    stores = house.repositories
    try:
        for stored in await stores.accounts.all():
            if stored.account.provider_id == PROVIDER:
                await stores.accounts.delete(stored.account.id)
        for proxy in await stores.egress.all():
            if proxy.provider_id == PROVIDER:
                await stores.egress.delete(proxy.id)
        if await stores.providers.get(PROVIDER) is not None:
            await stores.providers.delete(PROVIDER)
    except GatewayError as error:
        logger.warning("the demo could not be taken out", extra={"error": error.message})
