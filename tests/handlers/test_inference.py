"""Model calls from the socket to the record that is kept of each."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import aiohttp
import pytest

from handlers.calls import Pace
from models.errors import StreamBroken
from tests.builders import make_stored
from tests.fakes.provider import error_body
from tests.fakes.scenarios import Scenario
from tests.fakes.transport import Answer, FakeResponse, Sent, whole
from tests.handlers.model_api import ADMIN_KEY, Served, serving
from tests.services.executor_rig import Rig, chat_answer
from tests.waiting import until

PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}
ASK = {"model": "gpt-x", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def rig() -> Rig:
    return Rig(chat_answer)


@pytest.fixture(params=[True, False], ids=["quick", "over aiohttp"])
def is_quick(request: pytest.FixtureRequest) -> bool:
    """Which way in; nobody can tell them apart."""
    return bool(request.param)


@pytest.fixture
async def served(rig: Rig, is_quick: bool) -> AsyncIterator[Served]:
    async with serving(rig, is_quick=is_quick) as running:
        yield running


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_and_its_record(served: Served, dialect: str, stream: bool) -> None:
    response = await served.call("POST", PATHS[dialect], {**ASK, "stream": stream})
    assert response.status == 200
    assert response.content_type == ("text/event-stream" if stream else "application/json")
    assert response.headers["cache-control"] == "no-store"
    (record,) = served.records
    assert (record.status, record.error_code, record.attempts) == (200, None, 1)
    assert (record.dialect, record.model, record.stream) == (dialect, "gpt-x", stream)
    assert (record.provider_id, record.account_id) == ("openai", f"{1:032x}")
    assert record.usage.output_tokens == 7
    assert record.latency_ms >= 0
    assert record.id == response.headers["x-request-id"] == response.headers["request-id"]


@pytest.mark.parametrize("stream", [False, True])
async def test_who_served_is_told_and_the_account_only_to_admins(
    served: Served, stream: bool
) -> None:
    body = {**ASK, "stream": stream}
    mine = await served.call("POST", PATHS["chat"], body)
    theirs = await served.call("POST", PATHS["chat"], body, key=ADMIN_KEY)
    for response in (mine, theirs):
        assert response.headers["x-aigateway-provider"] == "openai"
        assert response.headers["x-aigateway-attempts"] == "1"
    assert "x-aigateway-account" not in mine.headers
    assert theirs.headers["x-aigateway-account"] == f"{2:032x}"


async def test_who_failed_is_told_too(served: Served, rig: Rig) -> None:
    rig.transport.script = lambda _: whole(b"", 500)
    response = await served.call("POST", PATHS["messages"], ASK, key=ADMIN_KEY)
    assert response.status == 502
    assert response.headers["x-aigateway-provider"] == "openai"
    assert response.headers["x-aigateway-attempts"] == "2"
    assert response.headers["x-aigateway-account"] == f"{2:032x}"
    (record,) = served.records
    assert (record.status, record.error_code, record.attempts) == (502, "upstream_error", 2)


async def test_an_unknown_model_was_tried_nowhere(served: Served) -> None:
    response = await served.call("POST", PATHS["chat"], {**ASK, "model": "alien"})
    assert response.status == 404
    assert response.headers["x-aigateway-attempts"] == "0"
    assert "x-aigateway-provider" not in response.headers
    (record,) = served.records
    assert (record.status, record.error_code, record.model) == (404, "model_not_found", "alien")


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_bad_request_is_told_as_the_provider_said_it(
    served: Served, rig: Rig, status: int
) -> None:
    rig.transport.script = lambda _: whole(error_body("chat", status), status)
    response = await served.call("POST", PATHS["chat"], ASK)
    assert (response.status, await response.read()) == (status, error_body("chat", status))
    assert served.records[0].status == status


@pytest.mark.parametrize(
    ("body", "status", "model"),
    [
        (b"", 400, ""),
        (b"{", 400, ""),
        (b"[]", 400, ""),
        (b'{"model":"gpt-x","model":"gpt-y","messages":[]}', 400, ""),
        (b'{"model":5,"messages":[]}', 400, ""),
        (b'{"model":"gpt-x","messages":5}', 400, ""),
        (b'{"model":"' + b"x" * 5000 + b'","messages":[]}', 404, "x" * 5000),
    ],
)
@pytest.mark.parametrize("path", PATHS.values())
async def test_what_is_no_request_is_refused_and_recorded(
    served: Served, rig: Rig, path: str, body: bytes, status: int, model: str
) -> None:
    headers = {"x-api-key": "ak_client", "content-type": "application/json"}
    async with served.http.post(served.url + path, data=body, headers=headers) as response:
        assert response.status == status
        assert "error" in await response.json()
    (record,) = served.records
    assert (record.status, record.model) == (status, model)
    assert rig.transport.sent == []


async def test_strangers_leave_no_record(served: Served) -> None:
    assert (await served.call("POST", PATHS["chat"], ASK, key="ak_stranger")).status == 401
    assert served.records == []


async def test_an_id_that_the_client_chose_is_kept_beside_our_own(served: Served) -> None:
    for _ in range(2):
        response = await served.call("POST", PATHS["chat"], ASK, x_request_id="mine-1")
        assert response.headers["x-request-id"] == "mine-1"
    assert {record.client_request_id for record in served.records} == {"mine-1"}
    assert len({record.id for record in served.records} - {"mine-1"}) == 2


# --- headers that go on -----------------------------------------------------------------------


async def test_only_headers_of_the_format_go_on_and_only_to_a_provider_that_speaks_it(
    is_quick: bool,
) -> None:
    sent_headers = {
        "anthropic_beta": "a,b",
        "anthropic_version": "2024-01-01",
        "x_forwarded_for": "192.0.2.1",
        "cookie": "c=1",
        "x_stainless_os": "Linux",
        "openai_organization": "org",
        "user_agent": "sdk/1",
    }
    rig = Rig(chat_answer)
    async with serving(rig, is_quick=is_quick) as served:
        for path in PATHS.values():
            assert (await served.call("POST", path, ASK, **sent_headers)).status == 200
    for sent in rig.transport.sent:
        assert set(sent.request.headers) <= {
            "accept",
            "accept-encoding",
            "authorization",
            "content-type",
            "user-agent",
            "openai-organization",
            "openai-project",
        }
        assert sent.request.headers["user-agent"] == "aigateway/test"
        assert "anthropic-beta" not in sent.request.headers


@pytest.mark.parametrize("value", ["a\x7fb", "b\xe9ta", "\x01"])
async def test_a_header_that_could_not_be_sent_again_is_a_bad_request(
    served: Served, rig: Rig, value: str
) -> None:
    body = json.dumps(ASK).encode()
    head = (
        f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Api-Key: ak_client\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\nAnthropic-Beta: {value}\r\n\r\n"
    )
    answer = await served.wire(head.encode("latin-1") + body)
    assert answer.split(b" ")[1] == b"400"
    assert rig.transport.sent == []


# --- clients that leave -----------------------------------------------------------------------


def waiting_at(place: int) -> Rig:
    """A provider that falls silent for ever after `place` pieces of its stream."""
    rig = Rig(chat_answer, [make_stored(1)])

    def patch(response: FakeResponse) -> None:
        read, left = response.read_some, [None] * place

        async def read_some(wait_s: float) -> bytes | None:
            if left:
                left.pop()
                return await read(wait_s)
            await asyncio.Event().wait()
            return None

        response.read_some = read_some  # type: ignore[method-assign]

    rig.transport.patch = patch
    return rig


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize(
    ("place", "stream"),
    [
        pytest.param(0, False, id="whole"),
        pytest.param(0, True, id="before the first content"),
        pytest.param(3, True, id="inside a stream"),
    ],
)
async def test_who_leaves_closes_the_call_at_once_and_is_recorded(
    dialect: str, place: int, stream: bool, is_quick: bool, caplog: pytest.LogCaptureFixture
) -> None:
    rig = waiting_at(place)
    async with serving(rig, is_quick=is_quick) as served:
        async with aiohttp.ClientSession() as client:
            task = asyncio.create_task(
                client.post(
                    served.url + PATHS[dialect],
                    json={**ASK, "stream": stream},
                    headers={"x-api-key": "ak_client"},
                )
            )
            await until(lambda: rig.transport.responses)
            if place:
                response = await task
                assert await response.content.readany()
                response.close()
            task.cancel()
        await until(lambda: served.records)
        (record,) = served.records
    assert (record.status, record.error_code) == (499, "cancelled")
    assert rig.transport.all_closed
    assert not rig.executor.is_busy
    assert rig.told == []
    assert not rig.cooldowns._strikes
    assert [entry for entry in caplog.records if entry.levelno >= logging.WARNING] == []


async def test_who_leaves_in_the_middle_of_the_body_is_recorded(
    rig: Rig, is_quick: bool, caplog: pytest.LogCaptureFixture
) -> None:
    head = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Api-Key: ak_client\r\n"
    async with serving(rig, pace=Pace(30.0, 0), is_quick=is_quick) as served:
        assert await served.wire(head + b"Content-Length: 100\r\n\r\n{", limit_s=0.1) == b""
        await until(lambda: served.records)
        (record,) = served.records
    assert (record.status, record.error_code) == (499, "cancelled")
    assert rig.transport.sent == []
    assert [entry for entry in caplog.records if entry.levelno >= logging.WARNING] == []


async def test_a_stream_that_breaks_is_recorded_with_its_cause(served: Served, rig: Rig) -> None:
    def broken(sent: Sent) -> Answer:
        good = chat_answer(sent)
        return Answer(200, [*good.pieces[:4], StreamBroken("cut")], good.headers)

    rig.transport.script = broken
    response = await served.call("POST", PATHS["messages"], {**ASK, "stream": True})
    assert response.status == 200
    assert (await response.read()).rstrip().rpartition(b"\n\n")[2].startswith(b"event: error")
    (record,) = served.records
    assert (record.status, record.error_code) == (200, "upstream_truncated")


async def test_a_client_that_reads_nothing_keeps_the_provider_from_being_read(
    is_quick: bool,
) -> None:
    """What waits for it in memory is bounded, and nothing is lost once it reads."""
    text = ("x" * 50_000,)
    scenario = Scenario(text=text * 400)
    rig = Rig(lambda sent: chat_answer(sent, scenario), [make_stored(1)])
    body = json.dumps({**ASK, "stream": True}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Api-Key: ak_client\r\n"
    async with serving(rig, is_quick=is_quick) as served:
        host, _, port = served.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1)
        writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await until(lambda: rig.transport.responses)
        response, before = rig.transport.responses[0], -1
        while before != response.left:  # until it stands still
            before = response.left
            await asyncio.sleep(0.2)
        assert before > 100
        got = bytearray()
        while not got.endswith(b"0\r\n\r\n"):
            got += await reader.read(1 << 20)
        writer.close()
        assert got.count(b"x" * 50_000) == 400
        await until(lambda: served.records)
        assert (served.records[0].status, served.records[0].error_code) == (200, None)
