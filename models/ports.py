"""Interfaces that low layers need and high layers fill."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Protocol

from models.egress import EgressProxy
from models.exchange import UpstreamRequest


class Clock(Protocol):
    """Time as a collaborator, so that tests need no sleeping."""

    def now(self) -> float:
        """Epoch seconds UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump."""
        ...


class Flow(Enum):
    """Why a body flows no further."""

    STOPPED = "stopped"
    """Whoever took it has enough for now."""
    ENDED = "ended"
    SILENT = "silent"
    """Nothing came for as long as was allowed."""


class Sink(Protocol):
    """Where a stream goes: the client's connection, or something on the way to it."""

    def write(self, data: bytes) -> bool:
        """Send, also nothing, which says that the stream has begun; never waits. False: `drain`
        before there is more."""
        ...

    async def drain(self) -> None:
        """Wait until there is room."""
        ...


class UpstreamResponse(Protocol):
    """An answer whose head has arrived."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Case-insensitive; there until the body flows."""
        ...

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body; raises StreamBroken when it is cut or exceeds the limit."""
        ...

    async def read_some(self, wait_s: float) -> bytes | None:
        """Return what has arrived, b"" at the end, None when nothing came within `wait_s`.

        Raises StreamBroken when the connection breaks.
        """
        ...

    async def flow(self, take: Callable[[bytes], bool], wait_s: float) -> Flow:
        """Hand what arrives to `take`, as it arrives, for as long as that says True.

        What arrives together is handed over together, by the read itself: no task wakes for it.
        Silence counts from this call, then from the last byte. May be called again, whatever it
        returned; meanwhile nothing is read from the provider beyond a small buffer. Raises
        StreamBroken when the connection breaks, and whatever `take` raises.
        """
        ...

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else drop it. Idempotent."""
        ...


class Transport(Protocol):
    """Sends requests, each through its egress. Foreign exceptions end here."""

    async def send(
        self, request: UpstreamRequest, egress: EgressProxy | None, *, first_byte_timeout_s: float
    ) -> UpstreamResponse:
        """Return when the head has arrived. Raises ConnectFailed or TimedOut."""
        ...
