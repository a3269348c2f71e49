"""F-05: what clients get when a provider breaks, in every way it can, and who pays for it.

Of every way: nobody can serve, or one account is ill and the other well; both formats of
clients, whole answers and streams.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.e2e.harness import Rig, open_rig
from tests.fakes.faults import FaultyProvider, deaf_port
from tests.fakes.private_servers import free_port
from tests.fakes.tls import server_context
from tests.fault import upstream_faults as faults
from tests.fault.fault_cases import ACCOUNTS, CASES, FAILED, FINE, NOBODY, Case, Price
from tests.fault.fault_scenes import Scene, check, in_turn, open_scene
from tests.fault.live_streams import PATHS

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS: Final = {
    "AIGATEWAY_RETRY__CONNECT_TIMEOUT_S": "0.3",
    "AIGATEWAY_RETRY__ATTEMPT_TIMEOUT_S": "1.5",
    "AIGATEWAY_RETRY__STREAM_ATTEMPT_TIMEOUT_S": "1.5",
    "AIGATEWAY_RETRY__IDLE_TIMEOUT_S": "0.8",
    "AIGATEWAY_RETRY__PING_AFTER_S": "0.2",
    "AIGATEWAY_RETRY__MAX_RESPONSE_BYTES": "4000000",
    # Many rows fail within moments: what they repeat has its tests elsewhere.
    "AIGATEWAY_RETRY__BUDGET_MIN_PER_S": "10000",
    # Two calls, both failed: that shows whether a failure is counted.
    "AIGATEWAY_BREAKER__FAILURES": "2",
    "AIGATEWAY_BREAKER__RATIO": "1",
}
WAYS: Final = [(dialect, stream) for dialect in PATHS for stream in (False, True)]


@pytest.fixture(scope="module", autouse=True)
def bombs() -> None:
    faults.load_bombs()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path_factory.mktemp("faults"), SETTINGS) as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_complaints(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a provider does, it is no fault of ours."""
    yield
    complaints = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in complaints] == []


# --- everybody is ill -------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
async def test_when_no_account_can_serve_the_client_is_told_and_nobody_is_wronged(
    rig: Rig, name: str
) -> None:
    case = CASES[name]
    looks = [partial(_everybody_ill, rig, case, dialect, stream=stream) for dialect, stream in WAYS]
    await _look(looks, case)


