"""An answer whose provider puts something around the dialect, seen without it."""

from collections.abc import Mapping

from models.ports import UpstreamResponse
from providers.base import Envelope


class Unwrapped:
    """An `UpstreamResponse` that takes the envelope off what it reads."""

    def __init__(self, response: UpstreamResponse, envelope: Envelope) -> None:
        self._response = response
        self._envelope = envelope
        self._unwrapper = envelope.unwrapper()

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    async def read(self, limit_bytes: int) -> bytes:
        return self._envelope.unwrap(await self._response.read(limit_bytes))

    async def read_some(self, wait_s: float) -> bytes | None:
        """Return whole frames; a part of one says nothing yet, so it is waited on."""
        while data := await self._response.read_some(wait_s):
            if frames := self._unwrapper.feed(data):
                return frames
        return None if data is None else self._unwrapper.end()

    def close(self) -> None:
        self._response.close()
