"""`/api/v1/events`: what operators read, and what they listen to."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest

from handlers import events as events_module
from models.event import EventKind
from tests.handlers.api import ADMIN_KEY, Api
from tests.waiting import until

EVENTS = "/api/v1/events"
STREAM = "/api/v1/events/stream"
ACCOUNT, PROXY = "a" * 32, "b" * 32


async def told(api: Api, *messages: str) -> None:
    """Tell of these, and wait until the table has them."""
    for message in messages:
        api.gateway.events.tell(EventKind.ACCOUNT_COOLED, message, account_id=ACCOUNT)
    async with asyncio.timeout(10):
        while True:
            if messages[-1] in [one["message"] for one in (await api.get(EVENTS)).data]:
                return
            await asyncio.sleep(0.01)


class Listener:
    """Reads a stream frame by frame."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def frame(self) -> dict[str, str]:
        """Return the fields of the next frame that tells of an event."""
        while True:
            fields: dict[str, str] = {}
            while line := (await self.response.content.readline()).decode().rstrip("\n"):
                name, _, value = line.partition(": ")
                fields[name] = value
            if "data" in fields:
                return fields
            if self.response.content.at_eof():
                raise EOFError

    async def heard(self, count: int) -> list[str]:
        async with asyncio.timeout(10):
            return [json.loads((await self.frame())["data"])["message"] for _ in range(count)]


@asynccontextmanager
async def listening(
    api: Api, path: str = STREAM, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Listener]:
    async with api.client.get(path, headers={"x-api-key": ADMIN_KEY, **(headers or {})}) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        yield Listener(answer)


async def test_events_are_listed_with_every_field_newest_first(api: Api) -> None:
    await told(api, "first")
    api.clock.advance(5)
    api.gateway.events.tell(
        EventKind.PROXY_QUARANTINED,
        "proxy 'p' is quarantined",
        provider_id="openai",
        proxy_id=PROXY,
        details={"seconds": 60},
    )
    await told(api, "last")
    page = await api.get(f"{EVENTS}?kind=proxy.quarantined")
    (shown,) = page.data
    assert page.json["total"] == 1
    assert isinstance(shown.pop("id"), str)
    assert shown == {
        "at": "2027-01-15T08:00:05Z",
        "kind": "proxy.quarantined",
        "message": "proxy 'p' is quarantined",
        "provider_id": "openai",
        "account_id": None,
        "proxy_id": PROXY,
        "details": {"seconds": 60},
        "position": 2,
    }
    assert [one["message"] for one in (await api.get(f"{EVENTS}?account_id={ACCOUNT}")).data] == [
        "last",
        "first",
    ]
    since = await api.get(f"{EVENTS}?since=2027-01-15T08:00:05Z")
    assert since.json["total"] == 2
    assert (await api.get(f"{EVENTS}?proxy_id={PROXY}&limit=1")).json["total"] == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [("kind=account.exploded", "kind"), ("account_id=x", "account_id"), ("since=soon", "since")],
)
async def test_a_filter_that_means_nothing_is_refused(api: Api, query: str, field: str) -> None:
    refused = await api.get(f"{EVENTS}?{query}")
    assert (refused.status, refused.fields) == (422, [field])


async def test_a_listener_hears_what_happens_from_then_on(api: Api) -> None:
    await told(api, "before")
    async with listening(api) as one, listening(api) as other:
        await told(api, "first", "second")
        assert await one.heard(2) == ["first", "second"]
        assert await other.heard(2) == ["first", "second"]


async def test_a_listener_that_was_cut_off_resumes_where_it_was(api: Api) -> None:
    async with listening(api) as one:
        await told(api, "first", "second")
        last = (await one.frame())["id"]
    await told(api, "third", "fourth\r\nid: 1\r\n\r\ndata: forged")
    async with listening(api, headers={"Last-Event-ID": last}) as one:
        assert await one.heard(3) == ["second", "third", "fourth\r\nid: 1\r\n\r\ndata: forged"]
    async with listening(api, f"{STREAM}?after=3") as one:
        assert len(await one.heard(1)) == 1
    async with listening(api, f"{STREAM}?after=0", headers={"Last-Event-ID": "99999"}) as one:
        await told(api, "fifth")
        assert await one.heard(1) == ["fifth"]


@pytest.mark.parametrize("given", ["first", "-1", "1.5", "9" * 40, "\u0661"])
async def test_an_id_that_is_none_is_refused(api: Api, given: str) -> None:
    refused = await api.call("GET", STREAM, headers={"Last-Event-ID": given})
    assert (refused.status, refused.error["code"]) == (400, "invalid_request")


async def test_silence_is_broken_by_comments(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "_KEEP_ALIVE_S", 0.01)
    async with listening(api) as one, asyncio.timeout(10):
        lines = [(await one.response.content.readline()) for _ in range(6)]
    assert lines == [b"retry: 2000\n", b"\n", b": still here\n", b"\n", b": still here\n", b"\n"]


async def test_streams_end_when_the_gateway_stops(api: Api) -> None:
    async with listening(api) as one, asyncio.timeout(10):
        await told(api, "first")
        api.gateway.event_feed.hang_up()
        assert b"first" in await one.response.content.read()
    refused = await api.get(STREAM)
    assert (refused.status, refused.headers["Retry-After"]) == (503, "5")


async def test_a_listener_that_takes_nothing_is_cut_off_and_the_others_are_not(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(events_module, "_WRITE_LIMIT_S", 0.1)
    caplog.set_level(logging.INFO, logger=events_module.__name__)
    server = api.client.server
    near = socket.socket()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # else the system may take it all
    near.setblocking(False)
    await asyncio.get_running_loop().sock_connect(near, (server.host, server.port))
    reader, writer = await asyncio.open_connection(sock=near, limit=1024)
    writer.write(f"GET {STREAM} HTTP/1.1\r\nHost: x\r\nx-api-key: {ADMIN_KEY}\r\n\r\n".encode())
    assert b"200" in await reader.readline()
    async with listening(api) as other:
        for n in range(1500):  # more than all buffers between us hold
            api.gateway.events.tell(EventKind.ACCOUNT_COOLED, f"{n}", details={"x": "y" * 8000})
        async with asyncio.timeout(30):
            while await other.heard(1) != ["1499"]:
                pass
            # Whoever takes something before the limit is no slow one.
            await until(lambda: "a listener was too slow" in caplog.messages)
            with suppress(ConnectionError):
                while await reader.read(65_536):
                    pass
    writer.close()


async def test_a_head_request_does_not_listen(api: Api) -> None:
    async with asyncio.timeout(5):
        answer = await api.call("HEAD", STREAM)
    assert (answer.status, answer.text) == (200, "")


@pytest.mark.parametrize("change", [None, {"is_active": False}, {"is_admin": False}])
async def test_a_listener_hears_nothing_once_its_key_is_not_good_any_more(
    api: Api, change: dict[str, object] | None
) -> None:
    await api.made("/api/v1/api-keys", {"name": "another", "is_admin": True})
    made = await api.made("/api/v1/api-keys", {"name": "listener", "is_admin": True})
    async with listening(api, headers={"x-api-key": str(made.json["key"])}) as listener:
        await told(api, "before")
        assert await listener.heard(1) == ["before"]
        path = f"/api/v1/api-keys/{made.id}"
        changed = await api.call("DELETE" if change is None else "PATCH", path, change)
        assert changed.status < 300, changed.text
        await told(api, "after")
        with pytest.raises(EOFError):
            await listener.heard(1)
