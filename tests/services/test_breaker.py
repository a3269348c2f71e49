"""A provider that fails for everybody is left alone for a moment, and tried by one request."""

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import (
    Blame,
    ConnectFailed,
    ConnectionLost,
    ErrorKind,
    NoCapacity,
    UpstreamError,
)
from models.rest import Rest
from repositories.shared_memory import MemoryState
from services.breaker import Breaker, Thresholds, origin
from tests.fakes.clock import FakeClock
from tests.services.resting_rig import (
    PROVIDER,
    Desk,
    broken,
    cut,
    limited,
    overloaded,
    rejected,
    silent,
    unreachable,
    used_up,
)

HERE = origin(PROVIDER.id, "https://api.example.com")
THERE = origin(PROVIDER.id, "https://eu.example.com")


@dataclass
class House:
    """Replicas with one shared state; what begins or ends on one is told to the others."""

    clock: FakeClock = field(default_factory=FakeClock)
    replicas: int = 1

    def __post_init__(self) -> None:
        shared = MemoryState(self.clock)
        self.desks = [Desk(self.clock, shared) for _ in range(self.replicas)]
        self.breakers = [Breaker(desk.cooldowns, self.clock, Thresholds()) for desk in self.desks]

    @property
    def breaker(self) -> Breaker:
        return self.breakers[0]

    @property
    def desk(self) -> Desk:
        return self.desks[0]

    def fail(self, times: int = 10, error: UpstreamError | None = None) -> None:
        for _ in range(times):
            self.breaker.saw(HERE, error or overloaded())

    def state(self, subject: str = HERE) -> str:
        rest = self.desk.cooldowns.found(subject, ("*",), self.clock.now())
        if rest is None:
            return "closed"
        return "open" if self.breaker.is_open(subject, self.clock.now()) else "half-open"

    def rest(self) -> Rest:
        rest = self.desk.cooldowns.found(HERE, ("*",), self.clock.now())
        assert rest is not None
        return rest


@pytest.fixture
def house() -> House:
    return House()


async def admitted(breaker: Breaker, subject: str = HERE) -> bool:
    try:
        await breaker.admit(subject)
    except NoCapacity:
        return False
    return True


async def test_it_opens_after_ten_failures_within_its_window(house: House) -> None:
    house.fail(9)
    assert (house.state(), await admitted(house.breaker)) == ("closed", True)
    house.fail(1)
    assert (house.state(), await admitted(house.breaker)) == ("open", False)
    assert house.rest().evidence == "10 of 10 calls failed in 10 s"


async def test_failures_of_long_ago_do_not_count(house: House) -> None:
    for _ in range(50):
        house.fail(1)
        house.clock.advance(1.2)
    assert house.state() == "closed"


def test_a_provider_that_fails_less_than_half_the_time_stays_closed(house: House) -> None:
    for _ in range(100):
        house.fail(1)
        house.breaker.saw(HERE, None)
        house.breaker.saw(HERE, None)
    assert house.state() == "closed"


@pytest.mark.parametrize(
    "error", [overloaded(), broken(), silent(), cut(), ConnectionLost("lost")], ids=lambda e: e.code
)
def test_failures_of_the_provider_count(house: House, error: UpstreamError) -> None:
    house.fail(10, error)
    assert house.state() == "open"


def test_a_connection_that_does_not_come_about_counts(house: House) -> None:
    house.fail(10, ConnectFailed("no connection", blame=Blame.PROVIDER))
    assert house.state() == "open"


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(limited(), id="429"),
        pytest.param(used_up(60), id="window"),
        pytest.param(rejected(), id="401"),
        pytest.param(
            UpstreamError("x", blame=Blame.REQUEST, kind=ErrorKind.INVALID_REQUEST), id="400"
        ),
        pytest.param(unreachable(), id="proxy"),
    ],
)
def test_what_is_not_the_providers_failure_does_not_count(
    house: House, error: UpstreamError
) -> None:
    house.fail(100, error)
    assert house.state() == "closed"


def test_answers_of_any_kind_show_that_the_provider_lives_but_a_dead_proxy_does_not(
    house: House,
) -> None:
    house.fail(30, limited())
    house.fail(20)
    assert house.state() == "closed"
    house.clock.advance(11)
    house.fail(30, unreachable())
    house.fail(10)
    assert house.state() == "open"


async def test_while_it_is_open_requests_are_told_when_to_come_back(house: House) -> None:
    house.fail()
    house.fail(4)
    with pytest.raises(NoCapacity) as refusal:
        await house.breaker.admit(HERE)
    assert refusal.value.status == 503
    assert refusal.value.retry_after_s == pytest.approx(2)
    assert refusal.value.details == {"reasons": {"breaker_open": 1}}


async def test_other_addresses_of_the_provider_are_asked_on(house: House) -> None:
    house.fail()
    assert (await admitted(house.breaker, THERE), house.state(THERE)) == (True, "closed")


