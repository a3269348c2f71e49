"""The ways out of the house: direct, through an HTTP proxy, through a SOCKS5 proxy."""

import asyncio
from dataclasses import dataclass
from itertools import count
from typing import Final, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from models.egress import EgressProxy
from services import failed_calls
from services.reach import ProxyFailed, TargetMissed, UnknownHere, unresolved
from services.wire.connection import Connection
from services.wire.dial import Dial
from services.wire.idle import Idle
from services.wire.opening import over_socket, over_tunnel
from services.wire.target import Target, basic
from services.wire.tls import shared_context
from services.wire.tunnel import Asking, through_socks

_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}

_numbers: Final = count()


class Way(Protocol):
    """One way, and the connections that went it."""

    idle: Idle

    def line(self, target: Target) -> bytes:
        """Return how the head of a request begins."""
        ...

    async def open(self, target: Target) -> Connection:
        """Return a new connection to a provider, TLS included. Raises NoWay."""
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What every way needs to open connections."""

    dial: Dial
    timeout_s: float


class Direct:
    """Straight to the provider."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self.idle = Idle(asyncio.get_running_loop())

    def line(self, target: Target) -> bytes:
        return target.line

    async def open(self, target: Target) -> Connection:
        dial, connection = self._tools.dial, self.idle.new(target.origin)
        try:
            tls = await shared_context() if target.is_tls else None
            connected = await dial.connect(await dial.names.find(target.host, target.port))
            await over_socket(connected, connection, tls=tls, host=target.host, place=target.origin)
        except OSError as error:
            raise TargetMissed("no connection to the provider") from error
        return connection


class ThroughHttp:
    """Through an HTTP proxy: a tunnel for TLS, requests in absolute form without it."""

    def __init__(self, tools: Tools, egress_id: str, parts: SplitResult) -> None:
        self._tools = tools
        self._name = _name(egress_id)
        self._host, self._port = _place_of(parts)
        self._is_tls = parts.scheme == "https"
        given = _credentials(parts)
        self._authorization = basic(*given) if given is not None else ""
        told = f"Proxy-Authorization: {self._authorization}\r\n" if given is not None else ""
        self._told = told.encode("ascii")
        self.idle = Idle(asyncio.get_running_loop())

    def line(self, target: Target) -> bytes:
        return target.line if target.is_tls else target.absolute + self._told

    async def open(self, target: Target) -> Connection:
        connection = self.idle.new(target.origin)
        if not target.is_tls:
            await self._reach(connection)
            return connection
        loop = asyncio.get_running_loop()
        asking = Asking(loop, target.authority, self._authorization)
        transport = await self._reach(asking)
        try:
            await asking.answered()
        except BaseException:
            transport.abort()
            raise
        tls, place = await shared_context(), f"{self._name} {target.origin}"
        try:
            await over_tunnel(transport, connection, tls=tls, host=target.host, place=place)
        except OSError as error:
            raise TargetMissed("no TLS through the proxy") from error
        return connection

    async def _reach(self, protocol: asyncio.BaseProtocol) -> asyncio.Transport:
        dial = self._tools.dial
        try:
            addresses = await dial.names.find(self._host, self._port)
        except OSError as error:
            raise unresolved(error) from error
        try:
            tls = await shared_context() if self._is_tls else None
            connected = await dial.connect(addresses)
            return await over_socket(
                connected, protocol, tls=tls, host=self._host, place=f"{self._name} itself"
            )
        except OSError as error:
            raise ProxyFailed("no connection to the proxy") from error


class ThroughSocks:
    """Through a SOCKS5 proxy; with socks5h it resolves names, else we do, and the guard judges."""

    def __init__(self, tools: Tools, egress_id: str, parts: SplitResult) -> None:
        self._tools = tools
        self._name = _name(egress_id)
        self._host, self._port = _place_of(parts)
        self._credentials = _credentials(parts)
        self._resolves_there = parts.scheme == "socks5h"
        self.idle = Idle(asyncio.get_running_loop())

    def line(self, target: Target) -> bytes:
        return target.line

    async def open(self, target: Target) -> Connection:
        proxy = await self._address()
        host = target.host if self._resolves_there else await self._resolved(target)
        connected = await through_socks(
            (proxy, self._port),
            self._credentials,
            host,
            target.port,
            timeout_s=self._tools.timeout_s,
        )
        connection, place = self.idle.new(target.origin), f"{self._name} {target.origin}"
        try:
            tls = await shared_context() if target.is_tls else None
            await over_socket(connected, connection, tls=tls, host=target.host, place=place)
        except OSError as error:
            raise TargetMissed("no TLS through the proxy") from error
        return connection

    async def _address(self) -> str:
        try:
            return await self._tools.dial.allowed(self._host)
        except PermissionError as error:
            raise ProxyFailed("address not allowed") from error
        except OSError as error:
            raise unresolved(error) from error

    async def _resolved(self, target: Target) -> str:
        try:
            return await self._tools.dial.allowed(target.host)
        except OSError as error:
            raise UnknownHere("the provider's name is not known here") from error


def way_through(egress: EgressProxy, tools: Tools) -> Way:
    """Return the way through a proxy. Raises ConnectFailed when nobody speaks its kind."""
    try:
        parts = urlsplit(egress.url)
        _place_of(parts)
    except ValueError as error:
        raise failed_calls.unsupported_proxy() from error
    match parts.scheme:
        case "http" | "https":
            return ThroughHttp(tools, egress.id, parts)
        case "socks5" | "socks5h":
            return ThroughSocks(tools, egress.id, parts)
        case _:
            raise failed_calls.unsupported_proxy()


def _name(egress_id: str) -> str:
    """Return what tells a way from all others: a proxy that gets another address is another way,
    and no TLS session of the old one is offered on it."""
    return f"{egress_id} {next(_numbers)}"


def _place_of(parts: SplitResult) -> tuple[str, int]:
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)


def _credentials(parts: SplitResult) -> tuple[str, str] | None:
    if not parts.username:
        return None
    return unquote(parts.username), unquote(parts.password or "")
