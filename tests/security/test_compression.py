"""Compressed bodies: small ones that grow without end, odd ones, and honest ones (I-04)."""

import asyncio
import gzip
import json
import logging
import random
import resource
import zlib
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from handlers.inflate import inflated
from models.errors import GatewayError, PayloadTooLarge
from tests.e2e.harness import Rig, open_rig
from tests.security.requests import PATHS, PLAIN
from tests.security.shapes import error_of, failures_in
from tests.security.wire import Answer, answers, head

MIB = 1 << 20
BODY = json.dumps(PLAIN["messages"]).encode()


@pytest.fixture
async def rig(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path, {"AIGATEWAY_RETRY__MAX_RESPONSE_BYTES": str(MIB)}) as opened:
        await opened.add_provider("messages")
        await opened.add_provider("chat")
        caplog.set_level(logging.DEBUG)
        yield opened
    assert failures_in(caplog) == []


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


@cache
def zeros(size: int) -> bytes:
    """Return the gzip of so many zero bytes: about a thousandth."""
    deflater = zlib.compressobj(wbits=31)
    pieces = [deflater.compress(bytes(MIB)) for _ in range(size // MIB)]
    return b"".join(pieces) + deflater.flush()


async def sent(
    rig: Rig, body: bytes, coding: str, path: str = "/v1/messages", key: str | None = None
) -> Answer:
    lines = (
        "Content-Type: application/json",
        *(f"Content-Encoding: {one}" for one in coding.split("\n")),
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    (answer,) = await answers(rig, head(f"POST {path} HTTP/1.1", rig, *lines, key=key) + body)
    return answer


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(BODY)),
        ("GZip", gzip.compress(BODY)),
        ("gzip", gzip.compress(BODY[:20]) + gzip.compress(BODY[20:])),
        ("deflate", zlib.compress(BODY)),
        ("deflate", raw_deflate(BODY)),
        ("identity", BODY),
    ],
    # The bytes of gzip hold the time: as names they would differ from process to process.
    ids=["gzip", "upper case", "two members", "zlib", "raw deflate", "identity"],
)
async def test_a_compressed_request_is_served(rig: Rig, coding: str, body: bytes) -> None:
    assert (await sent(rig, body, coding)).status == 200
    assert rig.providers["messages"].seen[0].body == BODY


@pytest.mark.parametrize("path", [*PATHS.values(), "/api/v1/accounts"])
async def test_a_bomb_is_413_and_takes_no_memory(rig: Rig, path: str) -> None:
    bomb = zeros(256 * MIB)
    assert len(bomb) < MIB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    limit = MIB if path.startswith("/api") else 32 * MIB
    answer = await sent(rig, bomb, "gzip", path, rig.admin_key)
    assert answer.status == 413
    assert error_of(path, answer.body)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 2 * limit + 32 * MIB
    assert sum(len(provider.seen) for provider in rig.providers.values()) == 0


