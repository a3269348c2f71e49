"""How a pool is, and when it runs dry."""

from dataclasses import replace

import pytest

from models.account import AuthType, StoredAccount, TokenState
from models.errors import ErrorKind, NotFound
from models.quota import QuotaWindow
from models.rest import EVERY_MODEL, NEVER, Rest
from openapi.quotas import QuotaQuery
from services.quota_reports import QuotaReports
from tests.builders import assigned, make_egress, make_snapshot, make_stored
from tests.services.quota_rig import ONE, SILENT, TELLING, TWO, Replica

HOUR_S = 3_600.0
PROXY = make_egress()


class House:
    """A pool whose limits and rests are given."""

    def __init__(self, accounts: list[StoredAccount] | None = None) -> None:
        self.replica = Replica()
        stored = accounts if accounts is not None else [make_stored(1), make_stored(2)]
        self.replica.snapshot = make_snapshot(stored, [PROXY], [TELLING, SILENT])
        self.rests: list[Rest] = []
        self.reports = QuotaReports(
            self.replica.quotas,
            self.replica.ledger,
            lambda: self.replica.snapshot,
            lambda _now: self.rests,
            self.replica._release,
            self.replica.clock,
        )

    @property
    def now(self) -> float:
        return self.replica.clock.now()

    def rest(self, subject: str = ONE, scope: str = EVERY_MODEL, **facts: object) -> None:
        rest = Rest(subject, scope, self.now - 5, self.now + 60, ErrorKind.QUOTA)
        self.rests.append(replace(rest, **facts))  # type: ignore[arg-type] # names of fields

    def window(self, account_id: str = ONE, **facts: object) -> None:
        window = QuotaWindow(account_id, EVERY_MODEL, "5h", 0.5, updated_at=self.now)
        self.replica.quotas.take(replace(window, **facts))  # type: ignore[arg-type] # the same


# --- states -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "rest", "state"),
    [
        pytest.param({}, None, "available", id="well"),
        pytest.param({}, {"scope": "gpt-x"}, "limited", id="rests for a model"),
        pytest.param({}, {}, "cooling", id="rests"),
        pytest.param({}, {"until": 0.0}, "available", id="a rest that is over"),
        pytest.param({}, {"trial_at": 0.0}, "cooling", id="a rest that one request may try"),
        pytest.param({}, {"until": NEVER}, "needs_operator", id="disabled at its provider"),
        pytest.param({"is_draining": True}, None, "draining", id="drains"),
        pytest.param({"is_active": False}, {}, "inactive", id="switched off"),
        pytest.param({"egress_bound": True}, None, "waiting_for_proxy", id="no way out"),
        pytest.param(
            {"auth_type": AuthType.OAUTH, "token_state": TokenState.NEEDS_REAUTH},
            None,
            "needs_login",
            id="logged out",
        ),
    ],
)
def test_an_account_is_told_in_one_word(
    account: dict[str, object], rest: dict[str, object] | None, state: str
) -> None:
    house = House([make_stored(1, **account)])
    if rest is not None:
        house.rest(**rest)  # type: ignore[arg-type] # names of fields
    (shown,) = house.reports.accounts(QuotaQuery()).data
    assert shown.state == state


def test_accounts_are_listed_by_state() -> None:
    house = House([make_stored(1), make_stored(2), make_stored(3)])
    house.rest(TWO)
    for state, ids in (("cooling", [TWO]), ("available", [ONE, f"{3:032x}"]), ("draining", [])):
        page = house.reports.accounts(QuotaQuery.model_validate({"state": state}))
        assert ([shown.account.id for shown in page.data], page.total) == (ids, len(ids))


def test_an_account_behind_a_dead_proxy_is_told_so() -> None:
    house = House([assigned(make_stored(1), PROXY)])
    house.rest(PROXY.id)
    (shown,) = house.reports.accounts(QuotaQuery()).data
    assert (shown.state, shown.rests) == ("proxy_down", ())


