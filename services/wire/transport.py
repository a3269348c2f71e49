"""Sends requests over connections of our own. Fills `models.ports.Transport`."""

import asyncio
import time
from typing import Final

from models.egress import EgressProxy
from models.errors import UpstreamError
from models.exchange import UpstreamRequest
from models.ports import Flow, UpstreamResponse
from services import failed_calls
from services.by_egress import ByEgress
from services.guard import AddressGuard
from services.reach import NoWay, Reach, Silence, has_answered
from services.wire.connection import Connection
from services.wire.decoded import decoded
from services.wire.dial import Dial
from services.wire.names import Names
from services.wire.response import Response
from services.wire.target import Target, target_of, written
from services.wire.ways import Direct, Tools, Way, way_through

_PROXY_AUTH_REQUIRED: Final = 407
_CLOSING_TURNS: Final = 20
"""Of the loop: it closes what was aborted in its next ones."""
# A request of this size is written at once or not at all.
_ONE_WRITE_BYTES: Final = 16_384


class WireTransport:
    """Pooled connections, for each way out."""

    def __init__(
        self,
        guard: AddressGuard,
        *,
        connect_timeout_s: float,
        idle_timeout_s: float,
        reach: Reach | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._reach = Reach(time.monotonic) if reach is None else reach
        self._connect_timeout_s = connect_timeout_s
        self._idle_timeout_s = idle_timeout_s
        self._names = Names()
        self._tools = Tools(Dial(guard, self._names), connect_timeout_s)
        self._direct: Way = Direct(self._tools)
        self._ways = ByEgress(lambda egress: way_through(egress, self._tools), self._retire)
        self._retired: list[Way] = []

    async def send(
        self, request: UpstreamRequest, egress: EgressProxy | None, *, first_byte_timeout_s: float
    ) -> UpstreamResponse:
        """Return when the head has arrived. Raises ConnectFailed, TimedOut or UpstreamError."""
        way = self._direct if egress is None else self._ways.get(egress)
        try:
            target = target_of(request.method, request.url)
            head = written(way.line(target), request.headers, target, request.body)
        except ValueError as error:
            raise failed_calls.unsendable() from error
        due = self._loop.time() + first_byte_timeout_s
        connection = way.idle.take(target.origin)
        may_be_stale = connection is not None
        while True:
            if connection is None:
                connection = await self._opened(way, target, egress, due)
            try:
                outcome = await connection.ask(head, request.body, due, is_head=target.is_head)
            except BaseException:
                connection.abort()
                raise
            if connection.status:
                break
            connection.abort()
            if not (may_be_stale and _is_unsent(connection, head, request.body)):
                raise _unanswered(connection, outcome) from connection.fault
            connection, may_be_stale = None, False
        response = Response(connection, way.idle.give, self._idle_timeout_s)
        if response.status == _PROXY_AUTH_REQUIRED and egress is not None:
            connection.abort()
            raise failed_calls.refused_credentials()
        if self._reach and has_answered(response.status, is_tls=target.is_tls):
            self._reach.reached(target.authority, egress.id if egress is not None else "")
        return decoded(response)

    async def aclose(self) -> None:
        """Close every connection."""
        ways = (self._direct, *self._ways.all(), *self._retired)
        for way in ways:
            way.idle.close()
        await self._names.aclose()
        for _ in range(_CLOSING_TURNS):
            if all(way.idle.is_empty for way in ways):
                break
            await asyncio.sleep(0)

    def _retire(self, way: Way) -> None:
        way.idle.retire()
        self._retired = [one for one in self._retired if not one.idle.is_empty]
        self._retired.append(way)

    async def _opened(
        self, way: Way, target: Target, egress: EgressProxy | None, due: float
    ) -> Connection:
        limit = self._loop.time() + self._connect_timeout_s
        failure: NoWay
        try:
            async with asyncio.timeout_at(min(due, limit)):
                return way.idle.opened(await way.open(target))
        except TimeoutError as error:
            if due <= limit:
                raise failed_calls.late() from error
            failure = Silence("no connection in time")
        except NoWay as error:
            failure = error
        raise failed_calls.unconnected(failure, target.authority, egress, self._reach) from failure


def _is_unsent(connection: Connection, head: bytes, body: bytes) -> bool:
    """Whether certainly nothing of a request left: the first write already met a closed door."""
    is_one_write = len(head) + len(body) <= _ONE_WRITE_BYTES
    is_refused = isinstance(connection.fault, BrokenPipeError)
    return is_one_write and is_refused and not connection.has_heard


def _unanswered(connection: Connection, outcome: Flow) -> UpstreamError:
    """Say why there is no head."""
    if outcome is Flow.SILENT:
        return failed_calls.late()
    if isinstance(connection.fault, OSError):
        return failed_calls.lost()
    return failed_calls.malformed()
