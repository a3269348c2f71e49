"""What clients get when a provider breaks, in every way it can, and who pays for it."""

import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.harness import Rig, open_rig
from tests.fakes.faults import Behaviour, FaultyProvider, deaf_port
from tests.fakes.private_servers import free_port
from tests.fault import upstream_faults as faults
from tests.fault.live_streams import ENDS, ERRORS, PATHS

FIRST_BYTE_S, IDLE_S = 1.2, 0.5
TIMES = {
    "AIGATEWAY_RETRY__CONNECT_TIMEOUT_S": "0.3",
    "AIGATEWAY_RETRY__FIRST_BYTE_TIMEOUT_S": str(FIRST_BYTE_S),
    "AIGATEWAY_RETRY__IDLE_TIMEOUT_S": str(IDLE_S),
    "AIGATEWAY_RETRY__PING_AFTER_S": "0.2",
    "AIGATEWAY_RETRY__MAX_RESPONSE_BYTES": "4000000",
}
ACCOUNTS = 2
ASK = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}


@dataclass(frozen=True)
class Told:
    """What the client gets."""

    status: int
    kind: str = "api_error"
    """The `type` that a Messages client reads."""
    attempts: int = ACCOUNTS
    chat_status: int | None = None
    """Where a Chat client gets another one."""
    ends: str = "error"
    """A stream of status 200: `whole`, `error` (told inside it). Else nothing."""


@dataclass(frozen=True)
class Case:
    """A way to break, and what comes of it."""

    behaviour: Behaviour
    whole: Told
    stream: Told
    resting: int = 0
    """Accounts that rest after one request."""
    retry_after_s: int | None = None


LATE = Told(504, "timeout_error", 1)
BROKEN = Told(502)
FINE = Told(200, attempts=1, ends="whole")
TOLD = Told(200, attempts=1)
OVERLOADED = Told(529, "overloaded_error", chat_status=503)
LIMITED = Told(429, "rate_limit_error")

CASES: Mapping[str, Case] = {
    # The connection: reset, silent, cut.
    "reset before the head": Case(
        faults.reset_before_head, Told(502, attempts=3), Told(502, attempts=3)
    ),
    "reset after the head": Case(faults.reset_after_head, BROKEN, BROKEN),
    "reset in the middle": Case(faults.reset_in_the_middle, BROKEN, TOLD),
    "silent before the head": Case(faults.hang_before_head, LATE, LATE),
    "silent after the head": Case(faults.hang_after_head, Told(504, "timeout_error"), TOLD),
    "silent in the middle": Case(faults.hang_in_the_middle, Told(504, "timeout_error"), TOLD),
    "byte by byte": Case(faults.drip, FINE, FINE),
    # HTTP: framing that lies.
    "chunks without an end": Case(faults.truncated_chunks, BROKEN, TOLD),
    "bad chunk size": Case(faults.bad_chunk_size, BROKEN, BROKEN),
    "content-length too long": Case(faults.length_too_long, BROKEN, TOLD),
    "content-length too short": Case(faults.length_too_short, BROKEN, BROKEN),
    "not HTTP": Case(faults.not_http, BROKEN, BROKEN),
    "zip bomb": Case(faults.zip_bomb, BROKEN, TOLD),
    "broken zip": Case(faults.broken_zip, BROKEN, BROKEN),
    # The body: not what it says.
    "an answer without its end": Case(faults.whole_without_its_end, BROKEN, TOLD),
    "a page": Case(faults.page, BROKEN, BROKEN),
    "a page that says it is none": Case(faults.page_as_json, BROKEN, BROKEN),
    "a page with 502": Case(faults.page_502, BROKEN, BROKEN),
    "nothing": Case(faults.nothing, BROKEN, BROKEN),
    "an error with 200": Case(faults.error_with_200, OVERLOADED, OVERLOADED),
    "an error as the first event": Case(faults.error_event_first, OVERLOADED, OVERLOADED),
    "a line of 1 MB": Case(faults.big_line(1 << 20), FINE, FINE),
    # The provider's own errors.
    "400": Case(
        faults.status(400),
        Told(400, "invalid_request_error", 1),
        Told(400, "invalid_request_error", 1),
    ),
    "401": Case(faults.status(401), BROKEN, BROKEN, resting=ACCOUNTS),
    "403": Case(faults.status(403), BROKEN, BROKEN, resting=ACCOUNTS),
    "429": Case(faults.status(429), LIMITED, LIMITED, resting=ACCOUNTS, retry_after_s=5),
    "429 with seconds": Case(
        faults.status(429, {"retry-after": "77"}),
        LIMITED,
        LIMITED,
        resting=ACCOUNTS,
        retry_after_s=77,
    ),
    "429 with a date": Case(
        faults.status(
            429,
            {
                "date": "Wed, 21 Oct 2026 07:28:00 GMT",
                "retry-after": "Wed, 21 Oct 2026 07:29:17 GMT",
            },
        ),
        LIMITED,
        LIMITED,
        resting=ACCOUNTS,
        retry_after_s=77,
    ),
    "500": Case(faults.status(500), BROKEN, BROKEN),
    "502": Case(faults.status(502), BROKEN, BROKEN),
    "503": Case(faults.status(503), OVERLOADED, OVERLOADED),
    "529": Case(faults.status(529), OVERLOADED, OVERLOADED),
}


