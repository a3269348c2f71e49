"""Limits that nobody tells: learned from what was used when an account was refused."""

import pytest

from models.errors import Blame, ErrorKind, UpstreamError
from models.quota import QuotaWindow
from models.rest import EVERY_MODEL
from providers.base import Route
from repositories.shared_memory import MemoryState
from services.estimates import as_learned, confidence_at, sampled
from tests.fakes.clock import FakeClock
from tests.services.quota_rig import ONE, SILENT, TWO, Ledger, Replica

DAY_S = 86_400.0
HOUR_S = 3_600.0


# --- the formula ----------------------------------------------------------------------------------


def estimate(*used: int, every_s: float = HOUR_S) -> QuotaWindow:
    window = sampled(None, used[0], 0.0)
    for number, amount in enumerate(used[1:], 1):
        window = sampled(window, amount, number * every_s)
    return window


@pytest.mark.parametrize(
    ("used", "limit", "confidence"),
    [
        ((1000,), 1000, 0.1),
        ((1000, 1200), 1182, 0.2),  # (1000 * 0.1 + 1200) / 1.1
        ((1000, 1200, 1200), 1197, 0.3),
        ((1000,) * 10, 1000, 1.0),
        ((1000,) * 30, 1000, 1.0),
    ],
)
def test_each_sample_moves_the_estimate_and_makes_it_surer(
    used: tuple[int, ...], limit: int, confidence: float
) -> None:
    window = estimate(*used)
    assert (window.limit, round(window.confidence, 6)) == (limit, confidence)
    assert (window.samples, window.source) == (len(used), "learned")


def test_a_sure_estimate_moves_less() -> None:
    sure, unsure = estimate(*[1000] * 10), estimate(1000)
    moved = [(sampled(one, 2000, 11 * HOUR_S).limit or 0) - 1000 for one in (sure, unsure)]
    assert moved == [500, 909]


@pytest.mark.parametrize(
    ("days", "confidence"), [(0, 1.0), (7, 1.0), (14, 0.5), (21, 0.25), (28, 0.125)]
)
def test_after_a_week_without_a_sample_the_confidence_halves_each_week(
    days: float, confidence: float
) -> None:
    window = estimate(*[1000] * 10)
    assert confidence_at(window, window.updated_at + days * DAY_S) == pytest.approx(confidence)


def test_what_is_used_is_a_share_of_the_estimate_and_all_of_it_while_the_window_is_closed() -> None:
    window = sampled(None, 1000, 0.0)
    shown = as_learned(window, 250, 1.0)
    assert (shown.used_ratio, shown.remaining, shown.confidence) == (0.25, 750, 0.1)
    closed = as_learned(QuotaWindow(ONE, "*", "5h", limit=1000, resets_at=9.0), 250, 1.0)
    assert (closed.used_ratio, closed.remaining, closed.resets_at) == (1.0, 0, 9.0)
    assert as_learned(window, None, 1.0).used_ratio is None
    assert as_learned(window, 1500, 1.0).used_ratio == 1.5


# --- over a ledger --------------------------------------------------------------------------------


def asked(replica: Replica, count: int, model: str = "glm-5", account_id: str = ONE) -> None:
    """So many requests of 100 tokens each, a second apart."""
    for _ in range(count):
        replica.clock.advance(1)
        replica.ledger.asked.append((replica.clock.now(), account_id, model, 100))


def refuse(replica: Replica, pause_s: float | None, blame: Blame = Blame.ACCOUNT_MODEL) -> None:
    error = UpstreamError("no", kind=ErrorKind.QUOTA, blame=blame, retry_after_s=pause_s)
    replica.quotas.failed(ONE, Route(SILENT, "glm-5"), error)


def learned(replica: Replica) -> dict[str, tuple[int | None, float | None]]:
    return {
        window.window: (window.limit, window.used_ratio) for window in replica.quotas.windows(ONE)
    }


