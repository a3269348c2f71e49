from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from dialects import DIALECTS
from models.account import Strategy
from models.errors import ErrorKind, Unprocessable
from models.rest import origin
from providers.base import Route
from repositories.base import SharedState
from repositories.shared import open_shared
from repositories.shared_memory import MemoryState
from services.affinity import Affinity
from services.background import Background, open_background
from services.bindings import Bindings
from services.explain import Explain, ModelView, Question, RouteView
from tests.builders import assigned, make_egress, make_provider, make_snapshot, make_stored
from tests.services.pool_rig import House, account_id
from tests.waiting import until

COUNTER = "account:rr:openai:gpt-x"
MIRROR = "http://127.0.0.1:2"


@dataclass
class Asked:
    """A pool, and who explains it."""

    house: House
    explain: Explain
    affinity: Affinity

    async def model(self, question: Question) -> ModelView:
        return (await self.explain.explain(question)).models[0]

    async def route(self, question: Question | None = None) -> RouteView:
        (found,) = (await self.model(question or Question("gpt-x"))).routes
        return found

    async def next(self, question: Question | None = None) -> int | None:
        chosen = (await self.route(question)).would_be
        return None if chosen is None else int(chosen.account_id, 16)


def asking(house: House, background: Background, **changes: object) -> Asked:
    affinity = Affinity(
        Bindings(house.shared, background, house.clock, ttl_s=3600.0),
        house.pool.away_until,
        house.pool.count_early,
        lambda: house.snapshot.accounts,
        house.clock,
        salt=b"salt",
        ttl_s=3600.0,
    )
    explain = Explain(
        snapshot=lambda: house.snapshot,
        pool=house.pool,
        affinity=affinity,
        shared=house.shared,
        dialects=DIALECTS,
        clock=house.clock,
        **{"fallbacks": {}, **changes},  # type: ignore[arg-type] # names are checked at run time
    )
    return Asked(house, explain, affinity)


@pytest.fixture
async def background() -> AsyncIterator[Background]:
    async with open_background() as keeper:
        yield keeper


@pytest.fixture(params=["memory", "redis"])
async def shared(request: pytest.FixtureRequest) -> AsyncIterator[SharedState]:
    url = "" if request.param == "memory" else str(request.getfixturevalue("redis_url"))
    async with open_shared(url, timeout_s=5.0) as state:
        await until(lambda: state.is_available)
        yield state


def house_of(count: int = 3, shared: SharedState | None = None) -> House:
    accounts = [make_stored(number) for number in range(1, count + 1)]
    snapshot = make_snapshot(accounts, providers=[make_provider()])
    return House(accounts, snapshot=snapshot, shared=shared or MemoryState())


async def test_it_names_who_would_be_next_and_takes_nobodys_turn(
    shared: SharedState, background: Background
) -> None:
    asked = asking(house_of(3, shared), background)
    assert (await asked.route()).counter == 0
    assert await shared.get(COUNTER) is None
    for _ in range(7):
        expected = [await asked.next() for _ in range(3)]
        before = await shared.get(COUNTER)
        assert [await asked.house.next()] * 3 == expected
        assert int(await shared.get(COUNTER) or 0) == int(before or 0) + 1


async def test_it_claims_no_trial_and_no_place(background: Background) -> None:
    accounts = [make_stored(1), make_stored(2, max_concurrent=1)]
    snapshot = make_snapshot(accounts, providers=[make_provider()])
    asked = asking(House(accounts, snapshot=snapshot), background)
    asked.house.rest(1, 600, trial_after_s=10)
    asked.house.clock.advance(20)
    for _ in range(3):
        view = await asked.route(Question("gpt-x", "chat", "s", "k", ("gpt-y",), True))
        assert view.is_trial_due
        assert view.would_be is not None
        assert int(view.would_be.account_id, 16) == 2
        assert view.picture.excluded == {account_id(1): "half_open"}
    assert asked.house.asked == []
    assert asked.house.pool.inflight(account_id(2)) == 0
    assert await asked.house.next() == 1, "the trial was left to a real request"


async def test_it_says_why_nobody_can_serve_as_a_client_would_be_told(
    background: Background,
) -> None:
    asked = asking(house_of(2), background)
    asked.house.rest(1, 60)
    asked.house.rest(2, 90)
    view = await asked.route()
    assert view.would_be is None
    assert view.refusal is not None
    assert (view.refusal.status, view.refusal.retry_after_s) == (429, 60)
    assert set(view.picture.excluded.values()) == {"cooling_rate_limit"}
    assert view.picture.counts == {"cooling_rate_limit": 2}


