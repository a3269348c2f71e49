"""A model call that came over aiohttp."""

from collections.abc import Mapping

from aiohttp import web

from handlers.calls import read_body
from handlers.gate import HEADERS, PRINCIPAL, REQUEST_ID


class WebExchange:
    """An `Exchange` over a request of aiohttp's."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._held: list[bytes] = []
        self._response: web.StreamResponse | None = None
        self.headers: Mapping[str, str] = _joined(request)
        self.parameters: Mapping[str, str] = request.match_info
        self.query: Mapping[str, str] = request.query
        self.principal = request[PRINCIPAL]
        self.request_id = request[REQUEST_ID]
        self.about: dict[str, str] = {}
        request[HEADERS] = self.about

    @property
    def response(self) -> web.StreamResponse:
        """The answer, once there is one."""
        assert self._response is not None  # noqa: S101 - nobody asks before
        return self._response

    async def read(self, max_bytes: int) -> bytes:
        return await read_body(self._request, max_bytes=max_bytes)

    def whole(self, body: bytes, headers: Mapping[str, str]) -> None:
        self._response = web.Response(body=body, headers=headers)

    async def begin(self, headers: Mapping[str, str]) -> None:
        self._response = web.StreamResponse(headers=headers)
        await self._response.prepare(self._request)

    def write(self, data: bytes) -> bool:
        """Hold it: aiohttp wants its writes to be awaited."""
        self._held.append(data)
        return False

    async def drain(self) -> None:
        held = b"".join(self._held)
        self._held.clear()
        if held:
            await self.response.write(held)

    async def end(self) -> None:
        await self.drain()
        await self.response.write_eof()


def _joined(request: web.Request) -> dict[str, str]:
    joined: dict[str, str] = {}
    for mixed, value in request.headers.items():
        name = mixed.lower()
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined
