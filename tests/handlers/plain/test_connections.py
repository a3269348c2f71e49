"""A connection over many calls: what it is handed on for, what it waits for, and for how long."""

import asyncio
import gzip
import socket
from collections.abc import Mapping

import pytest

from handlers.calls import Pace
from models.principal import Principal
from services.authenticator import Authenticator
from tests.handlers.model_api import serving
from tests.handlers.plain.client import (
    CHAT,
    GET,
    LONG_S,
    STREAM,
    WHOLE,
    HeldRig,
    asked,
    next_answer,
    only,
    post,
)
from tests.security.wire import Wire, connected
from tests.services.executor_rig import Rig, chat_answer
from tests.waiting import until

# --- which way -------------------------------------------------------------------------------


async def test_calls_follow_each_other_on_one_connection() -> None:
    async with serving(Rig(chat_answer)) as served, connected(served) as wire:
        for number in range(20):
            answer = await asked(wire, post(STREAM if number % 2 else WHOLE))
            assert answer.status == 200
            assert b"chat.completion" in answer.body
        assert len(served.lane.connections) == 1
        assert len(served.records) == 20


async def test_a_connection_that_asks_for_something_else_goes_on_over_aiohttp() -> None:
    async with serving(Rig(chat_answer)) as served, connected(served) as wire:
        assert (await asked(wire, post())).status == 200
        listed = await asked(wire, GET)
        assert listed.json["object"] == "list"
        assert not served.lane.connections
        assert (await asked(wire, post())).json["object"] == "chat.completion"


async def test_what_is_sent_ahead_is_answered_in_order_on_whatever_way() -> None:
    odd = post(b"{", path="/v1/messages")
    async with serving(Rig(chat_answer)) as served, connected(served) as wire:
        await wire.send(post() + odd + post(STREAM) + GET + post() + odd)
        answers = [await next_answer(wire) for _ in range(6)]
    assert [answer.status for answer in answers] == [200, 400, 200, 200, 200, 400]
    assert b"data: [DONE]" in answers[2].body
    assert answers[3].json["object"] == "list"
    assert answers[5].json["type"] == "error"


CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(WHOLE), WHOLE)
PACKED = gzip.compress(WHOLE)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(post(WHOLE, "Connection: close"), 200, id="close"),
        pytest.param(post(WHOLE, version="1.0"), 200, id="HTTP/1.0"),
        pytest.param(post(PACKED, "Content-Encoding: gzip"), 200, id="gzip"),
        pytest.param(post(WHOLE, "User-Agent: a", "User-Agent: b"), 200, id="two names"),
        pytest.param(post(WHOLE, path=f"http://x{CHAT}"), 200, id="absolute form"),
        pytest.param(post(WHOLE, f"Content-Length: {len(WHOLE)}"), 400, id="two lengths"),
        pytest.param(post(WHOLE, "Transfer-Encoding: chunked"), 400, id="two framings"),
        pytest.param(
            post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + CHUNKED,
            200,
            id="chunked",
        ),
    ],
)
async def test_unusual_requests_are_answered_as_ever(sent: bytes, status: int) -> None:
    async with serving(Rig(chat_answer)) as served, connected(served) as wire:
        assert (await asked(wire, post())).status == 200
        answer = await asked(wire, sent)
        assert answer.status == status
        assert status != 200 or b"chat.completion" in answer.body
        closes = b"close" in sent or b"HTTP/1.0" in sent or status == 400
        assert not closes or await wire.is_closed()
        assert closes or (await asked(wire, post())).status == 200


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on() -> None:
    async with serving(Rig(chat_answer)) as served, connected(served) as wire:
        await wire.send(post(b"", "Expect: 100-continue", size=len(WHOLE)))
        assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await asked(wire, WHOLE)).status == 200


async def test_small_pieces_of_a_stream_are_not_held_back_by_the_network() -> None:
    async with serving(Rig(chat_answer)) as served, connected(served) as wire:
        await asked(wire, post())
        raw = only(served)._transport.get_extra_info("socket")
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# --- what is awaited ---------------------------------------------------------------------------


async def dribble(wire: Wire) -> None:
    """Send a head that never ends, byte by byte, until the connection is closed."""
    async with asyncio.timeout(20):
        await wire.send(b"POST /v1/messages HTTP/1.1\r\nX-A: ")
        while not wire.is_over:
            await wire.send(b"a")
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("calls", [0, 1])
@pytest.mark.parametrize("keepalive_s", [0.5, LONG_S])
async def test_a_head_that_dribbles_in_is_cut_off(calls: int, keepalive_s: float) -> None:
    async with (
        serving(Rig(chat_answer), head_timeout_s=0.3, keepalive_timeout_s=keepalive_s) as served,
        connected(served) as wire,
    ):
        for _ in range(calls):
            assert (await asked(wire, post())).status == 200
        reading = asyncio.create_task(wire.reader.read())
        await dribble(wire)
        await asyncio.wait({reading})
        assert not served.lane.connections


