"""Many addresses shown to the guard at once: it looks names up, which may take its time."""

import asyncio
from collections.abc import Mapping
from typing import Final

from models.errors import BadRequest
from services.guard import AddressGuard

_AT_ONCE: Final = 16
_LIMIT_S: Final = 20.0
"""Names that take longer, all together, are not let in."""


async def refusals(
    guard: AddressGuard, urls: Mapping[str, str], *, schemes: frozenset[str]
) -> dict[str, str]:
    """Return by host why the gateway may not connect there; `urls` has one address for each."""
    reasons = dict.fromkeys(urls, "its name could not be looked up in time; try it again")
    left = iter(urls.items())

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
    return reasons
