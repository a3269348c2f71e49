"""What every kind of shared state promises."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from repositories.base import SharedState
from repositories.shared import open_shared


@pytest.fixture(params=["memory", "redis"])
async def state(request: pytest.FixtureRequest) -> AsyncIterator[SharedState]:
    url = "" if request.param == "memory" else str(request.getfixturevalue("redis_url"))
    async with open_shared(url, timeout_s=5) as opened:
        assert opened.mode == request.param
        yield opened


async def test_increments_count_from_one(state: SharedState) -> None:
    assert [await state.increment("a") for _ in range(3)] == [1, 2, 3]
    assert await state.increment("a", 10) == 13
    assert await state.increment("b") == 1


async def test_every_caller_of_one_moment_gets_a_number_of_its_own(state: SharedState) -> None:
    numbers = await asyncio.gather(*(state.increment("a") for _ in range(500)))
    assert numbers == list(range(1, 501))


async def test_numbers_of_different_keys_do_not_mix(state: SharedState) -> None:
    keys = [f"k{n % 7}" for n in range(700)]
    numbers = await asyncio.gather(*(state.increment(key, 2) for key in keys))
    for key in set(keys):
        got = [number for of, number in zip(keys, numbers, strict=True) if of == key]
        assert got == list(range(2, 202, 2))


async def test_a_cancelled_caller_takes_nobody_elses_number(state: SharedState) -> None:
    """Whoever is left gets different numbers, and the next one is higher than all of them."""
    numbers: list[int] = []
    for round_ in range(50):
        tasks = [asyncio.create_task(state.increment("a")) for _ in range(10)]
        for _ in range(round_ % 4):
            await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        numbers += [number for number in done if isinstance(number, int)]
    assert len(numbers) >= 50 * 6
    assert len(set(numbers)) == len(numbers)
    assert await state.increment("a") > max(numbers)


async def test_a_counter_can_be_looked_at_without_raising_it(state: SharedState) -> None:
    assert await state.get("a") is None
    await state.increment("a", 7)
    assert [await state.get("a") for _ in range(2)] == [b"7", b"7"]
    assert await state.increment("a") == 8


async def test_a_value_is_kept_until_its_end(state: SharedState) -> None:
    assert await state.get("k") is None
    await state.put("k", b"\x00\xffvalue", 60)
    await state.put("short", b"1", 0.05)
    assert await state.get("k") == b"\x00\xffvalue"
    await asyncio.sleep(0.1)
    assert await state.get("short") is None
    assert await state.get("k") == b"\x00\xffvalue"


async def test_a_value_can_be_replaced_and_deleted(state: SharedState) -> None:
    await state.put("k", b"1", 60)
    await state.put("k", b"2", 60)
    assert await state.get("k") == b"2"
    await state.delete("k")
    await state.delete("never there")
    assert await state.get("k") is None


@pytest.mark.parametrize("ttl_s", [0, -5])
async def test_a_value_without_life_left_is_not_kept(state: SharedState, ttl_s: float) -> None:
    await state.put("k", b"1", 60)
    await state.put("k", b"2", ttl_s)
    assert await state.get("k") is None


async def test_day_counters_add_up(state: SharedState) -> None:
    now = time.time()
    await state.count_today({"a": 2, "b": 1}, now=now)
    await state.count_today({"a": 3}, now=now)
    await state.count_today({}, now=now)
    assert await state.read_counts(["b", "a", "unknown"]) == [1, 5, 0]
    assert await state.read_counts([]) == []


async def test_day_counters_end_with_their_day(state: SharedState) -> None:
    await state.count_today({"a": 2}, now=time.time() - 2 * 86_400)
    assert await state.read_counts(["a"]) == [0]
    await state.count_today({"a": 3}, now=time.time())
    assert await state.read_counts(["a"]) == [3]


async def test_one_caller_wins_a_claim_until_it_ends(state: SharedState) -> None:
    claims = await asyncio.gather(*(state.claim("trial", 0.9) for _ in range(20)))
    assert sorted(claims) == [False] * 19 + [True]
    assert await state.claim("another", 60)
    await asyncio.sleep(1)
    assert await state.claim("trial", 60)


async def test_the_first_to_bind_decides_for_everybody(state: SharedState) -> None:
    values = [b"account %d" % number for number in range(20)]
    found = await asyncio.gather(*(state.bind("conversation", value, 60) for value in values))
    assert set(found) == {found[0]}
    assert await state.get("conversation") == found[0]
    assert await state.bind("other", b"\x00\xff", 60) == b"\x00\xff"


async def test_what_is_touched_lives_on(state: SharedState) -> None:
    await state.put("kept", b"1", 0.9)
    await state.put("left", b"1", 0.9)
    await state.touch("kept", 60)
    await state.touch("never there", 60)
    await asyncio.sleep(1)
    assert await state.get("kept") == b"1"
    assert await state.get("left") is None
    assert await state.get("never there") is None


async def test_a_field_only_rises(state: SharedState) -> None:
    assert await state.fields("rests") == {}
    assert await state.raise_field("rests", "a|*", 1_795_132_800.25, b"first\n\x00")
    assert not await state.raise_field("rests", "a|*", 1_795_132_800.25, b"equal")
    assert not await state.raise_field("rests", "a|*", 5, b"lower")
    assert await state.raise_field("rests", "b|*", -1.5, b"")
    assert await state.fields("rests") == {"a|*": b"first\n\x00", "b|*": b""}
    assert await state.raise_field("rests", "a|*", 1_795_132_800.5, b"higher")
    await state.drop_field("rests", "b|*")
    await state.drop_field("rests", "never there")
    assert await state.fields("rests") == {"a|*": b"higher"}
    await state.drop_field("rests", "a|*")
    assert await state.raise_field("rests", "a|*", 1, b"anew")


async def test_an_account_has_as_many_places_as_it_may(state: SharedState) -> None:
    taken = await asyncio.gather(*(state.take_slot("a", f"r{n}", 3, 60) for n in range(10)))
    assert taken == [1, 2, 3, *[0] * 7]
    assert await state.take_slot("b", "r0", 1, 60) == 1
    assert await state.slots_taken(["b", "never there", "a"]) == [1, 0, 3]
    await state.free_slot("a", "r1")
    await state.free_slot("a", "r9 had none")
    assert await state.slots_taken(["a"]) == [2]
    assert await state.take_slot("a", "r10", 3, 60) == 3
    assert await state.take_slot("a", "r11", 3, 60) == 0


async def test_whoever_has_a_place_takes_no_second_one(state: SharedState) -> None:
    assert [await state.take_slot("a", "r", 2, 60) for _ in range(3)] == [1, 1, 1]


async def test_a_lower_limit_lets_nobody_in_until_enough_have_left(state: SharedState) -> None:
    for holder in "xyz":
        await state.take_slot("a", holder, 3, 60)
    assert await state.take_slot("a", "new", 1, 60) == 0
    await state.free_slot("a", "x")
    await state.free_slot("a", "y")
    assert await state.take_slot("a", "new", 1, 60) == 0
    await state.free_slot("a", "z")
    assert await state.take_slot("a", "new", 1, 60) == 1


async def test_a_place_that_nobody_renews_ends(state: SharedState) -> None:
    assert await state.take_slot("a", "kept", 2, 0.9) == 1
    assert await state.take_slot("a", "left", 2, 0.9) == 2
    for _ in range(4):
        await asyncio.sleep(0.3)
        await state.renew_slots([("a", "kept")], 0.9)
    assert await state.slots_taken(["a"]) == [1]
    assert await state.take_slot("a", "new", 2, 60) == 2
    assert await state.take_slot("a", "newer", 2, 60) == 0


async def test_a_place_that_ran_out_is_taken_again_by_renewing(state: SharedState) -> None:
    """Beyond the limit if it must be: the request is under way."""
    assert await state.take_slot("a", "slow", 1, 0.05) == 1
    await asyncio.sleep(0.1)
    assert await state.take_slot("a", "next", 1, 60) == 1
    await state.renew_slots([("a", "slow"), ("b", "other")], 60)
    assert await state.slots_taken(["a", "b"]) == [2, 1]
    await state.renew_slots([], 60)


async def test_listeners_hear_what_is_published_in_order(
    state: SharedState, redis_prefix: str
) -> None:
    channel = f"{redis_prefix}news"
    async with aclosing(state.subscribe(channel)) as one, aclosing(state.subscribe(channel)) as two:
        for listener in (one, two):
            await _tune_in(state, channel, listener)
        await state.publish(f"{redis_prefix}other", b"not for us")
        for number in range(20):
            await state.publish(channel, b"%d" % number)
        for listener in (one, two):
            heard = [await _next(listener) for _ in range(20)]
            assert heard == [b"%d" % number for number in range(20)]


async def test_publishing_to_nobody_is_no_error(state: SharedState, redis_prefix: str) -> None:
    await state.publish(f"{redis_prefix}nobody", b"hello")


async def test_closing_ends_the_subscriptions(state: SharedState, redis_prefix: str) -> None:
    listener = state.subscribe(f"{redis_prefix}news")
    waiting = asyncio.create_task(anext(listener, None))
    await asyncio.sleep(0.05)
    await state.aclose()
    async with asyncio.timeout(5):
        assert await waiting is None


async def test_after_closing_calls_still_return(state: SharedState) -> None:
    await state.increment("a")
    await state.aclose()
    assert await state.increment("a") == 2
    await state.put("k", b"1", 60)
    await state.publish("c", b"1")
    assert await state.read_counts(["a"]) == [0]


async def _tune_in(state: SharedState, channel: str, listener: AsyncIterator[bytes]) -> None:
    """Publish until the listener hears it: a subscription takes a moment."""
    waiting = asyncio.ensure_future(anext(listener))
    async with asyncio.timeout(10):
        while not waiting.done():
            await state.publish(channel, b"tune in")
            await asyncio.wait([waiting], timeout=0.02)
        await state.publish(channel, b"tuned in")
        while waiting.result() != b"tuned in":
            waiting = asyncio.ensure_future(anext(listener))
            await waiting


async def _next(listener: AsyncIterator[bytes]) -> bytes:
    """The next message that does not belong to the tuning in of another listener."""
    async with asyncio.timeout(10):
        async for message in listener:
            if not message.startswith(b"tune"):
                return message
    raise AssertionError("the subscription ended")