async def test_after_the_pause_one_request_tries_and_pauses_double_to_eight_seconds(
    house: House,
) -> None:
    house.fail()
    pauses = []
    for _ in range(5):
        pauses.append(round(house.rest().until - house.clock.now(), 3))
        house.clock.time = house.rest().until
        assert house.state() == "half-open"
        tries = await asyncio.gather(*(admitted(house.breaker) for _ in range(20)))
        assert sum(tries) == 1
        house.fail(1)
        assert house.state() == "open"
    assert pauses == [2, 4, 8, 8, 8]


async def test_a_trial_that_succeeds_closes_it_and_nothing_of_before_counts(house: House) -> None:
    house.fail()
    house.clock.advance(2)
    assert await admitted(house.breaker)
    house.breaker.saw(HERE, None)
    assert house.state() == "closed"
    house.fail(9)
    assert house.state() == "closed"


def test_answers_to_requests_from_before_do_not_close_it(house: House) -> None:
    house.fail()
    house.breaker.saw(HERE, None)
    assert house.state() == "open"


async def test_a_trial_that_says_something_of_the_request_closes_it_too(house: House) -> None:
    house.fail()
    house.clock.advance(2)
    assert await admitted(house.breaker)
    house.breaker.saw(HERE, limited())
    assert house.state() == "closed"


async def test_one_replica_opens_it_and_one_request_of_all_tries() -> None:
    house = House(replicas=3)
    house.fail()
    for desk in house.desks[1:]:
        desk.cooldowns.take(house.rest())
    assert [await admitted(breaker) for breaker in house.breakers] == [False] * 3
    house.clock.advance(2)
    tries = [admitted(breaker) for breaker in house.breakers for _ in range(10)]
    assert sum(await asyncio.gather(*tries)) == 1


def test_when_it_opens_the_accounts_are_well_again(house: House) -> None:
    house.desk.failed(overloaded(), "acc-1")
    house.desk.failed(limited(retry_after_s=60), "acc-2")
    assert house.desk.is_benched("acc-1")
    house.fail()
    assert not house.desk.is_benched("acc-1")
    assert house.desk.is_benched("acc-2")


def test_while_it_is_not_closed_no_account_is_benched_for_the_provider(house: House) -> None:
    house.fail()
    for state in ("open", "half-open"):
        assert house.state() == state
        for _ in range(5):
            assert house.desk.failed(overloaded(), "acc-1") is None
        assert house.desk.failed(limited(), "acc-2") is not None
        house.clock.advance(2)


def test_many_addresses_leave_little_behind(house: House) -> None:
    for number in range(3_000):
        house.breaker.saw(origin("p", f"https://{number}.example.com"), None)
    assert len(house.breaker._counts) <= 1_024


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("fail"), st.integers(1, 12)),
            st.tuples(st.just("serve"), st.integers(1, 12)),
            st.tuples(st.just("wait"), st.floats(0.1, 15)),
            st.tuples(st.just("ask"), st.integers(1, 4)),
        ),
        max_size=60,
    )
)
def test_whatever_happens_it_is_never_open_for_long_nor_without_reason(
    steps: list[tuple[str, float]],
) -> None:
    """Never longer than the longest pause; only after enough failures; closed by a success; at
    most one request tries; and no account rests for it."""
    house, failures = House(), 0

    async def asked(times: int) -> int:
        return sum([await admitted(house.breaker) for _ in range(times)])

    for step, amount in steps:
        before = house.state()
        match step:
            case "fail":
                house.fail(int(amount))
                failures += int(amount)
                house.desk.failed(overloaded(), "acc-1")
            case "serve":
                for _ in range(int(amount)):
                    house.breaker.saw(HERE, None)
                if before == "half-open":
                    assert house.state() == "closed"
                    failures = 0
            case "wait":
                house.clock.advance(amount)
            case _:
                passed = asyncio.run(asked(int(amount)))
                expected = {"open": 0, "closed": amount}.get(before)
                assert passed == expected if expected is not None else passed <= 1
        if house.state() == "open":
            left_s = house.rest().until - house.clock.now()
            assert left_s <= Thresholds().longest_pause_s + 1e-5  # moments have microseconds
            assert failures >= Thresholds().failures
            assert not house.desk.is_benched("acc-1")


async def test_calls_that_hung_before_it_opened_do_not_shut_it_again(house: House) -> None:
    """An outage leaves calls behind that time out one by one, minutes after it is over."""
    sent_at = house.clock.now()
    house.clock.advance(1.0)
    house.fail()
    house.clock.advance(2.0)
    assert house.state() == "half-open"
    house.breaker.saw(HERE, silent(), since=sent_at)
    assert house.state() == "half-open"
    house.breaker.saw(HERE, None, since=house.clock.now())
    assert house.state() == "closed"


async def test_a_stream_from_before_that_ends_does_not_say_that_it_is_well(house: House) -> None:
    sent_at = house.clock.now()
    house.clock.advance(1.0)
    house.fail()
    house.clock.advance(2.0)
    house.breaker.saw(HERE, None, since=sent_at)
    house.breaker.began(HERE, since=sent_at)
    assert house.state() == "half-open"
    house.breaker.began(HERE, since=house.clock.now())
    assert house.state() == "closed"