async def test_the_first_refusal_sets_the_estimate_to_what_was_used() -> None:
    replica = Replica()
    asked(replica, 40)
    asked(replica, 7, model="glm-6")
    asked(replica, 9, account_id=TWO)
    refuse(replica, HOUR_S)
    await replica.sync.step()
    assert learned(replica) == {"5h-requests": (40, 1.0), "5h-tokens": (4000, 1.0)}
    assert replica.quotas.resets_at(ONE, "glm-5") == replica.clock.now() + HOUR_S
    assert replica.quotas.used_ratio(ONE, "glm-6") is None


async def test_a_refusal_of_the_account_counts_all_its_models() -> None:
    replica = Replica()
    asked(replica, 40)
    asked(replica, 7, model="glm-6")
    refuse(replica, HOUR_S, Blame.ACCOUNT)
    await replica.sync.step()
    assert {window.model for window in replica.quotas.windows(ONE)} == {EVERY_MODEL}
    assert learned(replica)["5h-requests"] == (47, 1.0)
    assert replica.quotas.used_ratio(ONE, "glm-6") == 1.0


async def test_use_begins_anew_when_the_window_opens() -> None:
    replica = Replica()
    asked(replica, 40)
    refuse(replica, HOUR_S)
    await replica.sync.step()
    replica.clock.advance(HOUR_S)
    asked(replica, 10)
    replica.clock.advance(60)
    await replica.sync.step()
    assert learned(replica) == {"5h-requests": (40, 0.25), "5h-tokens": (4000, 0.25)}


async def test_use_rolls_where_nobody_told_when_the_window_opens() -> None:
    replica = Replica()
    asked(replica, 40)
    refuse(replica, None)
    await replica.sync.step()
    assert learned(replica)["5h-requests"] == (40, 1.0)
    replica.clock.advance(5 * HOUR_S + 60)
    asked(replica, 4)
    await replica.sync.step()
    assert learned(replica)["5h-requests"] == (40, 0.1)


async def test_a_refusal_that_is_repeated_is_one_sample() -> None:
    replica = Replica()
    asked(replica, 40)
    for _ in range(5):
        refuse(replica, None)
        await replica.sync.step()
        replica.clock.advance(300)
        asked(replica, 1)  # a trial that came through
    (requests, tokens) = replica.quotas.windows(ONE)
    assert (requests.samples, requests.limit, tokens.samples) == (1, 40, 1)


async def test_the_next_window_gives_the_next_sample() -> None:
    replica = Replica()
    asked(replica, 40)
    refuse(replica, HOUR_S)
    await replica.sync.step()
    replica.clock.advance(HOUR_S)
    asked(replica, 62)
    refuse(replica, HOUR_S)
    await replica.sync.step()
    (requests, _) = replica.quotas.windows(ONE)
    assert (requests.samples, requests.limit) == (2, 60)  # (40 * 0.1 + 62) / 1.1


async def test_one_refusal_that_two_replicas_meet_is_one_sample() -> None:
    clock, ledger = FakeClock(), Ledger()
    shared = MemoryState(clock)
    first, second = Replica(clock, ledger, shared), Replica(clock, ledger, shared)
    asked(first, 40)
    for replica in (first, second):
        refuse(replica, HOUR_S)
    for replica in (first, second, first, second):
        await replica.sync.step()
    assert (
        learned(first)
        == learned(second)
        == {
            "5h-requests": (40, 1.0),
            "5h-tokens": (4000, 1.0),
        }
    )
    assert [one.samples for one in second.quotas.windows(ONE)] == [1, 1]


async def test_what_was_learned_survives_a_restart() -> None:
    clock, ledger = FakeClock(), Ledger()
    before = Replica(clock, ledger)
    asked(before, 40)
    refuse(before, HOUR_S)
    for _ in range(2):
        await before.sync.step()
    clock.advance(HOUR_S)
    after = Replica(clock, ledger)
    asked(after, 20)
    await after.sync.step()
    assert learned(after)["5h-requests"] == (40, 0.5)


async def test_a_refusal_of_an_account_that_was_never_used_teaches_nothing() -> None:
    replica = Replica()
    refuse(replica, HOUR_S)
    await replica.sync.step()
    assert learned(replica) == {}
    assert replica.quotas.ends.first() is None