async def test_a_conversation_goes_home_and_the_question_leaves_no_trace_of_it(
    shared: SharedState, background: Background
) -> None:
    asked = asking(house_of(3, shared), background)
    question = Question("gpt-x", session="talk", key_id="key-1")
    assert (await asked.route(question)).home is None
    binding = asked.affinity._hashed("key-1", "openai", "gpt-x", ("named", "talk"))
    asked.affinity.bindings.begin(binding, "key-1", "openai", "gpt-x", account_id(3))
    await until(lambda: not asked.affinity.bindings.writes)
    other = asking(asked.house, background)  # a replica that knows nothing yet
    for explaining in (asked, *([other] if shared.mode == "redis" else [])):
        view = await explaining.route(question)
        assert view.home is not None
        assert view.would_be is not None
        assert (int(view.home.home, 16), view.would_be.choice) == (3, "affinity")
    assert list(other.affinity.bindings) == []
    assert (await asked.route(replace(question, key_id="key-2"))).home is None
    asked.house.rest(3, 60)
    view = await asked.route(question)
    assert view.would_be is not None
    assert (view.would_be.choice, view.would_be.account_id) == ("borrowed", account_id(1))
    kept = asked.affinity.bindings.find(binding)
    assert kept is not None
    asked.affinity.bindings.lend(kept, account_id(2))
    view = await asked.route(question)
    assert view.would_be is not None
    assert (view.would_be.choice, view.would_be.account_id) == ("borrowed", account_id(2))


@pytest.mark.parametrize(
    ("dialect", "way"),
    [
        ("chat", "raw"),
        ("messages", "translated"),
        ("gemini", "translated"),
        ("embeddings", "not_offered"),
        (None, None),
    ],
)
async def test_it_says_whether_the_body_would_pass_as_it_is(
    background: Background, dialect: str | None, way: str | None
) -> None:
    asked = asking(house_of(), background)
    assert (await asked.route(Question("gpt-x", dialect))).way == way


async def test_it_shows_each_address_and_whether_it_is_left_alone(background: Background) -> None:
    provider = make_provider()
    offer = replace(provider.main, mirrors=(MIRROR,))
    house = house_of()
    house.snapshot = make_snapshot([make_stored(1)], providers=[replace(provider, offers=(offer,))])
    asked = asking(house, background)
    house.rest(origin("openai", provider.main.base_url), 8, reason=ErrorKind.UPSTREAM)
    now = house.clock.now()
    first, second = (await asked.route()).addresses
    assert (first.state, first.opens_at) == ("open", now + 8)
    assert (second.base_url, second.state, second.opens_at) == (MIRROR, "closed", None)
    house.clock.advance(9)
    assert (await asked.route()).addresses[0].state == "half_open"


async def test_fallbacks_follow_as_configured_or_as_the_request_names_them(
    background: Background,
) -> None:
    asked = asking(house_of(), background, fallbacks={"gpt-x": ("gpt-y", "mystery")}, is_race=True)
    found = await asked.explain.explain(Question("gpt-x"))
    assert [(one.model, one.is_fallback) for one in found.models] == [
        ("gpt-x", False),
        ("gpt-y", True),
        ("mystery", True),
    ]
    assert found.is_race
    assert found.models[2].problem is not None
    assert "mystery" in found.models[2].problem
    named = await asked.explain.explain(Question("gpt-x", fallbacks=("gpt-z",)))
    assert [one.model for one in named.models] == ["gpt-x", "gpt-z"]
    none = await asked.explain.explain(Question("gpt-x", fallbacks=()))
    assert (len(none.models), none.is_race) == (1, False)


async def test_only_a_stream_is_hedged(background: Background) -> None:
    asked = asking(house_of(), background, hedge_after_s=3.0)
    streamed = await asked.explain.explain(Question("gpt-x", is_stream=True))
    whole = await asked.explain.explain(Question("gpt-x"))
    assert (streamed.hedge_after_s, whole.hedge_after_s) == (3.0, None)


async def test_an_unknown_format_is_refused(background: Background) -> None:
    asked = asking(house_of(), background)
    with pytest.raises(Unprocessable, match=r"dialect: must be one of .*chat"):
        await asked.explain.explain(Question("gpt-x", "morse"))


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_every_strategy_says_who_would_be_next(
    background: Background, strategy: Strategy
) -> None:
    accounts = [make_stored(number, weight=number) for number in range(1, 5)]
    provider = replace(make_provider(), strategy=strategy)
    snapshot = make_snapshot(accounts, providers=[provider])
    house = House(accounts, snapshot=snapshot, shared=MemoryState())
    asked, route = asking(house, background), Route(provider, "gpt-x")
    for _ in range(10):
        expected = await asked.next()
        assert await house.next(route) == expected
        assert (await asked.route()).picture.strategy == strategy.value


async def test_ten_thousand_accounts_are_not_all_listed(background: Background) -> None:
    egress = make_egress()
    accounts = [assigned(make_stored(number), egress) for number in range(1, 10_001)]
    snapshot = make_snapshot(accounts, [egress], providers=[make_provider()])
    asked = asking(House(accounts, snapshot=snapshot, shared=MemoryState()), background)
    view = await asked.route()
    assert len(view.picture.eligible) + len(view.picture.excluded) == 200
    assert view.picture.counts["available"] == 10_000


async def test_while_every_address_of_a_provider_is_left_alone_nobody_is_next(
    background: Background,
) -> None:
    asked = asking(house_of(2), background)
    (route,) = asked.house.snapshot.router.resolve("gpt-x")
    address = origin(route.provider.id, route.provider.main.base_url)
    asked.house.rest(address, 8)
    view = await asked.route()
    assert [one.state for one in view.addresses] == ["open"]
    assert view.would_be is None
    assert view.refusal is not None
    assert (view.refusal.status, view.refusal.retry_after_s) == (503, 8)
    assert view.refusal.details["reasons"] == {"breaker_open": 1}