async def _everybody_ill(rig: Rig, case: Case, dialect: str, *, stream: bool) -> None:
    told, price = case.told(dialect, stream=stream), case.paid(dialect, stream=stream)
    async with FaultyProvider(case.behaviour).running() as provider:
        scene = await open_scene(rig, provider.url)
        calls = told.attempts + (case.calls - 1 if told.attempts > 1 else 0)
        # Twice where one request makes one call: the breaker opens at the second.
        for _ in range(ACCOUNTS // told.attempts):
            asked = await scene.ask(dialect, stream=stream)
            check(asked, dialect, told)
            assert [call["blame"] for call in asked.attempts] == (
                [price.blame] * calls if price else [None]
            )
            assert all(call["sent"] for call in asked.attempts)
            if case.retry_after_s is not None:
                wait_s = int(asked.response.headers["retry-after"])
                assert wait_s in (case.retry_after_s, case.retry_after_s - 1)
        assert len(provider.requests) == ACCOUNTS // told.attempts * calls
        assert await scene.rests() == _all_rest(price)


def _all_rest(price: Price | None) -> dict[str, str]:
    """What everybody meets is nobody's own: then the provider is left alone, else each rests."""
    if price is None or price.scope is None:
        return {}
    if price.counts:
        return {"provider": "*"}
    return {f"key-{number}": price.scope for number in range(ACCOUNTS)}


# --- one is ill -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.price])
async def test_when_one_account_is_ill_the_other_serves_and_only_the_ill_one_pays(
    rig: Rig, name: str
) -> None:
    case = CASES[name]
    prices = {stream: case.paid("messages", stream=stream) for stream in (False, True)}
    looks = [
        partial(_one_ill, rig, case, price, stream=stream)
        for stream, price in prices.items()
        if price is not None
    ]
    await _look(looks, case)


async def _one_ill(rig: Rig, case: Case, price: Price, *, stream: bool) -> None:
    told = case.told("messages", stream=stream)
    # What began, or what the request itself is to blame for, no other account can mend.
    alone = told if told.attempts == 1 else replace(FINE, attempts=ACCOUNTS)
    async with FaultyProvider(faults.ill_for("key-0", case.behaviour)).running() as provider:
        scene = await open_scene(rig, provider.url)
        for _ in range(price.after):
            assert await scene.rests() == {}
            for met in in_turn(scene, alone, FINE):
                check(await scene.ask("messages", stream=stream), "messages", met)
        assert await scene.rests() == ({"key-0": price.scope} if price.scope else {})
        if price.scope is not None:
            before = _calls_of(provider, "key-0")
            for _ in range(ACCOUNTS):
                check(await scene.ask("messages", stream=stream), "messages", FINE)
            assert _calls_of(provider, "key-0") == before == price.after * case.calls


def _calls_of(provider: FaultyProvider, key: str) -> int:
    return sum(key.encode() in head for head in provider.requests)


async def _look(looks: Sequence[Callable[[], Coroutine[None, None, None]]], case: Case) -> None:
    """Take looks at a case, all at once where that goes."""
    limit = asyncio.Semaphore(1 if case.is_heavy else len(looks))

    async def take(look: Callable[[], Coroutine[None, None, None]]) -> None:
        async with limit:
            await look()

    async with asyncio.TaskGroup() as group:
        for look in looks:
            group.create_task(take(look))


# --- no connection ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how", ["refused", "deaf", "no TLS", "a stranger's certificate", "no such name", "no answer"]
)
async def test_a_provider_that_is_not_reached_has_seen_nothing_and_no_account_is_to_blame(
    rig: Rig, tmp_path: Path, how: str
) -> None:
    async with AsyncExitStack() as stack:
        url = await _unreachable(stack, tmp_path, how)
        scenes = {way: await open_scene(rig, url) for way in WAYS}
        with names_unknown(hangs=how == "no answer"):
            async with asyncio.TaskGroup() as group:
                for way, scene in scenes.items():
                    group.create_task(_not_reached(scene, *way))


async def _not_reached(scene: Scene, dialect: str, stream: bool) -> None:
    asked = await scene.ask(dialect, stream=stream)
    check(asked, dialect, FAILED)
    assert [(call["sent"], call["status"], call["blame"]) for call in asked.attempts] == (
        [(False, None, NOBODY.blame)] * ACCOUNTS
    )
    assert await scene.rests() == {"provider": "*"}


async def _unreachable(stack: AsyncExitStack, folder: Path, how: str) -> str:
    match how:
        case "refused":
            return f"http://127.0.0.1:{free_port()}"
        case "deaf":
            return f"http://127.0.0.1:{stack.enter_context(deaf_port())}"
        case "no TLS":
            provider = FaultyProvider(faults.not_http)
            await stack.enter_async_context(provider.running())
            return provider.url.replace("http://", "https://")
        case "a stranger's certificate":
            context = server_context(folder, "somebody.example")
            server = await asyncio.start_server(
                lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context
            )
            stack.callback(server.close)
            return f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        case _:
            return "http://provider.invalid"


@contextmanager
def names_unknown(*, hangs: bool) -> Iterator[None]:
    """Names of the kind that is reserved for it are known to nobody, or nobody says a word."""
    over, known = threading.Event(), socket.getaddrinfo

    def find(host: str, *args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - as it is called
        if not str(host).endswith(".invalid"):
            return known(host, *args, **kwargs)
        if hangs:
            over.wait(30)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", find)
        try:
            yield
        finally:
            over.set()
