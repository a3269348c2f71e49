"""Posts each event to the operator's address: in order, signed, again until it is taken.

One replica at a time does it, by a lease in the database, from a cursor there: whatever happens
while nobody posts is posted later. An event is posted at least once; its id tells repetitions.
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from models.errors import GatewayError
from models.event import Event
from models.exchange import UpstreamRequest
from models.ports import Clock, Transport
from openapi.events import EventAnswer
from repositories.base import CursorRepository
from services.event_feed import EventFeed

logger = logging.getLogger(__name__)

CURSOR: Final = "webhook"
LEASE: Final = "webhook.lease"
LEASE_S: Final = 45.0

_RENEW_EVERY_S: Final = 15.0
_CALL_S: Final = 10.0
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 300.0
_ANSWER_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where events go, and as whose."""

    url: str = field(repr=False)
    secret: bytes | None = field(repr=False)
    user_agent: str


class Webhook:
    """Delivers events while it leads."""

    def __init__(
        self,
        feed: EventFeed,
        cursors: CursorRepository,
        transport: Transport,
        clock: Clock,
        receiver: Receiver,
        *,
        owner: str,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`owner` names this process among all replicas."""
        self._feed = feed
        self._cursors = cursors
        self._transport = transport
        self._clock = clock
        self._receiver = receiver
        self._owner = owner
        self._pause = pause

    async def run(self) -> None:
        """Deliver, or wait for the turn to, until cancelled."""
        try:
            while True:
                try:
                    if not (await self._leads() and await self._deliver()):
                        await self._pause(_RENEW_EVERY_S)
                except GatewayError as error:
                    logger.info("webhook waits", extra={"error": error.message})
                    await self._pause(_RENEW_EVERY_S)
        finally:
            await self._let_go()

    async def _deliver(self) -> bool:
        """Deliver what comes for as long as the lease is ours; False when it is not any more."""
        position = await self._begin()
        while True:
            for event in await self._feed.after(position, _RENEW_EVERY_S):
                if not await self._delivered(event):
                    return False
                position = event.position
                await self._cursors.put(CURSOR, str(position), now=self._clock.now())
            if self._feed.is_over or not await self._leads():
                return False

    async def _begin(self) -> int:
        """Return how far events have been delivered: the first time, up to now."""
        known = await self._cursors.get(CURSOR)
        if known is not None and known.isdecimal():
            return int(known)
        position = await self._feed.last_position()
        await self._cursors.put(CURSOR, str(position), now=self._clock.now())
        return position

    async def _delivered(self, event: Event) -> bool:
        """Post until it is taken; False when another replica has taken over meanwhile."""
        pause_s = _FIRST_PAUSE_S
        while True:
            if not await self._leads():
                return False
            if (problem := await self._post(event)) is None:
                return True
            logger.warning(
                "webhook failed",
                extra={"event": event.id, "problem": problem, "again_in_s": pause_s},
            )
            if not await self._wait(pause_s):
                return False
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _wait(self, limit_s: float) -> bool:
        """Wait and stay the leader; False when that is over."""
        while limit_s > 0:
            await self._pause(min(limit_s, _RENEW_EVERY_S))
            limit_s -= _RENEW_EVERY_S
            if not await self._leads():
                return False
        return True

    async def _post(self, event: Event) -> str | None:
        """Send once; return what went wrong, if something did."""
        request = signed(event, self._receiver, int(self._clock.now()))
        try:
            async with asyncio.timeout(_CALL_S):
                response = await self._transport.send(request, None, first_byte_timeout_s=_CALL_S)
                try:
                    await response.read(_ANSWER_BYTES)
                except GatewayError:
                    pass  # what a receiver says besides its status means nothing
                finally:
                    response.close()
        except TimeoutError:
            return "no answer in time"
        except GatewayError as error:
            return error.message
        # A redirect counts as a failure: it was not this address that the operator named.
        return None if 200 <= response.status < 300 else f"status {response.status}"

    async def _leads(self) -> bool:
        return await self._cursors.lead(LEASE, self._owner, now=self._clock.now(), lease_s=LEASE_S)

    async def _let_go(self) -> None:
        """End the lease, if it is ours, so that another replica need not wait for its end."""
        with suppress(GatewayError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._cursors.free(LEASE, self._owner)


def signed(event: Event, receiver: Receiver, timestamp: int) -> UpstreamRequest:
    """Build the request that tells of an event."""
    body = EventAnswer.of(event).model_dump_json().encode()
    headers = {
        "content-type": "application/json",
        "user-agent": receiver.user_agent,
        "x-aigateway-event-id": event.id,
        "x-aigateway-timestamp": str(timestamp),
    }
    if receiver.secret is not None:
        told = hmac.new(receiver.secret, b"%d." % timestamp + body, hashlib.sha256).hexdigest()
        headers["x-aigateway-signature"] = f"sha256={told}"
    return UpstreamRequest("POST", receiver.url, headers, body)