async def test_a_head_has_its_whole_time_whenever_it_begins() -> None:
    async with (
        serving(Rig(chat_answer), head_timeout_s=2.2, keepalive_timeout_s=0.9) as served,
        connected(served) as wire,
    ):
        call = post()
        for _ in range(2):
            await wire.send(call[:20])
            await asyncio.sleep(1.2)  # longer than an idle connection may stay
            assert (await asked(wire, call[20:])).status == 200
            await asyncio.sleep(0.3)


@pytest.mark.parametrize("head_timeout_s", [0.2, LONG_S])
async def test_an_idle_connection_is_closed_in_its_own_time(head_timeout_s: float) -> None:
    async with (
        serving(Rig(chat_answer), head_timeout_s=head_timeout_s, keepalive_timeout_s=1.2) as served,
        connected(served) as wire,
    ):
        for _ in range(2):
            assert (await asked(wire, post())).status == 200
            await asyncio.sleep(0.5)
        assert await wire.is_closed()
        assert not served.lane.connections


@pytest.mark.parametrize("path", [CHAT, "/v1/messages"])
async def test_a_body_that_comes_slowly_is_408_in_the_clients_words(path: str) -> None:
    async with serving(Rig(chat_answer)) as served, connected(served) as wire:
        answer = await asked(wire, post(b"{", path=path, size=500))
        assert answer.status == 408
        assert ("type" in answer.json) == (path == "/v1/messages")
        assert answer.json["error"]["message"] == "the body came too slowly"
        (record,) = served.records
        assert record.status == 408


async def test_a_body_that_keeps_its_pace_may_take_longer_than_a_window() -> None:
    pace = Pace(window_s=0.9, min_bytes_per_s=0)
    async with serving(Rig(chat_answer), pace=pace) as served, connected(served) as wire:
        await wire.send(post(b"", size=len(WHOLE)))
        for at in range(0, len(WHOLE), 10):
            await wire.send(WHOLE[at : at + 10])
            await asyncio.sleep(0.15)
        assert (await next_answer(wire)).status == 200


async def test_a_body_that_nobody_wants_is_thrown_away_and_the_connection_lives_on() -> None:
    large = 300_000
    async with serving(Rig(chat_answer)) as served, connected(served) as wire:
        refused = await asked(wire, post(b"", key="ak_stranger", size=large))
        assert refused.status == 401
        for _ in range(3):
            await wire.send(b"x" * 100_000)
        assert (await asked(wire, post())).status == 200
        assert len(served.lane.connections) == 1


async def test_a_body_that_nobody_wants_and_that_does_not_come_ends_the_connection() -> None:
    """It has as long as a head; what follows it has as long as ever."""
    async with (
        serving(Rig(chat_answer), head_timeout_s=0.9, keepalive_timeout_s=LONG_S) as served,
        connected(served) as wire,
    ):
        for _ in range(2):
            assert (await asked(wire, post(b"x", key="ak_stranger", size=9))).status == 401
            await wire.send(b"x" * 8)
            await asyncio.sleep(1.1)
        assert (await asked(wire, post(b"x", key="ak_stranger", size=9))).status == 401
        assert await wire.is_closed()


class SlowToKnow(Authenticator):
    """Looks for every key where it takes long."""

    def __init__(self, known: Authenticator) -> None:
        self.known, self.go = known, asyncio.Event()

    def recognised(self, headers: Mapping[str, str], query_key: str = "") -> Principal | None:
        return None

    async def authenticate(self, headers: Mapping[str, str], query_key: str = "") -> Principal:
        await self.go.wait()
        return await self.known.authenticate(headers, query_key)


@pytest.mark.parametrize("key", ["ak_client", "ak_stranger"])
async def test_a_stranger_fills_no_memory_with_a_body(key: str) -> None:
    size = 8_000_000
    body = WHOLE[:-1] + b" " * (size - len(WHOLE)) + b"}"
    async with serving(Rig(chat_answer), max_body_bytes=size) as served, connected(served) as wire:
        served.lane.authenticator = slow = SlowToKnow(served.lane.authenticator)
        sending = asyncio.create_task(wire.send(post(body, key=key)))
        await until(lambda: served.lane.connections and only(served)._is_paused)
        await asyncio.sleep(0.1)
        assert sum(map(len, only(served)._pieces)) < 1_000_000
        slow.go.set()
        assert (await next_answer(wire)).status == (200 if key == "ak_client" else 401)
        await sending
        assert (await asked(wire, post())).status == 200


async def test_a_call_that_finds_no_room_leaves_its_connection_whole() -> None:
    rig = HeldRig()
    async with (
        serving(rig, max_calls=1) as served,
        connected(served) as first,
        connected(served) as second,
    ):
        await first.send(post())
        await until(lambda: rig.transport.sent)
        answer = await asked(second, post(b"{", path="/v1/messages", size=len(WHOLE)))
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.json["type"] == "error"
        rig.go.set()
        assert (await next_answer(first)).status == 200
        assert (await asked(second, WHOLE[1:] + post())).status == 200
