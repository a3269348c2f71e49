"""Opens TCP connections, to where the guard allows them."""

import socket
from collections.abc import Sequence
from typing import Final

from aiohappyeyeballs import AddrInfoType, start_connection

from services.guard import AddressGuard
from services.wire.names import Names

# Another address is tried as well when one has not answered for so long (RFC 8305).
_NEXT_ADDRESS_S: Final = 0.25


class Dial:
    """Connects to names and addresses. Everything raises OSError."""

    def __init__(self, guard: AddressGuard, names: Names) -> None:
        self._guard = guard
        self.names = names

    async def connect(self, addresses: Sequence[AddrInfoType]) -> socket.socket:
        """Return a socket that is connected to one of the addresses."""
        connected = await start_connection(
            addresses,
            happy_eyeballs_delay=_NEXT_ADDRESS_S,
            interleave=1,
            socket_factory=self._opened,
        )
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        return connected

    async def allowed(self, host: str) -> str:
        """Return an address of a host that may be connected to; PermissionError when none may."""
        for info in await self.names.find(host, 0):
            address = str(info[4][0])
            if self._guard.allows(address):
                return address
        raise PermissionError("address not allowed")

    def _opened(self, info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _name, address = info
        if not self._guard.allows(str(address[0]), address[1]):
            raise PermissionError("address not allowed")
        return socket.socket(family, kind, protocol)
