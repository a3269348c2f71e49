"""Where the gateway may connect to: the guard against server-side request forgery.

Every address that a person can set (base URLs, token URLs, proxies) passes `check_url` when it
is set, and every connection passes `allows` with the address the name resolved to, so that a
name which changes its answer later gains nothing.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

from models.errors import BadRequest

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

# `is_global` of Python 3.11 calls these public: translations and tunnels that may end inside,
# and one cloud provider's host agent.
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
        "fec0::/10",
        "5f00::/16",
        "192.0.0.0/24",
        "168.63.129.16/32",
        "224.0.0.0/4",
        "ff00::/8",
    )
)
_PRIVATE_NAMES = ("localhost", "local", "internal", "home.arpa", "lan", "intranet")
_CONTROL = re.compile(r"[\x00-\x20\x7f\\]")
# Spellings that some resolvers read as numbers: 2130706433, 0x7f.1, 127.1, 0177.0.0.1
_NUMERIC = re.compile(r"^(0x[0-9a-f]*|\d+)(\.(0x[0-9a-f]*|\d+)){0,3}\.?$")
_RESOLVE_TIMEOUT_S = 5.0


class AddressGuard:
    """Judges addresses against the deny list and the operator's allowed private networks."""

    def __init__(self, allowed_private_networks: Iterable[str] = ()) -> None:
        """`allowed_private_networks`: CIDRs. Raises ValueError for anything else."""
        self._allowed: tuple[Network, ...] = tuple(
            ipaddress.ip_network(text) for text in allowed_private_networks
        )
        self._own: set[tuple[str, int]] = set()

    def admit(self, address: str, port: int) -> None:
        """Allow connections to a server of our own. It opens nothing that a person can set."""
        self._own.add((address, port))

    def allows(self, address: str, port: int | None = None) -> bool:
        """Tell whether a connection to this IP address may be opened."""
        if port is not None and (address, port) in self._own:
            return True
        try:
            parsed = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        if any(parsed in network for network in self._allowed):
            return True
        return parsed.is_global and not any(parsed in network for network in _NEVER)

    async def check_url(self, url: str, *, schemes: frozenset[str], path: str = "url") -> None:
        """Raise BadRequest unless `url` has one of the schemes and a host that may be called.

        A name that does not resolve now is accepted: every connection is judged again.
        """
        host = _host_of(url, schemes, path)
        if _NUMERIC.match(host) and not _is_address(host):
            raise BadRequest(f"{path}: write the address in its usual form", path=path)
        if _is_address(host):
            addresses = [host]
        else:
            addresses = await _resolve(host)
            if not addresses and _is_private_name(host):
                raise BadRequest(f"{path}: private names are not allowed", path=path)
        if addresses and not any(self.allows(address) for address in addresses):
            raise BadRequest(
                f"{path}: the host is in a private or reserved network; "
                "security.allowed_private_networks can allow it",
                path=path,
            )


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one carries, if it does."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if int(address) >> 32 == 0 and int(address) > 1:  # ::a.b.c.d, the old compatible form
            return IPv4Address(int(address))
    return address


def _host_of(url: str, schemes: frozenset[str], path: str) -> str:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise BadRequest(f"{path}: not a valid URL", path=path) from None
    if parts.scheme not in schemes or not host:
        allowed = ", ".join(sorted(schemes))
        raise BadRequest(f"{path}: expected a URL with one of {allowed}", path=path)
    if _CONTROL.search(url) or not _is_plain(parts):
        raise BadRequest(f"{path}: the URL has characters that may not stand there", path=path)
    return host.rstrip(".")


def _is_plain(parts: SplitResult) -> bool:
    return parts.netloc.isascii() and not parts.fragment


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_private_name(host: str) -> bool:
    return (
        "." not in host
        or host.rpartition(".")[2] in _PRIVATE_NAMES
        or host.endswith(tuple("." + name for name in _PRIVATE_NAMES))
    )


async def _resolve(host: str) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_RESOLVE_TIMEOUT_S):
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return []
    return [str(entry[4][0]) for entry in found]
