"""Sends requests over aiohttp's client: the other one that can be chosen, known here only.

One pooled session for direct calls and one for each outbound proxy. Every connection passes
the address guard. Foreign exceptions end here as ConnectFailed, TimedOut or StreamBroken.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp_socks import ProxyConnectionError as SocksConnectionError
from aiohttp_socks import ProxyConnector, ProxyError, ProxyTimeoutError
from yarl import URL

from models.egress import EgressProxy
from models.errors import UpstreamError
from models.exchange import UpstreamRequest
from models.ports import Flow
from services import failed_calls
from services.by_egress import ByEgress
from services.guard import AddressGuard
from services.pieces import flow_of_pieces
from services.reach import (
    NoWay,
    ProxyFailed,
    Reach,
    Silence,
    TargetMissed,
    UnknownHere,
    has_answered,
    of_connect,
    unresolved,
)

_Way: TypeAlias = tuple[aiohttp.ClientSession, URL | None]
"""A session, and the proxy to name with each of its requests if that is an HTTP proxy."""

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
_FOREIGN: Final = (aiohttp.ClientError, OSError, ValueError, NoWay, *_SOCKS)


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
            raise failed_calls.silent() from error
        except (aiohttp.ClientError, OSError) as error:
            raise failed_calls.cut_answer() from error

    async def _read_limited(self, limit_bytes: int, scope: asyncio.Timeout) -> bytes:
        loop = asyncio.get_running_loop()
        pieces: list[bytes] = []
        size = 0
        while piece := await self._response.content.readany():
            size += len(piece)
            if size > limit_bytes:
                raise failed_calls.too_large()
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
            raise failed_calls.cut_stream() from error

    async def flow(self, take: Callable[[bytes], bool], wait_s: float) -> Flow:
        """Hand what arrives to `take`, for as long as that says True."""
        return await flow_of_pieces(self.read_some, self._response.close, take, wait_s)

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else drop it."""
        if self._response.content.is_eof():
            self._response.release()
        else:
            self._response.close()


class HttpTransport:
    """Pooled HTTP sessions, one for each way out."""

    def __init__(
        self,
        guard: AddressGuard,
        *,
        connect_timeout_s: float,
        idle_timeout_s: float,
        reach: Reach | None = None,
    ) -> None:
        self._guard = guard
        self._reach = Reach(time.monotonic) if reach is None else reach
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_timeout_s)
        self._idle_timeout_s = idle_timeout_s
        self._direct: _Way = self._session(self._connector()), None
        self._ways = ByEgress(self._way_through, self._retire)
        self._closing: set[asyncio.Task[None]] = set()

    async def send(
        self, request: UpstreamRequest, egress: EgressProxy | None, *, first_byte_timeout_s: float
    ) -> HttpResponse:
        """Return when the head has arrived. Raises ConnectFailed, TimedOut or UpstreamError."""
        session, proxy = self._direct if egress is None else self._ways.get(egress)
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
            raise self._timed_out(error, request.url, egress) from error
        except _FOREIGN as error:
            raise self._failed(error, request.url, egress) from error
        if response.status == _PROXY_AUTH_REQUIRED and egress is not None:
            response.close()
            raise failed_calls.refused_credentials()
        is_tls = response.url.scheme == "https"
        if self._reach and has_answered(response.status, is_tls=is_tls):
            self._reach.reached(_host(request.url), egress.id if egress is not None else "")
        return HttpResponse(response, self._idle_timeout_s)

    async def aclose(self) -> None:
        """Close every connection."""
        for session, _ in (self._direct, *self._ways.all()):
            await session.close()
        if self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)

    # --- ways out ---

    def _way_through(self, egress: EgressProxy) -> _Way:
        parts = urlsplit(egress.url)
        match parts.scheme:
            case "http" | "https":
                return self._session(self._connector()), URL(egress.url)
            case "socks5" | "socks5h":
                # aiohttp would speak HTTP to a SOCKS proxy that a request names.
                return self._session(_GuardedSocksConnector(self._guard, parts)), None
            case _:
                raise failed_calls.unsupported_proxy()

    def _retire(self, way: _Way) -> None:
        task = asyncio.create_task(way[0].close(), name="transport.retire")
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

    def _guarded_socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """Open the socket of a connection if the guard allows where it goes."""
        family, kind, protocol, _name, address = info
        if not self._guard.allows(str(address[0]), address[1]):
            raise PermissionError("address not allowed")
        return socket.socket(family=family, type=kind, proto=protocol)

    # --- whose fault ---

    def _failed(self, error: Exception, url: str, egress: EgressProxy | None) -> UpstreamError:
        """Tell a failed connection from a broken one, and whose fault it is."""
        if isinstance(error, _SOCKS):
            error = _of_socks(error)
        if isinstance(error, NoWay):
            return self._unconnected(error, url, egress)
        if _is_lost(error):
            return failed_calls.lost()
        if isinstance(error, aiohttp.ClientConnectionError | OSError):
            return self._unconnected(TargetMissed(), url, egress)
        if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
            return failed_calls.malformed()
        return failed_calls.unsendable()

    def _timed_out(
        self, error: TimeoutError, url: str, egress: EgressProxy | None
    ) -> UpstreamError:
        # aiohttp's connect timeout is a TimeoutError of its own class; ours is plain.
        if isinstance(error, aiohttp.ServerTimeoutError):
            return self._unconnected(Silence("no connection in time"), url, egress)
        return failed_calls.late()

    def _unconnected(self, error: NoWay, url: str, egress: EgressProxy | None) -> UpstreamError:
        return failed_calls.unconnected(error, _host(url), egress, self._reach)


