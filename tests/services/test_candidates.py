"""Who may serve is kept up to date by events, and is what a look at everybody would find."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import TypeVar, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.account import AuthType, StoredAccount, Strategy, TokenState
from models.errors import ErrorKind
from models.rest import EVERY_MODEL, Rest
from services.candidates import Candidates, Standing
from services.pauses import SHARED_FATE
from services.pool import Lease, Pool
from tests.builders import assigned, make_egress, make_snapshot, make_stored
from tests.services.pool_rig import ROUTE, House, account_id, route_of

T = TypeVar("T")

PROXIES = [make_egress(1), make_egress(2), make_egress(3, is_active=False)]
SCOPES = (EVERY_MODEL, "gpt-x", "gpt-other")
REASONS = (ErrorKind.RATE_LIMIT, ErrorKind.UPSTREAM, ErrorKind.OVERLOADED, ErrorKind.BILLING)


def naive(house: House, places: Counter[str]) -> dict[str, tuple[str, str]]:
    """How every account stands, found out by looking at all of them: id -> (shelf, reason)."""
    now, found = house.clock.now(), {}
    for stored in house.snapshot.by_provider.get("openai", ()):
        account = stored.account
        rests = [house.cooldowns.found(account.id, (EVERY_MODEL, "gpt-x"), now)]
        proxy = house.snapshot.proxies.get(account.proxy_id or "")
        if proxy is not None:
            rests.append(house.cooldowns.found(proxy.id, (EVERY_MODEL,), now))
        found[account.id] = _stands(house, stored, rests, places[account.id], now)
    return found


def _stands(
    house: House, stored: StoredAccount, rests: list[Rest | None], places: int, now: float
) -> tuple[str, str]:
    account = stored.account
    own, of_proxy = rests[0], rests[1] if len(rests) > 1 else None
    proxy = house.snapshot.proxies.get(account.proxy_id or "")
    has_way = account.goes_direct or (proxy is not None and proxy.is_active)
    full = account.max_concurrent and places >= account.max_concurrent
    if not account.is_active:
        return "barred", "inactive"
    if account.token_state is TokenState.NEEDS_REAUTH and account.auth_type is AuthType.OAUTH:
        return "barred", "needs_login"
    if not has_way:
        return "barred", "waiting_for_proxy"
    if account.models is not None and "gpt-x" not in account.models:
        return "barred", "model_not_allowed"
    if own is not None and own.opens_at > now:
        return "resting", f"cooling_{own.reason.value}"
    if of_proxy is not None and of_proxy.opens_at > now:
        is_all = own is None and not account.is_draining
        return ("quarantined" if is_all else "resting"), "proxy_down"
    there = [rest for rest in rests if rest is not None]
    if there and not account.is_draining:
        return ("ended" if all(rest.until <= now for rest in there) else "trial"), "half_open"
    if account.is_draining:
        return ("full" if full and not there else "draining"), "draining"
    return ("full", "at_limit") if full else ("well", "")


def kept(candidates: Candidates) -> dict[str, tuple[str, str]]:
    """The same, as the structure has it."""
    found = {seat.id: ("well", "") for seat in candidates.well.seats}
    for seat in candidates.roster.seats:
        spot = candidates.spot(seat)
        if spot is not None:
            assert seat.id not in found
            found[seat.id] = (spot.standing.value, spot.reason)
    return found


ACCOUNT = st.fixed_dictionaries(
    {
        "priority": st.integers(0, 2),
        "is_active": st.sampled_from([True, True, True, False]),
        "is_draining": st.sampled_from([False, False, False, True]),
        "models": st.sampled_from([None, None, ("gpt-x", "m"), ("gpt-other",)]),
        "max_concurrent": st.sampled_from([0, 0, 1, 2]),
        "weight": st.integers(1, 3),
        "token_state": st.sampled_from([TokenState.OK, TokenState.OK, TokenState.NEEDS_REAUTH]),
        "auth_type": st.sampled_from([AuthType.API_KEY, AuthType.OAUTH]),
    }
)
EVENT = st.one_of(
    st.tuples(
        st.just("rest"),
        st.integers(1, 8),
        st.integers(1, 90),
        st.sampled_from(SCOPES),
        st.sampled_from(REASONS),
        st.sampled_from([None, None, 5]),
    ),
    st.tuples(st.just("quarantine"), st.integers(0, 2), st.integers(1, 90)),
    st.tuples(st.just("release"), st.integers(1, 8), st.sampled_from(SCOPES)),
    st.tuples(st.just("succeed"), st.integers(1, 8)),
    st.tuples(st.just("pass"), st.sampled_from([0.5, 3, 20, 61, 700])),
    st.tuples(st.just("change"), st.integers(1, 8), ACCOUNT, st.integers(0, 3)),
    st.tuples(st.just("remove"), st.integers(1, 8)),
    st.tuples(st.just("begin")),
    st.tuples(st.just("end"), st.integers(0, 20)),
)


@pytest.mark.parametrize("strategy", [Strategy.ROUND_ROBIN, Strategy.LEAST_INFLIGHT])
@settings(max_examples=60)
@given(events=st.lists(EVENT, max_size=40))
async def test_after_any_events_it_is_as_if_everybody_had_been_looked_at(
    strategy: Strategy, events: list[tuple[object, ...]]
) -> None:
    house = House([], strategy=strategy)
    accounts = {number: make_stored(number) for number in range(1, 9)}
    world = World(house, accounts)
    world.show()
    async with house.kept():
        for event in events:
            await world.happen(*event)
            candidates = house.pool.candidates(ROUTE)
            assert kept(candidates) == naive(house, world.places)
            _check_counts(house, candidates, world.places)


def _check_counts(house: House, candidates: Candidates, places: Counter[str]) -> None:
    stands, now = naive(house, places), house.clock.now()
    assert +candidates.reasons == Counter(reason for _, reason in stands.values() if reason)
    assert candidates.excluded == sorted(
        one for one, (shelf, _) in stands.items() if shelf != "well"
    )
    for standing in (Standing.TRIAL, Standing.ENDED, Standing.QUARANTINED):
        shelved = {seat.id for seat in candidates.on(standing).seats}
        assert shelved == {one for one, (shelf, _) in stands.items() if shelf == standing.value}
    order = [(-seat.account.priority, seat.id) for seat in candidates.well.seats]
    assert order == sorted(order)
    walked = candidates.order.few(0, None, (), 100)
    assert sorted(seat.id for seat in walked) == sorted(seat.id for seat in candidates.well.seats)
    assert candidates.limited == sum(seat.limit > 0 for seat in candidates.well.seats)
    assert candidates.peers == sum(_is_peer(house, one, *how, now) for one, how in stands.items())


def _is_peer(house: House, account: str, shelf: str, reason: str, now: float) -> bool:
    if shelf != "resting" or not reason.startswith("cooling_"):
        return shelf in {"well", "trial", "ended"} or reason == "at_limit"
    rest = house.cooldowns.found(account, (EVERY_MODEL, "gpt-x"), now)
    return rest is not None and rest.reason in SHARED_FATE


class World:
    """What happens to a house."""

    def __init__(self, house: House, accounts: dict[int, StoredAccount]) -> None:
        self.house = house
        self.accounts = accounts
        self.leases: list[Lease] = []
        self.places: Counter[str] = Counter()
        """Of accounts, those that were taken while there was a limit."""

    def show(self) -> None:
        stored = [self.accounts[number] for number in sorted(self.accounts)]
        self.house.snapshot = make_snapshot(stored, PROXIES)

    async def happen(self, kind: object, *what: object) -> None:
        house = self.house
        match kind, what:
            case "rest", (int(number), int(seconds), str(scope), ErrorKind() as reason, trial):
                after = float(trial) if isinstance(trial, int) and trial < seconds else None
                house.rest(number, seconds, scope=scope, reason=reason, trial_after_s=after)
            case "quarantine", (int(number), int(seconds)):
                house.rest(PROXIES[number].id, seconds, reason=ErrorKind.EGRESS)
            case "release", (int(number), str(scope)):
                house.cooldowns.release(account_id(number), scope, "quota is back")
            case "succeed", (int(number),):
                house.cooldowns.succeeded(account_id(number), PROXIES[0].id, SCOPES)
            case "pass", (float(seconds) | int(seconds),):
                house.clock.advance(seconds)
            case "change", (int(number), dict(changes), int(proxy)) if number in self.accounts:
                stored = make_stored(number, **changes)
                behind = proxy < len(PROXIES)
                self.accounts[number] = assigned(stored, PROXIES[proxy]) if behind else stored
                self.show()
            case "remove", (int(number),):
                self.accounts.pop(number, None)
                self.show()
            case "begin", ():
                lease = await house.lease()
                if lease is not None:
                    self.leases.append(lease)
                    self.places[lease.account.id] += lease.account.max_concurrent > 0
            case "end", (int(at),) if self.leases:
                lease = self.leases.pop(at % len(self.leases))
                lease.release()
                self.places[lease.account.id] -= lease.account.max_concurrent > 0
                for _ in range(6):  # the place is given back by the keeper
                    await asyncio.sleep(0)
            case _:
                pass


# --- constant time ---


def lines_run(work: Callable[[], object]) -> int:
    """Count the lines of Python that run: a loop over all accounts cannot hide."""
    count = 0

    def trace(_frame: FrameType, event: str, _arg: object) -> object:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def _drive(house: House, strategy: Strategy, requests: int) -> int:
    """Return how many lines a request runs at most, with a rest that begins and one that ends."""
    route = route_of(strategy)
    chance = random.Random(7)

    def request() -> None:
        turn = house.pool.desk(route).walk()
        lease = _now(turn.next())
        assert lease is not None
        number = int(lease.account.id, 16)
        house.rest(number, 5 + chance.random(), reason=ErrorKind.OVERLOADED)
        turn.failed(lease)
        lease.release()
        again = _now(turn.next())
        assert again is not None
        again.release()
        house.cooldowns.release(account_id(number), "*", "quota is back")
        house.clock.advance(0.01)

    request()
    return max(lines_run(request) for _ in range(requests))


@pytest.mark.parametrize(
    "strategy",
    [
        Strategy.ROUND_ROBIN,
        Strategy.WEIGHTED,
        Strategy.LEAST_INFLIGHT,
        Strategy.FILL_FIRST,
        Strategy.SOONEST_RESET,
        Strategy.LEAST_USED,
    ],
)
def test_a_request_costs_the_same_for_10_and_for_10_000_accounts(strategy: Strategy) -> None:
    """With failures on the way. Not even twice as many lines, for a thousand times the accounts."""
    few, many = (_drive(House(count), strategy, 30) for count in (10, 10_000))
    assert many < 2 * few


def test_a_refusal_and_a_picture_cost_the_same_for_10_000_accounts_that_rest() -> None:
    costs = []
    for count in (300, 10_000):
        house = House(count)
        for number in range(1, count + 1):
            house.rest(number, 60 + number)
        house.pool.refusal(ROUTE)

        def refused(house: House = house) -> None:
            house.pool.refusal(ROUTE)
            house.pool.picture(ROUTE)
            house.pool.picture(ROUTE)

        costs.append(lines_run(refused))
    assert costs[1] < 1.5 * costs[0]


def test_nobody_is_looked_at_but_whom_something_happened_to() -> None:
    house = House(1000)
    seen: list[str] = []
    found = house.cooldowns.found

    def spied(subject: str, scopes: tuple[str, ...], now: float) -> Rest | None:
        seen.append(subject)
        return found(subject, scopes, now)

    house.cooldowns.found = spied  # type: ignore[assignment, method-assign]
    house.pool.candidates(ROUTE)
    assert len(seen) == 1000
    seen.clear()
    for _ in range(100):
        _now(house.next())
    assert seen == []
    house.rest(7, 30)
    house.rest(8, 30, scope="gpt-other")
    _now(house.next())
    assert seen == [account_id(7), account_id(8)]
    seen.clear()
    house.clock.advance(31)
    house.pool.candidates(ROUTE)
    assert seen == [account_id(7)]


def test_models_that_nobody_asks_for_any_more_are_forgotten() -> None:
    house = House(200)
    for number in range(5000):
        house.pool.candidates(route_of(Strategy.ROUND_ROBIN, f"gpt-{number}"))
    assert _known(house.pool) <= 500_000 // 200


def _known(pool: Pool) -> int:
    return len(pool._known)


def _now(coroutine: Coroutine[object, object, T]) -> T:
    """Run what never really waits, without an event loop around it."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast(T, done.value)
    raise AssertionError("it waited")
