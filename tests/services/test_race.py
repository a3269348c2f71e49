"""The first answer serves; whatever else was begun is broken off and given back."""

import asyncio
from collections.abc import Callable

import pytest

from models.errors import ErrorKind, GatewayError, NoCapacity, UpstreamError
from services.race import first_of, hedged
from services.reply import Reply
from tests.waiting import until


class Contender:
    """Answers, fails or hangs when it is told to, and knows how it ended."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.began = asyncio.Event()
        self.outcome: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.was_cancelled = False
        self.closed = 0

    async def __call__(self) -> Reply:
        self.began.set()
        try:
            return await self.outcome
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise

    def answer(self) -> None:
        self.outcome.set_result(Reply(self.name.encode(), finish=self._close))

    def fail(self, error: Exception) -> None:
        self.outcome.set_exception(error)

    def _close(self) -> None:
        self.closed += 1


def told(status: int) -> UpstreamError:
    return UpstreamError("no", upstream_status=status)


async def test_the_first_with_an_answer_serves_and_the_others_are_broken_off() -> None:
    slow, quick, late = Contender("slow"), Contender("quick"), Contender("late")
    race = asyncio.create_task(first_of([slow, quick, late]))
    await asyncio.gather(slow.began.wait(), quick.began.wait(), late.began.wait())
    quick.answer()
    reply = await race
    assert reply.body == b"quick"
    assert (slow.was_cancelled, late.was_cancelled) == (True, True)
    assert quick.closed == 0


async def test_two_that_answer_at_once_are_not_both_kept() -> None:
    one, two = Contender("one"), Contender("two")
    race = asyncio.create_task(first_of([one, two]))
    await asyncio.gather(one.began.wait(), two.began.wait())
    one.answer()
    two.answer()
    reply = await race
    loser = two if reply.body == b"one" else one
    winner = one if loser is two else two
    assert (winner.closed, loser.closed) == (0, 1)


async def test_one_that_fails_leaves_the_race_to_the_others() -> None:
    one, two = Contender("one"), Contender("two")
    race = asyncio.create_task(first_of([one, two]))
    await one.began.wait()
    one.fail(told(500))
    await asyncio.sleep(0)
    two.answer()
    assert (await race).body == b"two"


async def test_when_all_fail_the_most_telling_failure_is_raised() -> None:
    one, two, three = Contender("one"), Contender("two"), Contender("three")
    one.fail(NoCapacity("nobody"))
    two.fail(told(529))
    three.fail(UpstreamError("connect"))
    with pytest.raises(UpstreamError) as caught:
        await first_of([one, two, three])
    assert caught.value.upstream_status == 529


async def test_a_fault_of_ours_is_not_taken_for_a_refusal() -> None:
    one, two = Contender("one"), Contender("two")
    one.fail(ZeroDivisionError())
    two.fail(told(500))
    with pytest.raises(ZeroDivisionError):
        await first_of([one, two])


async def test_a_client_that_leaves_breaks_every_contender_off() -> None:
    one, two = Contender("one"), Contender("two")
    race = asyncio.create_task(first_of([one, two]))
    await asyncio.gather(one.began.wait(), two.began.wait())
    race.cancel()
    with pytest.raises(asyncio.CancelledError):
        await race
    assert (one.was_cancelled, two.was_cancelled) == (True, True)


class Lingering(Contender):
    """Takes its time to end when it is broken off."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.may_end = asyncio.Event()

    async def __call__(self) -> Reply:
        try:
            return await super().__call__()
        except asyncio.CancelledError:
            await self.may_end.wait()
            raise


async def test_a_client_that_leaves_after_the_first_answer_came_leaves_none_behind() -> None:
    """It leaves while the losers are broken off: the winner's answer is given back, too."""
    winner, loser = Contender("winner"), Lingering("loser")
    race = asyncio.create_task(first_of([winner, loser]))
    await loser.began.wait()
    winner.answer()
    await until(lambda: loser.was_cancelled)
    race.cancel()
    await until(lambda: winner.closed == 1)
    loser.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await race
    assert winner.closed == 1


class Stubborn(Contender):
    """Has its answer in spite of being broken off."""

    async def __call__(self) -> Reply:
        try:
            return await super().__call__()
        except asyncio.CancelledError:
            return await super().__call__()


@pytest.mark.parametrize("times", [1, 2])
async def test_an_answer_that_comes_after_the_client_has_left_is_given_back(times: int) -> None:
    stubborn, other = Stubborn("stubborn"), Contender("other")
    stubborn.outcome = asyncio.get_running_loop().create_future()
    race = asyncio.create_task(first_of([stubborn, other]))
    await other.began.wait()
    inner, stubborn.outcome = stubborn.outcome, asyncio.get_running_loop().create_future()
    for _ in range(times):
        race.cancel()
        await until(lambda: other.was_cancelled)
        await asyncio.sleep(0)
    stubborn.answer()
    with pytest.raises(asyncio.CancelledError):
        await race
    await until(lambda: stubborn.closed == 1)
    assert inner.cancelled()


async def test_one_that_is_cancelled_by_itself_leaves_the_race_to_the_others() -> None:
    one, two = Contender("one"), Contender("two")
    race = asyncio.create_task(first_of([one, two]))
    await two.began.wait()
    one.outcome.cancel()
    await until(lambda: one.was_cancelled)
    await asyncio.sleep(0)
    two.answer()
    assert (await race).body == b"two"


# --- hedging ---


def after(contender: Contender | None) -> Callable[[], "asyncio.Future[Contender | None]"]:
    """Return what hands the second contender out, as the pool does."""

    def second() -> "asyncio.Future[Contender | None]":
        found: asyncio.Future[Contender | None] = asyncio.get_running_loop().create_future()
        found.set_result(contender)
        return found

    return second


async def test_a_quick_answer_is_never_asked_for_twice() -> None:
    one, two = Contender("one"), Contender("two")
    one.answer()
    assert (await hedged(one, after(two), 60.0)).body == b"one"
    assert not two.began.is_set()


async def test_a_slow_one_gets_a_second_and_whoever_is_first_serves() -> None:
    one, two = Contender("one"), Contender("two")
    race = asyncio.create_task(hedged(one, after(two), 0.001))
    await two.began.wait()
    two.answer()
    assert (await race).body == b"two"
    assert one.was_cancelled


async def test_without_a_second_the_slow_one_serves_alone() -> None:
    one = Contender("one")
    race = asyncio.create_task(hedged(one, after(None), 0.001))
    await asyncio.sleep(0.01)
    one.answer()
    assert (await race).body == b"one"


async def test_a_failure_before_the_second_began_is_the_failure() -> None:
    one, two = Contender("one"), Contender("two")
    one.fail(GatewayError("no", kind=ErrorKind.UPSTREAM))
    with pytest.raises(GatewayError, match="no"):
        await hedged(one, after(two), 60.0)
    assert not two.began.is_set()


async def test_a_client_that_leaves_while_the_first_is_slow_breaks_it_off() -> None:
    one = Contender("one")
    race = asyncio.create_task(hedged(one, after(None), 60.0))
    await one.began.wait()
    race.cancel()
    with pytest.raises(asyncio.CancelledError):
        await race
    assert one.was_cancelled
