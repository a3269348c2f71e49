"""A client's connection as long as it sends plain model calls only; then it becomes aiohttp's."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Final, Protocol, cast

from aiohttp.web_protocol import RequestHandler

from handlers.calls import Pace
from handlers.plain_head import END, MAX_BYTES, START, PlainHead, PlainHeads
from handlers.stalls import StallWatch
from models.errors import ErrorKind, GatewayError

_MAX_AHEAD: Final = 65_536
"""Bytes that are kept while nobody wants them: of further requests while one is served, of a body
whose caller is not known yet. What arrives at once may be more."""


@dataclass(frozen=True, slots=True)
class PlainLimits:
    """Bounds of one connection."""

    max_body_bytes: int
    pace: Pace
    """Of a body that comes slowly."""
    head_timeout_s: float
    keepalive_timeout_s: float
    stall_timeout_s: float


class Lane(Protocol):
    """What the connections of a server share."""

    limits: PlainLimits
    heads: PlainHeads
    connections: "set[PlainConnection]"

    def begin(
        self, connection: "PlainConnection", head: PlainHead
    ) -> Coroutine[object, object, None] | None:
        """Return what answers a call, and tells the connection when that is done; None for one
        that was refused at once."""
        ...


class PlainConnection(asyncio.Protocol):
    """Reads one call after the other and sends what is written; all waiting of a call is here.

    Its own timer closes it when a head or a next call is awaited for too long.
    """

    __slots__ = (
        "_due",
        "_is_full",
        "_is_idle",
        "_is_paused",
        "_is_wanted",
        "_is_watched",
        "_lane",
        "_loop",
        "_missing",
        "_other",
        "_pieces",
        "_stall",
        "_task",
        "_timer",
        "_transport",
        "_unread",
        "_waiter",
        "is_last",
    )

    _transport: asyncio.Transport
    _timer: asyncio.TimerHandle

    def __init__(
        self,
        lane: Lane,
        loop: asyncio.AbstractEventLoop,
        other: Callable[[], RequestHandler],
    ) -> None:
        """`other` makes aiohttp's connection, for what is not plain."""
        self._lane = lane
        self._loop = loop
        self._other = other
        self._stall = StallWatch(loop, lane.limits.stall_timeout_s)
        self._unread = b""
        self._pieces: list[bytes] = []
        self._missing = 0
        """Bytes of a body that have not come."""
        self._task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        """Of the one thing that the call waits for: its body, or room for its answer."""
        self._is_wanted = False
        """The call has asked for its body."""
        self._is_full = False
        """The client takes no more for the moment."""
        self._is_idle = False
        """Nothing of a next call has come."""
        self._is_paused = False
        """Nothing is read for the moment."""
        self._is_watched = True
        """The timer runs."""
        self._due = loop.time() + lane.limits.head_timeout_s
        """When what the connection waits for is late."""
        self.is_last = False
        """No further call is read."""

    # --- the connection -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._lane.connections.add(self)
        self._timer = self._loop.call_at(self._due, self._watch)

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_go()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._missing:
            data = self._collect(data)
        self._unread = self._unread + data if self._unread else data
        self._go_on()

    def eof_received(self) -> None:
        self._end()

    def pause_writing(self) -> None:
        self._is_full = True
        self._stall.begin(self._transport)

    def resume_writing(self) -> None:
        self._is_full = False
        if not self._transport.is_closing():  # then the rest is waited for, and watched, as well
            self._stall.end()
        if self._task is not None:
            self._wake()
        else:
            self._expect(self._lane.limits.keepalive_timeout_s)
            self._loop.call_soon(self._go_on)

    def close(self) -> None:
        """Read no further call: close now, or behind the answer that is under way."""
        self.is_last = True
        if self._task is None:
            self._end()

    async def shutdown(self, timeout_s: float) -> None:
        """Close; break a call off that takes longer."""
        self.close()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=timeout_s)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=timeout_s)
        self._transport.close()

    # --- what a call asks for -------------------------------------------------------------------

    async def body(self) -> bytes:
        """Return the body of the call, once it is whole. Raises GatewayError with status 408."""
        self._is_wanted = True
        if self._is_paused:
            self._regulate()
        pace = self._lane.limits.pace
        while self._missing:
            before = self._missing
            try:
                async with asyncio.timeout(pace.window_s):
                    await self._wait()
            except TimeoutError:
                if before - self._missing < min(pace.share_bytes, before):
                    raise GatewayError(
                        "the body came too slowly", kind=ErrorKind.TIMEOUT, status=408
                    ) from None
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def write(self, data: bytes) -> bool:
        """Send; False when the client takes no more for the moment, or has left."""
        if self._transport.is_closing():
            return False
        self._transport.write(data)
        return not self._is_full

    async def drain(self) -> None:
        """Wait until the client takes more. Raises ConnectionError when it has left."""
        while self._is_full and not self._transport.is_closing():
            await self._wait()
        if self._transport.is_closing():
            raise ConnectionResetError("the client has left")

    def unwatch(self) -> None:
        """Nothing is awaited here while a stream runs; its timer is memory."""
        self._timer.cancel()
        self._is_watched = False

    def served(self, *, is_whole: bool) -> None:
        """The call has ended; an answer that is not whole ends the connection."""
        self._task = None
        self._is_idle = True
        self._is_wanted = False
        self._pieces.clear()
        if self.is_last or not is_whole:
            self._end()
            return
        limits = self._lane.limits
        # What is left of a body that nobody wanted has as long as a head.
        self._expect(limits.head_timeout_s if self._missing else limits.keepalive_timeout_s)
        if self._unread:
            self._loop.call_soon(self._go_on)
        elif self._is_paused:
            self._regulate()

    # --- calls ----------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Begin the next call if there is one and nothing is left to be done before it.

        That includes its client's taking the answers to the calls before.
        """
        is_busy = self._task is not None or self._missing or self._is_full
        if self._unread and not is_busy and not self._transport.is_closing():
            data, self._unread = self._unread, b""
            self._begin(data)
        if self._unread or self._missing or self._is_paused:
            self._regulate()

    def _begin(self, data: bytes) -> None:
        end = data.find(END, 0, MAX_BYTES)
        if end < 0 and len(data) < MAX_BYTES and START.startswith(data[: len(START)]):
            self._unread = data
            if self._is_idle:  # a head has its time once, however slowly it comes
                self._is_idle = False
                self._expect(self._lane.limits.head_timeout_s)
            return
        read = self._lane.heads.read(data, end) if end >= 0 else None
        if read is None or read[1] > self._lane.limits.max_body_bytes:
            self._hand_over(data)
        else:
            self._call(*read, data, end + len(END))

    def _call(self, head: PlainHead, body_bytes: int, data: bytes, body_at: int) -> None:
        body_end = body_at + body_bytes
        self._missing = max(0, body_end - len(data))
        self._unread = data[body_end:]
        serving = self._lane.begin(self, head)
        if serving is None:
            self.served(is_whole=True)
        else:
            self._pieces.append(data[body_at:body_end])
            self._task = self._loop.create_task(serving)

    def _collect(self, data: bytes) -> bytes:
        """Take what belongs to the body; return what follows it."""
        piece = data[: self._missing]
        self._missing -= len(piece)
        if self._task is not None:
            self._pieces.append(piece)
            if not self._missing:
                self._wake()
        elif not self._missing:
            self._expect(self._lane.limits.keepalive_timeout_s)
        return data[len(piece) :]

    def _regulate(self) -> None:
        """Read no more while there is plenty that nobody wants yet."""
        is_plenty = len(self._unread) > _MAX_AHEAD or (
            self._missing > 0 and not self._is_wanted and sum(map(len, self._pieces)) > _MAX_AHEAD
        )
        if is_plenty and not self._is_paused:
            self._transport.pause_reading()
        elif self._is_paused and not is_plenty:
            self._transport.resume_reading()
        self._is_paused = is_plenty

    def _hand_over(self, data: bytes) -> None:
        """Let aiohttp read what came, and everything after it."""
        self._let_go()
        other = self._other()
        self._transport.set_protocol(other)
        other.connection_made(self._transport)
        self._regulate()
        other.data_received(data)

    # --- waiting --------------------------------------------------------------------------------

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _expect(self, limit_s: float) -> None:
        """From now on the connection may wait for so long."""
        self._due = self._loop.time() + limit_s
        if not self._is_watched or self._due < self._timer.when():
            self._is_watched = True
            self._timer.cancel()
            self._timer = self._loop.call_at(self._due, self._watch)

    def _watch(self) -> None:
        """Close a connection that has waited for too long; else look again when it will have."""
        now = self._loop.time()
        if self._task is not None or self._is_full:  # these waits have limits of their own
            self._due = now + self._lane.limits.keepalive_timeout_s
        if self._due <= now:
            self._end()
        else:
            self._timer = self._loop.call_at(self._due, self._watch)

    def _end(self) -> None:
        """Close, once the client has taken what was written, or when it takes nothing of it."""
        if not self._transport.is_closing():
            self._transport.close()
            self._stall.begin(self._transport)

    def _let_go(self) -> None:
        self._timer.cancel()
        self._stall.end()
        self._lane.connections.discard(self)
