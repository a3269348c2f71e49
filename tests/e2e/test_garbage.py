"""A call leaves nothing behind that only the collector finds.

What a call leaves in a circle stays in memory, its body included, until the collector comes; then
it stops everybody for tens of milliseconds.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from handlers.plain_exchange import PlainExchange
from handlers.web_exchange import WebExchange
from models.attempt import Attempt
from models.errors import GatewayError
from models.exchange import ProxyRequest, RequestRecord, UpstreamRequest
from services.call import Call
from services.plan import Plan
from services.relay import RawRelay, TranslatedRelay
from services.reply import Reply
from services.slots import Lease
from services.streaming import Streaming
from services.tries import Try
from services.wire.response import Response
from tests.e2e.harness import MODELS, Rig, open_rig
from tests.fakes.provider import Failure, Kind

_CALLS = 20
_SAID = [{"role": "user", "content": "Hi"}]
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "messages": ("/v1/messages", {"messages": _SAID, "max_tokens": 9}),
    "chat": ("/v1/chat/completions", {"messages": _SAID}),
    "responses": ("/v1/responses", {"input": "Hi", "store": False}),
}
OF_A_CALL = (
    GatewayError, ProxyRequest, RequestRecord, Attempt, Call, Plan, Lease, Try, Reply, Streaming,
    RawRelay, TranslatedRelay, UpstreamRequest, Response, PlainExchange, WebExchange,
)  # fmt: skip
KINDS: tuple[Kind, ...] = ("messages", "chat")


@pytest.fixture(params=["quick way in", "over aiohttp"])
async def rig(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    # Rows are written when all is over: a slow disk gets them twice, which is no part of a call.
    environment = {"AIGATEWAY_STATS__FLUSH_INTERVAL_S": "60"}
    async with open_rig(tmp_path, environment) as opened, aiohttp.ClientSession() as another:
        for kind in KINDS:
            await opened.add_provider(kind, accounts=2)
        if request.param == "quick way in":  # the connection has seen nothing but model calls
            opened = replace(opened, http=another)
        yield opened


@contextmanager
def kept_garbage() -> Iterator[None]:
    """The collector only runs when it is asked to, and shows what it finds in `gc.garbage`."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def ours_in_garbage() -> set[str]:
    """Of which classes that a call is made of there were objects in circles; jobs, which run at any
    time, may leave others."""
    gc.collect()
    return {type(found).__qualname__ for found in gc.garbage if isinstance(found, OF_A_CALL)}


async def settled() -> None:
    """What follows an answer has been done."""
    for _ in range(20):
        await asyncio.sleep(0)


async def garbage_of(rig: Rig, path: str, body: dict[str, Any], status: int) -> set[str]:
    for _ in range(3):  # what the first calls set up stays
        assert (await rig.post(path, body)).status == status
    with kept_garbage():
        for _ in range(_CALLS):
            await rig.post(path, body)
        await settled()
        return ours_in_garbage()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
async def test_a_call_that_is_served_leaves_no_circle(
    rig: Rig, form: str, kind: Kind, stream: bool
) -> None:
    path, asked = FORMS[form]
    body = {**asked, "model": MODELS[kind], "stream": stream}
    assert await garbage_of(rig, path, body, 200) == set()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("status", [400, 429, 500])
async def test_a_call_that_fails_leaves_no_circle(rig: Rig, status: int, stream: bool) -> None:
    rig.providers["chat"].failures_by_key = {f"key-{n}": Failure(status) for n in range(2)}
    path, asked = FORMS["chat"]
    body = {**asked, "model": MODELS["chat"], "stream": stream}
    told = (await rig.post(path, body)).status
    assert told >= 400
    assert await garbage_of(rig, path, body, (await rig.post(path, body)).status) == set()


async def forgive_all(rig: Rig) -> None:
    """Let no account rest; over a connection of the operator's own."""
    async with aiohttp.ClientSession() as operator:
        apart = replace(rig, http=operator)
        for account in (await apart.api("GET", "/accounts?provider_id=openai"))["data"]:
            await apart.api("POST", f"/accounts/{account['id']}/reset")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_call_that_another_account_serves_leaves_no_circle(rig: Rig, stream: bool) -> None:
    """The provider refuses what the other account asks with a status that lets nobody rest."""
    provider = rig.providers["chat"]
    provider.failures_by_key["key-0"] = Failure(500)
    path, asked = FORMS["chat"]
    body = {**asked, "model": MODELS["chat"], "stream": stream}
    with kept_garbage():
        for _ in range(_CALLS):
            await forgive_all(rig)
            assert (await rig.post(path, body)).status == 200
        await settled()
        assert ours_in_garbage() == set()
    assert provider.by_key["key-0"] >= _CALLS // 2


async def test_a_stream_that_breaks_leaves_no_circle(rig: Rig) -> None:
    rig.providers["chat"].cut_after = 2
    path, asked = FORMS["chat"]
    body = {**asked, "model": MODELS["chat"], "stream": True}
    assert await garbage_of(rig, path, body, 200) == set()


async def test_a_call_that_is_refused_leaves_no_circle(rig: Rig) -> None:
    path, asked = FORMS["chat"]
    assert await garbage_of(rig, path, {**asked, "model": "nobody-has-it"}, 404) == set()
    assert await garbage_of(rig, path, {**asked, "model": 5}, 400) == set()
