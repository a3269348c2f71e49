"""The addresses of names, kept for a while: a resolver that is away takes no provider with it."""

import asyncio
import ipaddress
import socket
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohappyeyeballs import AddrInfoType

_FRESH_S: Final = 30.0
# The last good answer serves for so long while there is none.
_USABLE_S: Final = 600.0
_ASK_AGAIN_S: Final = 5.0
_MAX_NAMES: Final = 1024


@dataclass(slots=True)
class _Known:
    """What a name led to; loop times."""

    addresses: Sequence[AddrInfoType]
    fresh_until: float
    usable_until: float


class Names:
    """Asks the system's resolver, in threads, once for all who ask at the same time."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Sequence[AddrInfoType]]] = {}

    async def find(self, host: str, port: int) -> Sequence[AddrInfoType]:
        """Return at least one address. Raises OSError."""
        if (literal := _literal(host)) is not None:
            found: Sequence[AddrInfoType] = [literal]
        else:
            known = self._known.get(host)
            if known is not None and asyncio.get_running_loop().time() < known.fresh_until:
                found = known.addresses
            else:
                found = await asyncio.shield(self._asked(host))
        return [_with_port(info, port) for info in found]

    async def aclose(self) -> None:
        """Ask no more."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _asked(self, host: str) -> asyncio.Task[Sequence[AddrInfoType]]:
        task = self._asking.get(host)
        if task is None:
            task = asyncio.create_task(self._ask(host), name="names.ask")
            self._asking[host] = task
            task.add_done_callback(lambda done: self._answered(host, done))
        return task

    def _answered(self, host: str, done: asyncio.Task[Sequence[AddrInfoType]]) -> None:
        self._asking.pop(host, None)
        if not done.cancelled():
            done.exception()  # whoever asked may have left

    async def _ask(self, host: str) -> Sequence[AddrInfoType]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(
                host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
            )
        except (OSError, UnicodeError) as error:
            return self._last_good(host, loop.time(), error)
        now = loop.time()
        self._known[host] = _Known(found, now + _FRESH_S, now + _USABLE_S)
        self._known.move_to_end(host)
        if len(self._known) > _MAX_NAMES:
            self._known.popitem(last=False)
        return found

    def _last_good(self, host: str, now: float, error: Exception) -> Sequence[AddrInfoType]:
        known = self._known.get(host)
        if known is not None and now < known.usable_until:
            known.fresh_until = now + _ASK_AGAIN_S
            return known.addresses
        if isinstance(error, OSError):
            raise error
        # A label that is too long or empty.
        raise socket.gaierror(socket.EAI_NONAME, "not a name") from error


def _literal(host: str) -> AddrInfoType | None:
    """Return an address that needs no resolver."""
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return None
    if parsed.version == 4:
        return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, 0)
    address, _, scope = host.partition("%")
    if scope:
        return None
    return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 0, 0, 0)


def _with_port(info: AddrInfoType, port: int) -> AddrInfoType:
    family, kind, protocol, name, address = info
    return family, kind, protocol, name, (address[0], port, *address[2:])
