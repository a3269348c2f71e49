"""Redis killed, frozen, restarted, refusing: nobody waits long, and nobody gets an error."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
import uvloop
from redis import Redis

from benchmarks.certificate import make
from repositories.base import SharedState
from repositories.shared import open_shared
from tests.fakes.private_servers import PrivateRedis, free_port, private_redis

TIMEOUT_S = 0.25
PAUSE_S = 0.3
# Two timeouts by contract of the lane, and what a busy machine adds.
BOUND_S = 2 * TIMEOUT_S + 1.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PrivateRedis]:
    with private_redis(tmp_path) as redis:
        yield redis


@pytest.fixture
async def state(server: PrivateRedis) -> AsyncIterator[SharedState]:
    async with open_shared(server.url, timeout_s=TIMEOUT_S, breaker_pause_s=PAUSE_S) as opened:
        assert opened.is_available
        yield opened


def _breaks(server: PrivateRedis) -> dict[str, tuple[Callable[[], None], Callable[[], None]]]:
    return {"killed": (server.kill, server.start), "frozen": (server.freeze, server.thaw)}


async def _in_time(call: Awaitable[object]) -> object:
    began = time.monotonic()
    result = await call
    assert time.monotonic() - began < BOUND_S
    return result


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_every_call_returns_in_time_and_counting_goes_on(
    server: PrivateRedis, state: SharedState, how: str
) -> None:
    break_it, mend_it = _breaks(server)[how]
    assert [await state.increment("rr") for _ in range(5)] == [1, 2, 3, 4, 5]
    await state.put("k", b"1", 60)

    await asyncio.to_thread(break_it)
    calls = [state.increment("rr") for _ in range(100)]
    numbers = await asyncio.gather(*(_in_time(call) for call in calls))
    assert sorted(map(int, map(str, numbers))) == list(range(6, 106))
    assert not state.is_available
    assert await _in_time(state.increment("rr")) == 106
    assert await _in_time(state.get("k")) is None
    assert await _in_time(state.read_counts(["a", "b"])) == [0, 0]
    await _in_time(state.put("k", b"2", 60))
    await _in_time(state.delete("k"))
    await _in_time(state.count_today({"a": 1}, now=time.time()))
    await _in_time(state.publish("c", b"1"))

    await asyncio.to_thread(mend_it)
    await _until(lambda: state.is_available)
    await state.put("k", b"3", 60)
    assert await state.get("k") == b"3"
    before = await state.increment("rr")
    assert await state.increment("rr") == before + 1


async def test_while_redis_is_away_nobody_waits_for_it(
    server: PrivateRedis, state: SharedState
) -> None:
    """Not even for the probe: with the breaker open, 200 calls take less than one timeout."""
    server.freeze()
    await state.increment("rr")
    began = time.monotonic()
    for _ in range(200):
        await state.increment("rr")
        assert await state.get("k") is None
        await asyncio.sleep(0)
    assert time.monotonic() - began < TIMEOUT_S


async def test_a_restart_between_two_calls_costs_no_number(
    server: PrivateRedis, state: SharedState
) -> None:
    """The connection died while idle: noticed before the next call is sent."""
    await state.increment("rr")
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    with Redis.from_url(server.url) as client:
        client.set("rr", 41)
    assert await state.increment("rr") == 42
    assert state.is_available


async def test_a_redis_that_is_away_at_the_start_is_taken_up_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = PrivateRedis(tmp_path)
    began = time.monotonic()
    async with open_shared(server.url, timeout_s=TIMEOUT_S, breaker_pause_s=PAUSE_S) as state:
        assert time.monotonic() - began < 1 + BOUND_S
        assert not state.is_available
        assert await state.increment("rr") == 1
        try:
            with caplog.at_level(logging.INFO):
                await asyncio.to_thread(server.start)
                await _until(lambda: state.is_available)
            await state.put("k", b"1", 60)
            assert await state.get("k") == b"1"
        finally:
            await asyncio.to_thread(server.stop)
    assert "shared state is back" in [record.message for record in caplog.records]


async def test_a_subscription_hears_again_after_an_outage(
    server: PrivateRedis, state: SharedState
) -> None:
    async with aclosing(state.subscribe("news")) as listener:
        for _ in range(2):
            waiting = asyncio.ensure_future(anext(listener))
            async with asyncio.timeout(20):
                while not waiting.done():
                    await state.publish("news", b"hello")
                    await asyncio.wait([waiting], timeout=0.02)
            assert waiting.result() == b"hello"
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)


async def test_a_refused_command_is_no_outage(
    server: PrivateRedis, state: SharedState, caplog: pytest.LogCaptureFixture
) -> None:
    """A key of another type, memory used up: the caller goes on with its own number."""
    with Redis.from_url(server.url) as client:
        client.rpush("list", "x")
        assert await asyncio.gather(*map(state.increment, ["list", "good"])) == [1, 1]
        assert await state.increment("list") == 2
        assert await state.get("list") is None
        client.config_set("maxmemory", "1")
        client.config_set("maxmemory-policy", "noeviction")
        assert await state.increment("good") == 2
        await state.put("k", b"1", 60)
        await state.count_today({"a": 1}, now=time.time())
        client.config_set("maxmemory", "0")
    assert await state.increment("good") == 2
    assert state.is_available
    assert [record.message for record in caplog.records] == ["shared state refused a command"]


async def test_redis_by_unix_socket(server: PrivateRedis) -> None:
    async with open_shared(server.unix_url) as state:
        assert [await state.increment("a"), await state.increment("a")] == [1, 2]
    with Redis.from_url(server.url, db=1) as client:
        assert client.get("a") == b"2"


async def test_redis_by_tls(tmp_path: Path) -> None:
    certificate, key = make(tmp_path, "127.0.0.1")
    port = free_port()
    options = {
        "tls-port": str(port),
        "tls-cert-file": str(certificate),
        "tls-key-file": str(key),
        "tls-auth-clients": "no",
    }
    with private_redis(tmp_path, options):
        url = f"rediss://127.0.0.1:{port}/2"
        async with open_shared(f"{url}?ssl_ca_certs={certificate}", timeout_s=5) as state:
            assert state.is_available
            assert [await state.increment("a"), await state.increment("a")] == [1, 2]
        async with open_shared(url, timeout_s=5) as state:
            assert not state.is_available, "a certificate that nobody vouches for"


async def test_a_wrong_password_is_told_and_never_shown(
    server: PrivateRedis, caplog: pytest.LogCaptureFixture
) -> None:
    with Redis.from_url(server.url) as client:
        client.config_set("requirepass", "the right one")
    url = server.url.replace("//", "//:canary-secret@")
    async with open_shared(url, breaker_pause_s=PAUSE_S) as state:
        assert not state.is_available
        assert await state.increment("a") == 1
    told = [getattr(record, "error", "") for record in caplog.records]
    assert any("password" in error for error in told)
    assert "canary-secret" not in caplog.text + str(told)
    with Redis.from_url(server.url, password="the right one") as client:
        client.config_set("requirepass", "")


async def test_settings_in_the_address_cannot_undo_the_limits(server: PrivateRedis) -> None:
    url = f"{server.url}?socket_timeout=60&retry_on_timeout=true&decode_responses=true&protocol=3"
    async with open_shared(url, timeout_s=TIMEOUT_S) as state:
        await state.put("k", b"\xff", 60)
        assert await state.get("k") == b"\xff"
        server.freeze()
        await _in_time(state.get("k"))


async def test_counters_end_a_day_after_their_last_use_and_day_counters_at_midnight(
    server: PrivateRedis, state: SharedState
) -> None:
    now = time.time()
    await state.increment("rr")
    await state.count_today({"today": 1}, now=now)
    with Redis.from_url(server.url) as client:
        assert 86_000 < client.ttl("rr") <= 86_400
        end = client.expiretime("today")
        assert end % 86_400 == 0
        assert now < end <= now + 86_400
        client.expire("rr", 5)
        await state.increment("rr")
        assert client.ttl("rr") <= 5, "renewed once an hour, not with every increment"


async def test_a_day_counter_without_an_end_gets_one(
    server: PrivateRedis, state: SharedState
) -> None:
    """As after a midnight that fell between the two commands of somebody else."""
    with Redis.from_url(server.url) as client:
        client.set("today", 5)
        await state.count_today({"today": 1}, now=time.time())
        assert client.ttl("today") > 0


async def test_increments_of_one_moment_are_one_command(
    server: PrivateRedis, state: SharedState
) -> None:
    with Redis.from_url(server.url) as client:
        await state.increment("a")
        client.config_resetstat()
        await asyncio.gather(*(state.increment(key) for key in ["a", "b"] * 100))
        calls = client.info("commandstats")["cmdstat_incrby"]["calls"]
    assert calls == 2


async def test_a_caller_that_left_before_its_turn_costs_no_number(state: SharedState) -> None:
    leaving = [asyncio.create_task(state.increment("rr")) for _ in range(10)]
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    assert await state.increment("rr") == 1


def test_a_loop_that_stood_still_does_not_count_as_a_silent_redis(server: PrivateRedis) -> None:
    """With uvloop: it looks at its timers before it looks at its sockets."""

    async def stand_still() -> None:
        async with open_shared(server.url, timeout_s=TIMEOUT_S) as state:
            await state.increment("rr")
            for number in range(2, 7):
                waiting = asyncio.create_task(state.increment("rr"))
                for _ in range(number):  # at different stages of the call
                    await asyncio.sleep(0)
                time.sleep(TIMEOUT_S + 0.1)  # noqa: ASYNC251 - as a long garbage collection would
                assert await waiting == number
            assert state.is_available

    uvloop.run(stand_still())
    with Redis.from_url(server.url) as client:
        assert client.get("rr") == b"6"