@pytest.fixture(scope="module", autouse=True)
def bombs() -> None:
    faults.load_bombs()


@pytest.fixture
async def rig(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    caplog.set_level(logging.INFO)
    async with open_rig(tmp_path, TIMES) as opened:
        yield opened


@dataclass
class Scene:
    """One provider of its own, so that nobody rests for another's sake."""

    rig: Rig
    id: str
    log: pytest.LogCaptureFixture

    async def ask(self, dialect: str, *, stream: bool) -> aiohttp.ClientResponse:
        body = {**ASK, "model": f"{self.id}/claude-fake", "stream": stream}
        return await self.rig.post(PATHS[dialect], body)

    def resting(self) -> int:
        """Return how many accounts rest: what all of them meet is held against none."""
        found: set[tuple[str, str]] = set()
        for record in self.log.records:
            facts = vars(record)
            if record.message == "cooling down":
                found.add((facts["subject"], facts["scope"]))
            elif record.message == "well again":
                found.discard((facts["subject"], facts["scope"]))
        return len(found)

    def complaints(self) -> list[str]:
        return [r.getMessage() for r in self.log.records if r.levelno >= logging.ERROR]


async def open_scene(rig: Rig, log: pytest.LogCaptureFixture, number: int, url: str) -> Scene:
    name = f"faulty{number}"
    body = {"id": name, "name": name, "dialect": "messages", "base_url": url}
    await rig.api("POST", "/providers", body)
    for account in range(ACCOUNTS):
        # With models of its own nobody asks the provider for its list.
        await rig.add_account(name, f"key-{account}", models=["claude-fake"])
    log.clear()
    return Scene(rig, name, log)


async def check(response: aiohttp.ClientResponse, dialect: str, told: Told) -> None:
    """The client got what was expected, in its own format."""
    body = await response.read()
    status = told.status if dialect == "messages" else told.chat_status or told.status
    assert (response.status, response.headers.get("x-aigateway-attempts")) == (
        status,
        str(told.attempts),
    )
    if status != 200:
        check_error(dialect, body, told.kind)
    elif response.content_type == "text/event-stream":
        errors, ends = body.count(ERRORS[dialect]), body.count(ENDS[dialect])
        assert (errors, ends) == ((0, 1) if told.ends == "whole" else (1, 0)), body[-300:]
    else:
        assert json.loads(body)


def check_error(dialect: str, body: bytes, kind: str) -> None:
    shape = json.loads(body)
    if dialect == "messages":
        assert set(shape) >= {"type", "error", "request_id"}
        assert shape["type"] == "error"
        assert shape["error"]["type"] == kind
    else:
        assert set(shape) == {"error"}
        assert set(shape["error"]) == {"message", "type", "param", "code"}
    assert shape["error"]["message"]


@pytest.mark.parametrize("name", CASES)
async def test_a_provider_that_breaks(
    rig: Rig, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    case, number = CASES[name], 0
    for dialect in PATHS:
        for stream in (False, True):
            number += 1
            async with FaultyProvider(case.behaviour).running() as provider:
                scene = await open_scene(rig, caplog, number, provider.url)
                told = case.stream if stream else case.whole
                response = await scene.ask(dialect, stream=stream)
                await check(response, dialect, told)
                assert scene.resting() == case.resting
                if case.retry_after_s is not None:
                    assert int(response.headers["retry-after"]) in (
                        case.retry_after_s,
                        case.retry_after_s - 1,
                    )
                if not case.resting:
                    await scene.ask(dialect, stream=stream)
                    assert scene.resting() == 0
                assert scene.complaints() == []


@pytest.mark.parametrize("how", ["refused", "deaf", "no TLS"])
async def test_a_provider_that_is_not_reached(
    rig: Rig, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    """Nobody saw the request, no account is to blame, and every account was tried."""
    async with AsyncExitStack() as stack:
        if how == "refused":
            url = f"http://127.0.0.1:{free_port()}"
        elif how == "deaf":
            url = f"http://127.0.0.1:{stack.enter_context(deaf_port())}"
        else:
            provider = FaultyProvider(faults.not_http)
            await stack.enter_async_context(provider.running())
            url = provider.url.replace("http://", "https://")
        scene = await open_scene(rig, caplog, 0, url)
        for dialect in PATHS:
            for stream in (False, True):
                response = await scene.ask(dialect, stream=stream)
                await check(response, dialect, BROKEN)
        assert scene.resting() == 0
        assert scene.complaints() == []
