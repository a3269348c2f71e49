"""Many addresses shown to the guard at once: it looks names up, which may take its time."""

import asyncio
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from models.errors import BadRequest
from services.guard import AddressGuard

_AT_ONCE: Final = 16
_LIMIT_S: Final = 20.0
"""Names that take longer, all together, are not let in."""


async def refusals(
    guard: AddressGuard, urls: Collection[str], *, schemes: frozenset[str]
) -> dict[str, str]:
    """Return why the gateway may not connect to some of these addresses. Each host is looked up
    once."""
    hosts = {_host(url): url for url in urls}
    reasons = dict.fromkeys(hosts, "its name could not be looked up in time; try it again")
    left = iter(hosts.items())

    async def look_up() -> None:
        for host, url in left:
            try:
                await guard.check_url(url, schemes=schemes)
            except BadRequest as error:
                reasons[host] = error.message.removeprefix("url: ")
            else:
                del reasons[host]
            await asyncio.sleep(0)  # an address in digits is not waited for

    try:
        async with asyncio.timeout(_LIMIT_S), asyncio.TaskGroup() as tasks:
            for _ in range(_AT_ONCE):
                tasks.create_task(look_up(), name="import.guard")
    except TimeoutError:
        pass  # those that are left keep their reason
    return {url: reasons[_host(url)] for url in urls if _host(url) in reasons}


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
