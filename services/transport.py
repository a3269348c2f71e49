"""Sends requests, each through its egress: the one place that knows the HTTP client.

One pooled session for direct calls and one for each outbound proxy. Every connection passes
the address guard. Foreign exceptions end here as ConnectFailed, TimedOut or StreamBroken.
"""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp_socks import ProxyConnectionError as SocksConnectionError
from aiohttp_socks import ProxyConnector, ProxyError, ProxyTimeoutError
from yarl import URL

from models.egress import EgressProxy
from models.errors import (
    Blame,
    ConnectFailed,
    ConnectionLost,
    StreamBroken,
    TimedOut,
    UpstreamError,
)
from models.exchange import UpstreamRequest
from services.guard import AddressGuard

_MAX_SESSIONS: Final = 1024
# Of a stream at once, and waiting to be read: a client that does not read its answer has a few
# of these in memory. aiohttp's own buffer holds up to 512 KiB.
_PIECE_BYTES: Final = 65_536
_BUFFER_BYTES: Final = 32_768
_MAX_HEADER_BYTES: Final = 32_768
# Shorter than most providers keep idle connections: one that they close at the moment of use
# costs a failed attempt.
_KEEPALIVE_S: Final = 15.0
_PROXY_AUTH_REQUIRED: Final = 407
# The last is a SOCKS proxy that hangs up in the middle of its greeting.
_SOCKS: Final = (ProxyError, SocksConnectionError, ProxyTimeoutError, asyncio.IncompleteReadError)
_FOREIGN: Final = (aiohttp.ClientError, OSError, ValueError, *_SOCKS)


class HttpResponse:
    """An answer whose head has arrived, over aiohttp."""

    __slots__ = ("_idle_timeout_s", "_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, idle_timeout_s: float) -> None:
        self._response = response
        self._idle_timeout_s = idle_timeout_s
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body.

        Raises StreamBroken when it is cut or exceeds the limit, TimedOut when it stops coming.
        """
        content = self._response.content
        try:
            if content.is_eof() and content.total_bytes <= limit_bytes:
                return content.read_nowait()  # it came with the head, as most do
            async with asyncio.timeout(self._idle_timeout_s) as scope:
                return await self._read_limited(limit_bytes, scope)
        except TimeoutError as error:
            raise TimedOut("the provider fell silent inside its answer") from error
        except (aiohttp.ClientError, OSError) as error:
            raise StreamBroken("the provider's answer was cut off") from error

    async def _read_limited(self, limit_bytes: int, scope: asyncio.Timeout) -> bytes:
        loop = asyncio.get_running_loop()
        pieces: list[bytes] = []
        size = 0
        while piece := await self._response.content.readany():
            size += len(piece)
            if size > limit_bytes:
                raise StreamBroken("the provider's answer is larger than allowed")
            pieces.append(piece)
            scope.reschedule(loop.time() + self._idle_timeout_s)
        return b"".join(pieces)

    async def read_some(self, wait_s: float) -> bytes | None:
        """Return what has arrived, b"" at the end, None when nothing came within `wait_s`."""
        content = self._response.content
        try:
            if data := content.read_nowait(_PIECE_BYTES):
                return data
            # Cancelling `read` loses nothing: it takes bytes only after its wait.
            async with asyncio.timeout(wait_s):
                return await content.read(_PIECE_BYTES)
        except TimeoutError:
            return None
        except (aiohttp.ClientError, OSError) as error:
            raise StreamBroken("the provider's stream was cut off") from error

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else drop it."""
        if self._response.content.is_eof():
            self._response.release()
        else:
            self._response.close()


class HttpTransport:
    """Pooled HTTP sessions, one for each way out."""

    def __init__(
        self, guard: AddressGuard, *, connect_timeout_s: float, idle_timeout_s: float
    ) -> None:
        self._guard = guard
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_timeout_s)
        self._idle_timeout_s = idle_timeout_s
        self._direct = self._session(self._connector())
        self._sessions: OrderedDict[tuple[str, str], aiohttp.ClientSession] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    async def send(
        self, request: UpstreamRequest, egress: EgressProxy | None, *, first_byte_timeout_s: float
    ) -> HttpResponse:
        """Return when the head has arrived. Raises ConnectFailed, TimedOut or UpstreamError."""
        session, proxy = self._way(egress)
        try:
            async with asyncio.timeout(first_byte_timeout_s):
                response = await session.request(
                    request.method,
                    _parsed(request.url),
                    data=request.body or None,
                    headers=request.headers,
                    proxy=proxy,
                    allow_redirects=False,
                )
        except TimeoutError as error:
            raise _timed_out(error, egress) from error
        except _FOREIGN as error:
            raise _failed(error, egress) from error
        if response.status == _PROXY_AUTH_REQUIRED and egress is not None:
            response.close()
            raise ConnectFailed("the outbound proxy refused our credentials", blame=Blame.EGRESS)
        return HttpResponse(response, self._idle_timeout_s)

    async def aclose(self) -> None:
        """Close every connection."""
        for session in (self._direct, *self._sessions.values()):
            await session.close()
        if self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)

    # --- ways out ---

    def _way(self, egress: EgressProxy | None) -> tuple[aiohttp.ClientSession, URL | None]:
        if egress is None:
            return self._direct, None
        session = self._session_of(egress)
        # aiohttp would speak HTTP to a SOCKS proxy given here; those are in the connector.
        return session, URL(egress.url) if egress.url.startswith("http") else None

    def _session_of(self, egress: EgressProxy) -> aiohttp.ClientSession:
        key = (egress.id, egress.url)
        session = self._sessions.get(key)
        if session is None:
            session = self._session(self._connector_for(egress))
            self._sessions[key] = session
            if len(self._sessions) > _MAX_SESSIONS:
                self._retire(self._sessions.popitem(last=False)[1])
        else:
            self._sessions.move_to_end(key)
        return session

    def _retire(self, session: aiohttp.ClientSession) -> None:
        task = asyncio.create_task(session.close(), name="transport.retire")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _session(self, connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            read_bufsize=_BUFFER_BYTES,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
        )

    def _connector(self) -> aiohttp.TCPConnector:
        return _Connector(
            limit=0,
            keepalive_timeout=_KEEPALIVE_S,
            socket_factory=self._guarded_socket,
            ttl_dns_cache=30,
        )

    def _connector_for(self, egress: EgressProxy) -> aiohttp.TCPConnector:
        parts = urlsplit(egress.url)
        if parts.scheme.startswith("http"):
            return self._connector()
        return _GuardedSocksConnector(self._guard, parts)

    def _guarded_socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """Open the socket of a connection if the guard allows where it goes."""
        family, kind, protocol, _name, address = info
        if not self._guard.allows(str(address[0]), address[1]):
            raise PermissionError("address not allowed")
        return socket.socket(family=family, type=kind, proto=protocol)