def test_accounts_are_listed_in_pages_and_by_provider() -> None:
    house = House([make_stored(1), make_stored(2), make_stored(3, provider_id="glm")])
    page = house.reports.accounts(QuotaQuery(limit=1, offset=1, provider_id="openai"))
    assert ([shown.account.id for shown in page.data], page.total) == ([TWO], 2)
    page = house.reports.accounts(QuotaQuery(account_id=ONE))
    assert [shown.account.id for shown in page.data] == [ONE]


# --- pools ------------------------------------------------------------------------------------


async def test_half_of_the_accounts_make_a_healthy_pool() -> None:
    house = House([make_stored(number) for number in range(1, 11)])
    for number, health in ((5, "healthy"), (6, "degraded"), (8, "degraded"), (9, "critical")):
        house.rests.clear()
        for resting in range(1, number + 1):
            house.rest(f"{resting:032x}")
        summary = await house.reports.summary("openai")
        assert (summary.available, summary.health) == (10 - number, health)


async def test_a_provider_without_accounts_is_critical_and_one_that_is_none_is_not_found() -> None:
    summary = await House([]).reports.summary("openai")
    assert (summary.accounts, summary.health, summary.forecast) == (0, "critical", None)
    with pytest.raises(NotFound):
        await House([]).reports.summary("nobody")


async def test_each_limit_is_summed_over_the_active_accounts_that_have_it() -> None:
    house = House([make_stored(1), make_stored(2), make_stored(3, is_active=False)])
    house.window(
        ONE, used_ratio=0.25, limit=100, remaining=75, unit="requests", resets_at=house.now + 60
    )
    house.window(
        TWO, used_ratio=1.0, limit=200, remaining=0, unit="requests", resets_at=house.now + 30
    )
    house.window(f"{3:032x}", used_ratio=0.9)
    (found,) = (await house.reports.summary("openai")).windows
    assert (found.accounts, found.used_up, found.used_ratio) == (2, 1, 0.625)
    assert (found.limit, found.remaining, found.unit) == (300, 75, "requests")
    assert found.earliest_reset == house.now + 30


# --- forecasts --------------------------------------------------------------------------------


async def test_counted_limits_are_set_against_the_ledger_of_the_last_hour() -> None:
    house = House()
    for account_id in (ONE, TWO):
        house.window(account_id, limit=1000, remaining=500, unit="tokens")
    house.replica.ledger.asked += [
        (house.now - 60, ONE, "a", 100),
        (house.now - 60, TWO, "b", 150),
        (house.now - 2 * HOUR_S, ONE, "a", 9_999),
        (house.now - 60, "somebody else", "a", 9_999),
    ]
    forecast = (await house.reports.summary("openai")).forecast
    assert forecast is not None
    assert (forecast.per_hour, forecast.unit) == (250.0, "tokens")
    assert forecast.dry_at == pytest.approx(house.now + 4 * HOUR_S)
    assert forecast.basis == "250 tokens of 2 accounts in the last hour, from the request log"


async def test_a_reset_on_the_way_puts_the_end_off() -> None:
    house = House([make_stored(1)])
    facts = {"limit": 1000, "remaining": 500, "unit": "requests", "resets_at": house.now + HOUR_S}
    house.window(ONE, **facts)
    house.replica.ledger.asked += [(house.now - 60, ONE, "a", 1)] * 250
    forecast = (await house.reports.summary("openai")).forecast
    assert forecast is not None
    assert forecast.dry_at == pytest.approx(house.now + 5 * HOUR_S)


async def test_a_limit_of_one_model_counts_only_that_model() -> None:
    house = House([make_stored(1)])
    house.window(ONE, model="opus-5", limit=100, remaining=50, unit="requests")
    house.replica.ledger.asked += [(house.now - 60, ONE, "opus-5", 1)] * 10
    house.replica.ledger.asked += [(house.now - 60, ONE, "haiku-5", 1)] * 90
    forecast = (await house.reports.summary("openai")).forecast
    assert forecast is not None
    assert forecast.per_hour == 10.0


