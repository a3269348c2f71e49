"""An answer whose provider puts something around the dialect, seen without it."""

import asyncio
from collections.abc import Callable

from models.errors import StreamBroken
from models.ports import Flow, UpstreamResponse
from providers.base import Envelope
from services.changed_body import ChangedBody


class Unwrapped(ChangedBody[UpstreamResponse]):
    """An `UpstreamResponse` that takes the envelope off what it reads."""

    def __init__(self, response: UpstreamResponse, envelope: Envelope) -> None:
        super().__init__(response)
        self._envelope = envelope
        self._unwrapper = envelope.unwrapper()

    async def read(self, limit_bytes: int) -> bytes:
        return self._envelope.unwrap(await self._response.read(limit_bytes))

    async def read_some(self, wait_s: float) -> bytes | None:
        """Return whole frames; a part of one says nothing yet, so it is waited on.

        Parts that never become a whole, and comments, are silence.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        while data := await self._response.read_some(until - loop.time()):
            if frames := self._unwrapper.feed(data):
                return frames
            self._check_size()
            if loop.time() >= until:
                return None
        return None if data is None else self._unwrapper.end()

    async def flow(self, take: Callable[[bytes], bool], wait_s: float) -> Flow:
        """Hand over whole frames; what brings none for `wait_s` is silence as well."""
        loop = asyncio.get_running_loop()
        told_at = loop.time()
        is_silent = False

        def unwrapped(data: bytes) -> bool:
            nonlocal told_at, is_silent
            if frames := self._unwrapper.feed(data):
                told_at = loop.time()
                return take(frames)
            self._check_size()
            is_silent = loop.time() - told_at >= wait_s
            return not is_silent

        flow = await self._response.flow(unwrapped, wait_s)
        if flow is Flow.ENDED and (rest := self._unwrapper.end()):
            take(rest)
        return Flow.SILENT if is_silent else flow

    def _check_size(self) -> None:
        if self._unwrapper.overflowed:
            raise StreamBroken("the provider sent an event that is too large")