class _Connector(aiohttp.TCPConnector):
    """Tells an HTTP proxy that lets nothing through from a provider that hangs up."""

    async def _create_proxy_connection(self, *args: object, **kwargs: object):  # type: ignore[no-untyped-def]  # noqa: ANN202 - private in aiohttp, watched by a test
        try:
            return await super()._create_proxy_connection(*args, **kwargs)  # type: ignore[arg-type]
        except aiohttp.ClientError as error:
            raise aiohttp.ClientConnectionError("no way through the proxy") from error


class _GuardedSocksConnector(ProxyConnector):
    """Speaks SOCKS5 to a proxy whose address the guard has seen.

    socks5h lets the proxy resolve the target; socks5 resolves here, and the guard judges.
    """

    def __init__(self, guard: AddressGuard, parts: SplitResult) -> None:
        super().__init__(
            host=parts.hostname or "",
            port=parts.port or 1080,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            rdns=parts.scheme == "socks5h",
            limit=0,
            keepalive_timeout=_KEEPALIVE_S,
        )
        self._guard = guard
        self._local_resolver: AbstractResolver | None = (
            aiohttp.ThreadedResolver() if parts.scheme == "socks5" else None
        )
        self._proxy_name = self._proxy_host

    async def _connect_via_proxy(self, host: str, port: int, *args: object, **kwargs: object):  # type: ignore[no-untyped-def]  # noqa: ANN202 - aiohttp-socks types it by private names
        self._proxy_host = await self._allowed_address(self._proxy_name)
        if self._local_resolver is not None:
            host = await self._allowed_address(host, port)
        return await super()._connect_via_proxy(host, port, *args, **kwargs)  # type: ignore[arg-type]

    async def _allowed_address(self, host: str, port: int = 0) -> str:
        resolver = self._local_resolver or aiohttp.ThreadedResolver()
        # Never an OSError: aiohttp would take that for a connection which broke.
        try:
            entries = await resolver.resolve(host, port, socket.AF_UNSPEC)
        except OSError as error:
            raise SocksConnectionError("no such address") from error
        for entry in entries:
            if self._guard.allows(entry["host"]):
                return entry["host"]
        raise SocksConnectionError("address not allowed")


@lru_cache(maxsize=1024)
def _parsed(url: str) -> URL:
    """Parse an address as it is; there are few of them, and each is called often."""
    return URL(url, encoded=True)


def _failed(error: Exception, egress: EgressProxy | None) -> UpstreamError:
    """Tell a failed connection from a broken one, and whose fault it is."""
    if _is_lost(error):
        return ConnectionLost("the provider closed the connection without an answer")
    connecting = (aiohttp.ClientConnectionError, aiohttp.ClientHttpProxyError, OSError, *_SOCKS)
    if isinstance(error, connecting):
        return _connect_failed(egress)
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
        return UpstreamError("the provider's answer is not valid HTTP", blame=Blame.PROVIDER)
    return UpstreamError("the request could not be sent", blame=Blame.PROVIDER)


def _is_lost(error: Exception) -> bool:
    """Whether an open connection broke: the provider may have seen the request."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return False
    return isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)


def _connect_failed(egress: EgressProxy | None) -> ConnectFailed:
    if egress is None:
        return ConnectFailed("could not connect to the provider", blame=Blame.PROVIDER)
    return ConnectFailed(
        f"could not reach the provider through proxy {egress.label!r}", blame=Blame.EGRESS
    )


def _timed_out(error: TimeoutError, egress: EgressProxy | None) -> UpstreamError:
    # aiohttp's connect timeout is a TimeoutError of its own class; ours is plain.
    if isinstance(error, aiohttp.ServerTimeoutError):
        return _connect_failed(egress)
    return TimedOut("the provider did not answer in time")


@asynccontextmanager
async def open_transport(
    guard: AddressGuard, *, connect_timeout_s: float, idle_timeout_s: float = 300.0
) -> AsyncGenerator[HttpTransport, None]:
    """Open the sessions, and close them at the end.

    `idle_timeout_s`: longest silence inside a whole answer. Streams are timed by their readers.
    """
    transport = HttpTransport(
        guard, connect_timeout_s=connect_timeout_s, idle_timeout_s=idle_timeout_s
    )
    try:
        yield transport
    finally:
        await transport.aclose()
