"""Which of a provider's addresses serves a call: real ones, some of which fail."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from models.errors import ConnectFailed
from models.exchange import UpstreamRequest
from models.ports import Transport, UpstreamResponse
from services.guard import AddressGuard
from services.hosts import sent_to_one_of
from services.transport import open_transport
from tests import chosen
from tests.builders import make_provider, make_stored
from tests.fakes.transport import Sent, whole
from tests.services.executor_rig import Rig, chat_answer, make_request


@dataclass
class Hosts:
    """Machines that answer each with a status, 0 for none that listens."""

    addresses: list[str]
    asked: list[int] = field(default_factory=list)


@asynccontextmanager
async def hosts(*statuses: int) -> AsyncGenerator[Hosts, None]:
    async with AsyncExitStack() as stack:
        found = Hosts([])
        for number, status in enumerate(statuses):
            if status == 0:
                found.addresses.append(f"http://127.0.0.1:{unused_port()}")
                continue

            async def answer(
                _: web.Request, number: int = number, status: int = status
            ) -> web.Response:
                found.asked.append(number)
                return web.Response(status=status, text=str(number))

            app = web.Application()
            app.router.add_post("/", answer)
            server = await stack.enter_async_context(TestServer(app))
            found.addresses.append(str(server.make_url("")).rstrip("/"))
        yield found


@asynccontextmanager
async def transport() -> AsyncGenerator[Transport, None]:
    async with open_transport(
        AddressGuard(["127.0.0.0/8"]), connect_timeout_s=2.0, client=chosen.CLIENT
    ) as opened:
        yield opened


@pytest.mark.parametrize(
    ("statuses", "asked"),
    [
        pytest.param((200, 200), [0], id="the first, which is well"),
        pytest.param((0, 200), [1], id="nobody listens at the first"),
        pytest.param((404, 200), [0, 1], id="unknown at the first"),
        pytest.param((503, 404, 200), [0, 1, 2], id="two that fail"),
        pytest.param((503, 0, 429), [0, 2], id="the last one's word counts"),
        pytest.param((404, 503), [0, 1], id="all fail"),
        pytest.param((400, 200), [0], id="a refusal is an answer"),
        pytest.param((429, 200), [0], id="a limit is the account's"),
        pytest.param((500, 200), [0], id="a fault is not the host's alone"),
    ],
)
async def test_the_first_host_that_does_not_fail_as_one_serves(
    statuses: tuple[int, ...], asked: list[int]
) -> None:
    async with hosts(*statuses) as found, transport() as http:
        first, *mirrors = found.addresses
        offer = replace(make_provider(base_url=first).main, mirrors=tuple(mirrors))

        async def send(base_url: str) -> UpstreamResponse:
            request = UpstreamRequest("POST", base_url + "/", {}, b"{}")
            return await http.send(request, None, first_byte_timeout_s=5.0)

        response = await sent_to_one_of(offer, send)
        assert await response.read(100) == str(asked[-1]).encode()
        response.close()
        assert found.asked == asked


async def test_nobody_listens_anywhere() -> None:
    async with hosts(0, 0) as found, transport() as http:
        first, mirror = found.addresses
        offer = replace(make_provider(base_url=first).main, mirrors=(mirror,))

        async def send(base_url: str) -> UpstreamResponse:
            request = UpstreamRequest("POST", base_url + "/", {}, b"{}")
            return await http.send(request, None, first_byte_timeout_s=5.0)

        with pytest.raises(ConnectFailed):
            await sent_to_one_of(offer, send)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_another_host_is_no_other_attempt_and_nobody_rests(stream: bool) -> None:
    provider = make_provider(base_url="http://first.test")
    offer = replace(provider.main, mirrors=("http://second.test",))

    def script(sent: Sent) -> object:
        is_first = sent.request.url.startswith("http://first.test/")
        return whole(b"<html>", 503) if is_first else chat_answer(sent)

    rig = Rig(script, [make_stored(1)], providers=[replace(provider, offers=(offer,))])  # type: ignore[arg-type]
    assert b"w\xc3\xb6rld" in await rig.ask(make_request(stream=stream))
    assert rig.transport.keys == ["key-1", "key-1"]
    assert (rig.record.attempts, rig.rests) == (1, {})
    assert rig.transport.all_closed