async def test_what_was_learned_is_told_as_such() -> None:
    house = House([make_stored(1)])
    house.window(
        ONE, window="5h-requests", limit=100, unit="requests", source="learned", confidence=0.2
    )
    (window,) = house.replica.quotas.known(ONE)
    house.replica.quotas.counted(window, 40)
    house.replica.ledger.asked += [(house.now - 60, ONE, "a", 1)] * 20
    summary = await house.reports.summary("openai")
    assert summary.windows[0].confidence == 0.2
    assert summary.forecast is not None
    assert summary.forecast.basis.endswith("the limits are learned")
    assert summary.forecast.dry_at == pytest.approx(house.now + 3 * HOUR_S)


async def test_shares_are_set_against_how_far_they_rose() -> None:
    house = House([make_stored(1)])
    for _ in range(4):
        house.window(ONE, used_ratio=0.1 * (1 + len(house.replica.shown())))
        house.replica.clock.advance(900)
    house.window(ONE, used_ratio=0.6)
    forecast = (await house.reports.summary("openai")).forecast
    assert forecast is not None
    assert forecast.unit == "share"
    assert forecast.per_hour == pytest.approx(0.5)
    assert forecast.dry_at == pytest.approx(house.now + 0.4 / 0.5 * HOUR_S)


async def test_a_pool_that_nobody_uses_does_not_run_dry_and_says_why() -> None:
    house = House([make_stored(1)])
    house.window(ONE)
    forecast = (await house.reports.summary("openai")).forecast
    assert forecast is not None
    assert (forecast.dry_at, forecast.not_before, forecast.per_hour) == (None, None, 0.0)
    assert forecast.basis.endswith("nothing was used")


async def test_a_pool_that_lasts_says_until_when_at_least() -> None:
    house = House([make_stored(1)])
    house.window(ONE, used_ratio=0.1)
    house.replica.clock.advance(HOUR_S)
    house.window(ONE, used_ratio=0.11)
    forecast = (await house.reports.summary("openai")).forecast
    assert forecast is not None
    assert (forecast.dry_at, forecast.not_before) == (None, house.now + 24 * HOUR_S)


async def test_limits_of_all_models_come_before_those_of_some() -> None:
    house = House([make_stored(1)])
    house.window(ONE, model="family:opus", used_ratio=1.0)
    house.window(ONE, used_ratio=0.2)
    summary = await house.reports.summary("openai")
    by_scope = {one.scope: one.forecast for one in summary.windows}
    assert by_scope["family:opus"] is not None
    assert by_scope["family:opus"].dry_at == house.now
    assert summary.forecast is by_scope[EVERY_MODEL]


async def test_limits_on_the_pace_have_no_forecast() -> None:
    house = House([make_stored(1)])
    house.window(ONE, window="requests", unit="requests", limit=50, remaining=1)
    summary = await house.reports.summary("openai")
    assert (summary.windows[0].forecast, summary.forecast) == (None, None)


async def test_the_ledger_is_summed_at_most_once_a_minute() -> None:
    house = House([make_stored(1)])
    house.window(ONE, limit=1000, remaining=500, unit="requests")

    async def rate() -> float | None:
        forecast = (await house.reports.summary("openai")).forecast
        return None if forecast is None else forecast.per_hour

    assert await rate() == 0.0
    house.replica.ledger.asked.append((house.now, ONE, "a", 1))
    house.replica.clock.advance(59)
    assert await rate() == 0.0
    house.replica.clock.advance(1)
    assert await rate() == 1.0


# --- reset ------------------------------------------------------------------------------------


async def test_a_reset_forgets_limits_and_ends_the_rests_that_they_began() -> None:
    house = House()
    house.window(ONE)
    house.rest(ONE, "gpt-x")
    house.rest(TWO)
    shown = await house.reports.reset(ONE)
    assert shown.windows == []
    assert [(subject, scope) for subject, scope, _ in house.replica.released] == [(ONE, "gpt-x")]
    (row,) = house.replica.ledger.windows.values()
    assert (row.account_id, row.window) == (ONE, "forgotten")
    with pytest.raises(NotFound):
        await house.reports.reset("0" * 32)