async def test_a_bomb_without_a_key_is_not_even_inflated(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    inflations: list[Any] = []
    real = zlib.decompressobj

    def counted(*arguments: Any) -> Any:  # noqa: ANN401 - as zlib has it
        inflations.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(zlib, "decompressobj", counted)
    bomb = zeros(256 * MIB)
    for key in ("", "nonsense"):
        assert (await sent(rig, bomb, "gzip", key=key)).status == 401
    assert (await sent(rig, bomb, "gzip", "/nowhere")).status == 404
    assert inflations == []
    assert (await sent(rig, gzip.compress(BODY), "gzip")).status == 200
    assert len(inflations) == 1


@pytest.mark.parametrize("pause", [False, True])
async def test_others_are_served_while_a_bomb_goes_off(rig: Rig, pause: bool) -> None:
    bombs = [asyncio.create_task(sent(rig, zeros(256 * MIB), "gzip")) for _ in range(4)]
    if pause:
        await asyncio.sleep(0.05)
    for _ in range(5):
        assert (await rig.post("/v1/messages", PLAIN["messages"])).status == 200
    assert {answer.status for answer in await asyncio.gather(*bombs)} == {413}


BROKEN = [
    ("gzip", BODY),
    ("gzip", gzip.compress(BODY)[:-9]),
    ("gzip", gzip.compress(BODY) + b"junk"),
    ("gzip", gzip.compress(BODY)[:10] + b"\xff" * 50),
    ("gzip", gzip.compress(BODY)[:-8] + bytes(8)),
    ("gzip", gzip.compress(b"") * 200_000),
    ("gzip", gzip.compress(b" ") * 101 + gzip.compress(BODY)),
    ("gzip", zlib.compress(BODY)),
    ("gzip", b"\x1f\x8b"),
    ("deflate", BODY),
    ("deflate", zlib.compress(BODY)[:-1]),
    ("deflate", zlib.compress(BODY) * 2),
    ("deflate", gzip.compress(BODY)),
    ("gzip", gzip.compress(gzip.compress(BODY))),
    ("gzip", b""),
]


async def test_what_does_not_inflate_is_400(rig: Rig) -> None:
    for place, (coding, body) in enumerate(BROKEN):
        answer = await sent(rig, body, coding)
        assert answer.status == 400, place
        error_of("/v1/messages", answer.body)
    assert rig.providers["messages"].seen == []


@pytest.mark.parametrize("path", [*PATHS.values(), "/api/v1/accounts"])
async def test_other_encodings_are_415(rig: Rig, path: str) -> None:
    unknown = ("br", "zstd", "compress", "x-gzip", "gzip, gzip", "gzip,identity", "*", "gzip;q=1")
    for coding in (*unknown, "gzip\ngzip", "identity\ngzip"):
        answer = await sent(rig, gzip.compress(BODY), coding, path, rig.admin_key)
        assert answer.status == 415, coding
        error_of(path, answer.body)


async def test_the_limit_is_exact() -> None:
    for size, fits in ((MIB, True), (MIB + 1, False)):
        for coding, body in (
            ("gzip", gzip.compress(bytes(size))),
            ("deflate", raw_deflate(bytes(size))),
        ):
            try:
                assert await inflated(body, coding, MIB) == bytes(size)
                assert fits
            except PayloadTooLarge:
                assert not fits


async def test_incompressible_bodies_come_out_as_they_went_in() -> None:
    data = random.Random(7).randbytes(MIB)
    for level in (0, 1, 9):
        assert await inflated(gzip.compress(data, level), "gzip", 2 * len(data)) == data
    with pytest.raises(GatewayError):
        await inflated(gzip.compress(data)[:-1], "gzip", 2 * len(data))


# --- the provider's side ------------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["gzip", "deflate", ""])
@pytest.mark.parametrize("dialect", ["messages", "chat"])
async def test_a_provider_that_answers_with_a_bomb_is_cut(
    rig: Rig, coding: str, dialect: str
) -> None:
    bomb = {"gzip": zeros(256 * MIB), "deflate": zlib.compress(bytes(64 * MIB)), "": bytes(2 * MIB)}

    async def explode(_request: web.Request) -> web.Response:
        headers = {"content-encoding": coding} if coding else {}
        return web.Response(body=bomb[coding], headers=headers, content_type="application/json")

    await _provider(rig, explode)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    response = await rig.post(PATHS[dialect], {**PLAIN[dialect], "model": "bomb/m"})
    assert response.status == 502
    assert "larger than allowed" in error_of(PATHS[dialect], await response.read())["message"]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 64 * MIB


@pytest.mark.parametrize("coding", ["br", "gzip", "nonsense"])
async def test_a_provider_whose_answer_does_not_inflate_is_a_bad_gateway(
    rig: Rig, coding: str
) -> None:
    async def garble(_request: web.Request) -> web.Response:
        headers = {"content-encoding": coding}
        return web.Response(body=b"\xff" * 64, headers=headers, content_type="application/json")

    await _provider(rig, garble)
    response = await rig.post("/v1/messages", {**PLAIN["messages"], "model": "bomb/m"})
    assert response.status == 502
    error_of("/v1/messages", await response.read())


async def _provider(rig: Rig, handler: Any) -> None:  # noqa: ANN401 - a handler of aiohttp
    app = web.Application()
    app.router.add_post("/v1/messages", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    rig.stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    body = {"id": "bomb", "name": "Bomb", "dialect": "messages", "base_url": url}
    await rig.api("POST", "/providers", body)
    await rig.add_account("bomb", "key-bomb")
