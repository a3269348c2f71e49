"""Whose fault it is that no connection through a proxy came about.

What the proxy does itself (no connection to it, no TLS with it, 407, a refusal) is the proxy's.
Where it says that it cannot reach the provider, either may be true: the provider is away, or the
proxy has lost its way out. What others could do in the meantime tells it. A proxy alone in its
failure is to blame; where others fail as well and nobody gets through, nobody's proxy is. So the
outage of a provider, or of a probe's target, sends no proxy into quarantine, and a proxy without
a way out does not count as an outage.
"""

import socket
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from models.errors import Blame

_MEMORY_S: Final = 600.0
"""After this time a failure says nothing any more about the next one."""
_MAX_HOSTS: Final = 256

_AUTH_REQUIRED: Final = 407
_SERVER_ERROR: Final = 500
# What proxies answer to CONNECT when they cannot reach the target; the rest are refusals.
_TARGET_STATUSES: Final = frozenset({500, 502, 503, 504})
# The same in SOCKS5 (RFC 1928 section 6): general failure, network or host unreachable, refused,
# time to live expired.
_TARGET_REPLIES: Final = frozenset({1, 3, 4, 5, 6})


class NoWay(Exception):
    """No connection through a proxy came about; the provider saw nothing."""


class ProxyFailed(NoWay):
    """The proxy cannot be reached, does not speak as it should, or refuses us."""


class TargetMissed(NoWay):
    """The proxy serves, but the way ends behind it; the provider's TLS included."""


class Silence(NoWay):
    """Either of the two: the proxy said nothing, or too little to tell."""


class UnknownHere(NoWay):
    """We do not know where the provider is, or may not go there; no proxy's fault."""


@dataclass(slots=True)
class _Host:
    """What is remembered of one host and port; moments are of a clock that never jumps."""

    reached_at: float = float("-inf")
    missed_at: dict[str, float] = field(default_factory=dict)
    """When each way failed last, until it succeeds."""


class Reach:
    """Remembers through which ways hosts could not be reached, as long as that matters."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._hosts: OrderedDict[str, _Host] = OrderedDict()

    def __bool__(self) -> bool:
        """Whether something is remembered; if not, successes need not be told."""
        return bool(self._hosts)

    def reached(self, host: str, way: str) -> None:
        """Note that a way led to a host."""
        found = self._hosts.get(host)
        if found is not None:
            found.reached_at = self._monotonic()
            found.missed_at.pop(way, None)
            if not found.missed_at:
                del self._hosts[host]

    def blame(self, error: NoWay, host: str, way: str) -> Blame:
        """Note that a proxy, the way, did not lead to a host, and say whose fault it is."""
        match error:
            case ProxyFailed():
                is_proxy = True
            case UnknownHere():
                is_proxy = False
            case Silence():
                is_proxy = self._is_alone(host, way) is not False
            case _:
                is_proxy = self._is_alone(host, way) is True
        return Blame.EGRESS if is_proxy else Blame.PROVIDER

    def _is_alone(self, host: str, way: str) -> bool | None:
        """True: it failed before, and others got through since. False: others failed as well, and
        nobody got through since. None: too little is known."""
        now = self._monotonic()
        found = self._remembered(host, now)
        before = found.missed_at.get(way)
        others = [at for other, at in found.missed_at.items() if other != way]
        found.missed_at[way] = now
        if before is not None and found.reached_at > before:
            return True
        return False if any(at > found.reached_at for at in others) else None

    def _remembered(self, host: str, now: float) -> _Host:
        found = self._hosts.setdefault(host, _Host())
        self._hosts.move_to_end(host)
        if len(self._hosts) > _MAX_HOSTS:
            self._hosts.popitem(last=False)
        for way in [way for way, at in found.missed_at.items() if at < now - _MEMORY_S]:
            del found.missed_at[way]
        return found


def has_answered(status: int, *, is_tls: bool) -> bool:
    """Whether the provider itself answered: without TLS a proxy may answer in its stead."""
    return is_tls or status < _SERVER_ERROR


def of_connect(status: int) -> NoWay:
    """Say what a proxy's answer to CONNECT means."""
    if status == _AUTH_REQUIRED:
        return ProxyFailed("the proxy refused our credentials")
    kind = TargetMissed if status in _TARGET_STATUSES else ProxyFailed
    return kind(f"the proxy answered CONNECT with {status}")


def of_reply(code: int) -> NoWay:
    """Say what a SOCKS5 proxy's reply means."""
    kind = TargetMissed if code in _TARGET_REPLIES else ProxyFailed
    return kind(f"the proxy answered with SOCKS reply {code}")


def unresolved(error: OSError) -> NoWay:
    """Say what it means that a proxy's name does not resolve."""
    if error.errno == socket.EAI_AGAIN:  # our own resolver is away, and every name with it
        return Silence("names cannot be resolved now")
    return ProxyFailed("the proxy's name is not known")