class _Tunnels(aiohttp.TCPConnector):
    """Tells whose fault it is that there is no TLS with a provider behind a proxy."""

    async def _start_tls_connection(self, *args: object, **kwargs: object):  # type: ignore[no-untyped-def]  # noqa: ANN202 - private in aiohttp, watched by tests
        try:
            return await super()._start_tls_connection(*args, **kwargs)  # type: ignore[arg-type]
        except (aiohttp.ClientError, OSError) as error:
            raise TargetMissed("no TLS through the proxy") from error


class _Connector(_Tunnels):
    """Tells an HTTP proxy that lets nothing through from a provider that hangs up."""

    async def _create_proxy_connection(self, *args: object, **kwargs: object):  # type: ignore[no-untyped-def]  # noqa: ANN202 - private in aiohttp, watched by tests
        try:
            return await super()._create_proxy_connection(*args, **kwargs)  # type: ignore[arg-type]
        except aiohttp.ClientHttpProxyError as error:
            raise of_connect(error.status) from error
        except aiohttp.ClientConnectorDNSError as error:
            raise unresolved(error.os_error) from error
        except aiohttp.ClientConnectorError as error:
            raise ProxyFailed("no connection to the proxy") from error
        except aiohttp.ClientError as error:
            raise ProxyFailed("the proxy broke off") from error


class _GuardedSocksConnector(_Tunnels, ProxyConnector):
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

    async def _wrap_create_connection(self, *args: object, ssl: object = None, **kwargs: object):  # type: ignore[no-untyped-def]  # noqa: ANN202 - private in aiohttp, watched by tests
        """Connect, and then speak TLS with the name that was asked for.

        aiohttp-socks would do it with the address, which no certificate names.
        """
        transport, protocol = await super()._wrap_create_connection(*args, **kwargs)  # type: ignore[arg-type]
        if not ssl:
            return transport, protocol
        secured, outer = await self._start_tls_connection(
            transport, req=kwargs["req"], timeout=kwargs["timeout"]
        )
        outer.inner = protocol  # its writer would close the connection if it were collected
        return secured, outer

    async def _connect_via_proxy(self, host: str, port: int, *args: object, **kwargs: object):  # type: ignore[no-untyped-def]  # noqa: ANN202 - aiohttp-socks types it by private names
        self._proxy_host = await self._allowed_address(self._proxy_name)
        if self._local_resolver is not None:
            host = await self._target_address(host, port)
        try:
            return await super()._connect_via_proxy(host, port, *args, **kwargs)  # type: ignore[arg-type]
        except ConnectionError as error:
            # Not as an OSError: aiohttp would take that for a connection which broke.
            raise ProxyFailed("the proxy broke off") from error

    async def _target_address(self, host: str, port: int) -> str:
        try:
            return await self._allowed_address(host, port)
        except NoWay as error:
            raise UnknownHere("the provider's name is not known here") from error

    async def _allowed_address(self, host: str, port: int = 0) -> str:
        resolver = self._local_resolver or aiohttp.ThreadedResolver()
        try:
            entries = await resolver.resolve(host, port, socket.AF_UNSPEC)
        except OSError as error:
            raise unresolved(error) from error
        for entry in entries:
            if self._guard.allows(entry["host"]):
                return entry["host"]
        raise ProxyFailed("address not allowed")


@lru_cache(maxsize=1024)
def _parsed(url: str) -> URL:
    """Parse an address as it is; there are few of them, and each is called often."""
    return URL(url, encoded=True)


def _host(url: str) -> str:
    """Return host and port, as one name."""
    parsed = _parsed(url)
    return f"{parsed.raw_host}:{parsed.port}"


def _of_socks(error: Exception) -> NoWay:
    """Say what a SOCKS proxy's failure means."""
    match error:
        case ProxyError(error_code=int(code)):
            return failed_calls.of_socks(int(code))
        case ProxyTimeoutError():
            return Silence("no connection in time")
        case SocksConnectionError():
            return ProxyFailed("no connection to the proxy")
        case _:
            return failed_calls.of_socks(None)


def _is_lost(error: Exception) -> bool:
    """Whether an open connection broke: the provider may have seen the request."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return False
    return isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
