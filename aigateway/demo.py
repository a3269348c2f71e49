"""`serve --demo`: a pretend provider with three accounts behind two pretend proxies.

Everything is marked as pretend, listens on loopback only, and is taken out again at the end. A
file in the data folder remembers that rows of a demo are in the database, so that the next start
takes out what a killed one left.
"""

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from aigateway.pretend_provider import MODEL, open_pretend_provider
from aigateway.pretend_proxy import open_pretend_proxy
from aigateway.serving import Refused
from aigateway.wiring import House
from models.account import Account, AuthType, Credentials, EgressPolicy
from models.egress import EgressProxy
from models.errors import GatewayError, NotFound
from models.ids import new_id
from models.provider import StoredProvider

logger = logging.getLogger(__name__)

PROVIDER: Final = "demo"
MARK: Final = "demo.lock"
"""In the data folder. Locked while a demo runs; not empty while its rows are in the database."""
_CAPACITIES: Final = {"demo proxy A": 2, "demo proxy B": 0}


@asynccontextmanager
async def demo(house: House) -> AsyncGenerator[None, None]:
    """Put the demo into a running gateway, and take it out at the end. Raises Refused."""
    async with AsyncExitStack() as stack:
        mark = await stack.enter_async_context(_open_mark(house, is_made=True))
        if mark is None:
            raise Refused("--demo: a demo is running in this data folder already; stop it first")
        await _remove(house, mark)
        if await house.ground.repositories.providers.get(PROVIDER) is not None:
            raise Refused(
                f"--demo: there is a provider {PROVIDER!r} that belongs to no demo of this data "
                "folder; delete it, or serve without --demo"
            )
        await asyncio.to_thread(os.write, mark, b"rows\n")
        stack.push_async_callback(_remove, house, mark)
        await _add(house, stack)
        await house.ground.snapshots.changed()
        logger.warning(
            "DEMO: a pretend provider answers; no model is asked", extra={"model": MODEL}
        )
        yield


async def remove_leftovers(house: House) -> None:
    """Take out what a demo of this data folder that was killed has left; else do nothing."""
    async with _open_mark(house, is_made=False) as mark:
        if mark is not None:
            await _remove(house, mark)


async def _add(house: House, stack: AsyncExitStack) -> None:
    base_url = await stack.enter_async_context(open_pretend_provider())
    target = _admitted(house, base_url.removesuffix("/v1"))
    await house.ground.repositories.providers.create(
        StoredProvider(PROVIDER, "Pretend provider (demo)", "chat", base_url, ("demo-",))
    )
    for label, capacity in _CAPACITIES.items():
        url = await stack.enter_async_context(open_pretend_proxy(label, target))
        _admitted(house, url)
        await house.ground.repositories.egress.create(
            EgressProxy(new_id(), label, url, PROVIDER, max_accounts=capacity)
        )
    for number in (1, 2, 3):
        await house.ground.repositories.accounts.create(_account(number), _credentials(number))


def _admitted(house: House, url: str) -> str:
    """Let the gateway connect to a server of the demo; return its `host:port`."""
    target = url.removeprefix("http://")
    host, _, port = target.partition(":")
    house.ground.guard.admit(host, int(port))
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


# --- taking it out ---


@asynccontextmanager
async def _open_mark(house: House, *, is_made: bool) -> AsyncGenerator[int | None, None]:
    """Yield the locked mark; None when another process holds it, or when there is none."""
    mark = await asyncio.to_thread(_lock, house.ground.settings.data_dir / MARK, is_made=is_made)
    try:
        yield mark
    finally:
        if mark is not None:
            await asyncio.to_thread(os.close, mark)


def _lock(path: Path, *, is_made: bool) -> int | None:
    flags = os.O_RDWR | os.O_APPEND | (os.O_CREAT if is_made else 0)
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


async def _remove(house: House, mark: int) -> None:
    """Take the demo's rows out if the mark says that there are any, and empty the mark."""
    if not (await asyncio.to_thread(os.fstat, mark)).st_size:
        return
    stores = house.ground.repositories
    try:
        for stored in await stores.accounts.all():
            if stored.account.provider_id == PROVIDER:
                await _gone(stores.accounts.delete, stored.account.id)
        for proxy in await stores.egress.all():
            if proxy.provider_id == PROVIDER:
                await _gone(stores.egress.delete, proxy.id)
        await _gone(stores.providers.delete, PROVIDER)
        await house.ground.snapshots.changed()
    except GatewayError as error:
        logger.warning(
            "the demo could not be taken out; the next start tries again",
            extra={"error": error.message},
        )
        return
    await asyncio.to_thread(os.truncate, mark, 0)


async def _gone(delete: Callable[[str], Awaitable[None]], name: str) -> None:
    """Delete what somebody else may have deleted in the meantime."""
    with suppress(NotFound):
        await delete(name)
