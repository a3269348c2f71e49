"""A client that says exactly what a test wants it to, and the calls that are made with it."""

import asyncio
import json

from handlers.plain_connection import PlainConnection
from tests.fakes.transport import FakeResponse
from tests.handlers.model_api import KEY, Served
from tests.security.wire import Answer, Wire, connected
from tests.services.executor_rig import Rig, chat_answer

CHAT = "/v1/chat/completions"
ASK = {"model": "gpt-x", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
WHOLE = json.dumps(ASK).encode()
STREAM = json.dumps({**ASK, "stream": True}).encode()
LONG_S = 300.0
"""For what must not be what ends a connection."""
GET = b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Api-Key: ak_client\r\n\r\n"


def post(
    body: bytes = WHOLE,
    *lines: str,
    path: str = CHAT,
    key: str = KEY,
    size: int | None = None,
    version: str = "1.1",
) -> bytes:
    """Return a call; `size`: what it says of its body."""
    length = len(body) if size is None else size
    fixed = [f"POST {path} HTTP/{version}", "Host: x", f"X-Api-Key: {key}", *lines]
    return "\r\n".join([*fixed, f"Content-Length: {length}", "", ""]).encode("latin-1") + body


async def answer_to(served: Served, data: bytes) -> Answer:
    """Send a call over a connection of its own; return what it is answered."""
    async with connected(served) as wire:
        return await asked(wire, data)


async def asked(wire: Wire, data: bytes) -> Answer:
    """Send and return the next answer."""
    await wire.send(data)
    return await next_answer(wire)


async def next_answer(wire: Wire) -> Answer:
    """Return an answer that must come."""
    async with asyncio.timeout(10):
        answer = await wire.answer()
    assert answer is not None
    return answer


def only(served: Served) -> PlainConnection:
    """Return the one connection that has not become aiohttp's."""
    (connection,) = served.lane.connections
    return connection


class HeldRig(Rig):
    """A provider whose answers wait, after `begun` pieces, until the test lets them go."""

    def __init__(self, begun: int = 0) -> None:
        super().__init__(chat_answer)
        self.go = asyncio.Event()
        self.transport.patch = lambda response: self._hold(response, begun)

    def _hold(self, response: FakeResponse, begun: int) -> None:
        read, left = response.read_some, [None] * begun

        async def read_some(wait_s: float) -> bytes | None:
            if left:
                left.pop()
            else:
                await self.go.wait()
            return await read(wait_s)

        response.read_some = read_some  # type: ignore[method-assign]
