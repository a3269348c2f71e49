"""However its bytes are cut, a connection is read in one way: calls in order, then the rest."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

from aiohttp.web_protocol import RequestHandler
from hypothesis import given
from hypothesis import strategies as st

from dialects import DIALECTS
from handlers.calls import Pace
from handlers.plain_connection import PlainConnection, PlainLimits
from handlers.plain_exchange import PlainExchange
from handlers.plain_head import PlainHead, PlainHeads
from handlers.plain_lane import request_lines
from tests.fakes.sink import settled
from tests.handlers.plain.client import GET, post

REFUSED = "refused"
TAILS = (
    b"",
    GET,
    b"\r\n",
    b"POST /v1/mess",
    post(b"{}", "Expect: 100-continue"),
    post(b"{}", version="1.0"),
    post(b"{}" * 20, "Content-Encoding: identity") + post(),
    b"\x16\x03\x01\x02\x00",
)


@dataclass
class Echo:
    """Answers each call with its own body, and refuses those that say so before their body came."""

    limits: PlainLimits = field(default_factory=lambda: PlainLimits(10**6, Pace(), 9.0, 9.0, 9.0))
    heads: PlainHeads = field(default_factory=lambda: PlainHeads(request_lines(DIALECTS)))
    connections: set[PlainConnection] = field(default_factory=set)
    read: list[tuple[str, bytes]] = field(default_factory=list)

    def begin(
        self, connection: PlainConnection, head: PlainHead
    ) -> Coroutine[object, object, None] | None:
        return self._serve(connection, head)

    async def _serve(self, connection: PlainConnection, head: PlainHead) -> None:
        exchange = PlainExchange(connection, head.headers)
        body = b"" if REFUSED in head.headers else await exchange.read(0)
        self.read.append((head.dialect.name, body))
        exchange.whole(body, {})
        exchange.over()


class Line(asyncio.Transport):
    """A transport that keeps what is written, and only reads while it is let to."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.protocol: asyncio.Protocol | None = None
        self._is_open = True
        self._reading = asyncio.Event()
        self._reading.set()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return not self._is_open

    def close(self) -> None:
        self._is_open = False

    abort = close

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        assert self._reading.is_set()
        self._reading.clear()

    def resume_reading(self) -> None:
        assert not self._reading.is_set()
        self._reading.set()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = cast(asyncio.Protocol, protocol)

    async def give(self, piece: bytes) -> None:
        """Hand over a piece once it is read."""
        await self._reading.wait()
        assert self.protocol is not None
        self.protocol.data_received(piece)


class Rest(asyncio.Protocol):
    """What aiohttp would be given."""

    def __init__(self) -> None:
        self.came = b""

    def data_received(self, data: bytes) -> None:
        self.came += data


@dataclass
class Seen:
    """What came of a connection."""

    calls: list[tuple[str, bytes]]
    rest: bytes
    """What was handed on to aiohttp."""
    answered: bytes
    most_ahead: int
    """Bytes that were kept at once before they were wanted."""


async def read(pieces: Sequence[bytes]) -> Seen:
    """Let a connection read these pieces."""
    lane, line, rest = Echo(), Line(), Rest()
    loop = asyncio.get_running_loop()
    connection = PlainConnection(lane, loop, lambda: cast(RequestHandler, rest))
    line.protocol = connection
    connection.connection_made(line)
    most = 0
    for piece in pieces:
        await line.give(piece)
        most = max(most, len(connection._unread))
        await asyncio.sleep(0)
    before = -1
    while before != (before := len(lane.read)):
        await settled()
    connection.connection_lost(None)
    return Seen(lane.read, rest.came, bytes(line.sent), most)


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Cut bytes at places, which may be anywhere."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(ends)]


CALLS = st.lists(
    st.tuples(
        st.sampled_from([("chat", "/v1/chat/completions"), ("messages", "/v1/messages?beta=true")]),
        st.sampled_from(
            [b"", b"x", b"POST /v1/messages HTTP/1.1\r\n\r\n", b"\r\n" * 40, b"y" * 5000]
        ),
        st.booleans(),
    ),
    max_size=6,
)


@given(CALLS, st.sampled_from(TAILS), st.lists(st.integers(0, 10**6), max_size=12))
async def test_calls_are_read_in_order_and_what_follows_them_is_handed_on_whole(
    calls: list[tuple[tuple[str, str], bytes, bool]], tail: bytes, places: list[int]
) -> None:
    sent = b"".join(
        post(body, *([f"{REFUSED}: 1"] if is_refused else []), path=path)
        for (_, path), body, is_refused in calls
    )
    seen = await read(cut(sent + tail, places))
    bodies = [b"" if is_refused else body for _, body, is_refused in calls]
    assert seen.calls == [
        (name, body) for ((name, _), _, _), body in zip(calls, bodies, strict=True)
    ]
    assert seen.rest == (b"" if tail.startswith(b"POST /v1/mess") and b"\r\n" not in tail else tail)
    answered = seen.answered
    for body in bodies:
        head, _, answered = answered.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answered.startswith(body)
        answered = answered[len(body) :]
    assert answered == b""


async def test_calls_may_come_byte_by_byte() -> None:
    sent = post(b"{}") + post(b"[]", f"{REFUSED}: 1") + post(b"()") + GET
    seen = await read([sent[at : at + 1] for at in range(len(sent))])
    assert seen.calls == [("chat", b"{}"), ("chat", b""), ("chat", b"()")]
    assert seen.rest == GET


async def test_what_is_sent_ahead_is_read_as_it_is_wanted() -> None:
    """Megabytes of calls at once: reading rests in between, and all of them are served."""
    sent = post(b"z" * 900) * 3000 + GET
    seen = await read([sent[at : at + 65_536] for at in range(0, len(sent), 65_536)])
    assert seen.calls == [("chat", b"z" * 900)] * 3000
    assert seen.rest == GET
    assert seen.most_ahead <= 2 * 65_536
