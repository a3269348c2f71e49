"""Interfaces that low layers need and high layers fill."""

from collections.abc import Mapping
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


class UpstreamResponse(Protocol):
    """An answer whose head has arrived."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Case-insensitive."""
        ...

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body; raises StreamBroken when it is cut or exceeds the limit."""
        ...

    async def read_some(self, wait_s: float) -> bytes | None:
        """Return what has arrived, b"" at the end, None when nothing came within `wait_s`.

        Raises StreamBroken when the connection breaks.
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
