"""Clients that send slowly, or nothing: they hold nothing up, and not for long (I-01)."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Rig, open_rig
from tests.security.wire import connected, head

# aiohttp would close for its own reason only after the time of idle connections.
HEAD_S, GRACE_S, KEEPALIVE_S = 0.5, 0.5, 300
ASK: dict[str, Any] = {
    "model": "claude-fake",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hello"}],
}
BODY = json.dumps(ASK).encode()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    environment = {
        "AIGATEWAY_SERVER__HEADER_TIMEOUT_S": str(HEAD_S),
        "AIGATEWAY_SERVER__BODY_GRACE_S": str(GRACE_S),
        "AIGATEWAY_SERVER__BODY_MIN_BYTES_PER_S": "1000",
        "AIGATEWAY_SERVER__KEEPALIVE_TIMEOUT_S": str(KEEPALIVE_S),
    }
    async with open_rig(tmp_path, environment) as opened:
        await opened.add_provider("messages")
        yield opened


def post(rig: Rig, size: int, path: str = "/v1/messages", key: str | None = None) -> bytes:
    lines = ("Content-Type: application/json", f"Content-Length: {size}")
    return head(f"POST {path} HTTP/1.1", rig, *lines, key=key)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="silent"),
        pytest.param(b"\r\n\r\n", id="blank lines"),
        pytest.param(b"POST /v1/mess", id="half a request line"),
        pytest.param(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-A: b", id="half a head"),
        pytest.param(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\n", id="no end of the head"),
    ],
)
async def test_a_head_that_does_not_come_whole_ends_the_connection(rig: Rig, sent: bytes) -> None:
    async with connected(rig) as wire:
        await wire.send(sent)
        began = asyncio.get_running_loop().time()
        assert await wire.is_closed()
        assert asyncio.get_running_loop().time() - began >= HEAD_S * 0.8


async def test_a_dribbled_head_has_no_more_time_than_a_silent_one(rig: Rig) -> None:
    async with connected(rig) as wire:
        await wire.send(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Long: ")
        for _ in range(300):
            await wire.send(b"a")
            await asyncio.sleep(HEAD_S / 25)
            if wire.is_over:
                break
        assert wire.is_over


async def test_a_second_head_on_a_kept_connection_has_the_same_limit(rig: Rig) -> None:
    async with connected(rig) as wire:
        await wire.send(post(rig, len(BODY)) + BODY)
        first = await wire.answer()
        assert first is not None
        assert first.status == 200
        await asyncio.sleep(1.5 * HEAD_S)  # idle is allowed for longer than a head
        await wire.send(b"POST /v1/messages HTTP/1.1\r\nHost:")
        assert await wire.is_closed()


async def test_a_kept_connection_outlives_the_limit_of_a_head(rig: Rig) -> None:
    async with connected(rig) as wire:
        for _ in range(3):
            await wire.send(post(rig, len(BODY)) + BODY)
            answer = await wire.answer()
            assert answer is not None
            assert answer.status == 200
            await asyncio.sleep(1.2 * HEAD_S)


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/messages", {"type", "error", "request_id"}),
        ("/v1/chat/completions", {"error"}),
        ("/api/v1/accounts", {"error"}),
    ],
)
@pytest.mark.parametrize("begun", [b"", b"{"])
async def test_a_body_that_does_not_come_is_408(
    rig: Rig, path: str, shape: set[str], begun: bytes
) -> None:
    async with connected(rig) as wire:
        await wire.send(post(rig, 100, path, rig.admin_key) + begun)
        async with asyncio.timeout(15 * GRACE_S):  # 10 s is what it would be without the setting
            answer = await wire.answer()
    assert answer is not None
    assert answer.status == 408
    assert set(answer.json) == shape
    assert answer.json["error"]["message"] == "the body came too slowly"


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_dribbled_body_is_408(rig: Rig, chunked: bool) -> None:
    piece = b"1\r\n \r\n" if chunked else b" "
    start = "POST /v1/messages HTTP/1.1"
    whole = head(start, rig, "Transfer-Encoding: chunked") if chunked else post(rig, 100_000)
    async with connected(rig) as wire:
        await wire.send(whole)
        reading = asyncio.create_task(wire.answer())
        while not reading.done():
            await wire.send(piece)
            await asyncio.sleep(0.02)
        answer = reading.result()
    assert answer is not None
    assert answer.status == 408


async def test_without_a_least_rate_a_body_must_still_move(tmp_path: Path) -> None:
    environment = {
        "AIGATEWAY_SERVER__BODY_GRACE_S": str(GRACE_S),
        "AIGATEWAY_SERVER__BODY_MIN_BYTES_PER_S": "0",
    }
    async with open_rig(tmp_path, environment) as rig:
        await rig.add_provider("messages")
        async with connected(rig) as wire:
            await wire.send(post(rig, len(BODY)))
            for start in range(0, len(BODY), 20):
                await asyncio.sleep(GRACE_S / 4)
                await wire.send(BODY[start : start + 20])
            slow = await wire.answer()
        async with connected(rig) as wire:
            await wire.send(post(rig, len(BODY)))
            still = await wire.answer()
    assert slow is not None
    assert still is not None
    assert (slow.status, still.status) == (200, 408)


async def test_slow_clients_do_not_disturb_others(rig: Rig) -> None:
    """Others keep being served while 150 connections are held open in every slow way."""
    heads = (b"", b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-A", post(rig, 50_000) + b"{")
    held = [connected(rig) for _ in range(50) for _ in heads]
    wires = [await one.__aenter__() for one in held]
    try:
        for number, wire in enumerate(wires):
            await wire.send(heads[number % len(heads)])
        for _ in range(20):
            assert (await rig.post("/v1/messages", ASK)).status == 200
        assert all(await asyncio.gather(*[wire.is_closed(30) for wire in wires[0::3]]))
        told = [await wire.answer() for wire in wires[2::3]]
        assert {answer.status for answer in told if answer} == {408}
    finally:
        for one in held:
            await one.__aexit__(None, None, None)
    assert (await rig.post("/v1/messages", ASK)).status == 200
    rows = await rig.logs(71)
    assert sorted({row["status"] for row in rows}) == [200, 408]
    assert rig.providers["messages"].by_key["key-0"] == 21
