"""Which of a provider's addresses answers: the first, unless it fails as a host."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from models.errors import ConnectFailed, NoCapacity
from models.ports import UpstreamResponse
from providers.base import Offer

# What a host says that does not serve this now, though its siblings may.
_HOST_FAILURES: Final = frozenset({404, 503})


async def sent_to_one_of(
    offer: Offer, send: Callable[[str], Awaitable[UpstreamResponse]]
) -> UpstreamResponse:
    """Send to the offer's address; where that host fails, to the next one it has.

    `send` takes a base URL. The last one's answer counts, whatever it is. Raises what `send`
    raises, but for connections to hosts before the last that did not come about.
    """
    *others, last = (offer.base_url, *offer.mirrors)
    for base_url in others:
        # One that is left alone for a while is a host that failed.
        with suppress(ConnectFailed, NoCapacity):
            response = await send(base_url)
            if response.status not in _HOST_FAILURES:
                return response
            response.close()
    return await send(last)
