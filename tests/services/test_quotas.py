"""What is left of limits, as providers tell it, and what it is good for."""

from dataclasses import replace

import pytest

from models.errors import Blame, ErrorKind, UpstreamError
from models.quota import QuotaWindow
from models.rest import EVERY_MODEL
from providers.base import Route
from tests.builders import make_provider, make_stored
from tests.services.quota_rig import ONE, SILENT, TELLING, TWO, Replica

OPUS = "family:opus"


# --- told in headers ----------------------------------------------------------------------------


def test_what_the_headers_tell_is_known_by_scope_and_window() -> None:
    replica = Replica()
    replica.saw({"5h": "0.4/1800", "7d-opus": "0.9/86400", "requests": "0.1/30"}, "opus-5")
    assert replica.shown() == {
        (EVERY_MODEL, "5h"): 0.4,
        (OPUS, "7d-opus"): 0.9,
        ("opus-5", "requests"): 0.1,
    }
    (window, *_) = replica.quotas.windows(ONE)
    assert (window.account_id, window.source, window.confidence) == (ONE, "header", 1.0)
    assert replica.quotas.windows(TWO) == []


def test_headers_are_read_once_a_second_and_those_of_a_refusal_always() -> None:
    replica = Replica()
    route = Route(TELLING, "gpt-x")
    replica.saw({"5h": "0.1"})
    for status, told in ((200, "0.2"), (500, "0.3")):
        replica.clock.advance(0.1)
        replica.quotas.saw(ONE, route, status, {"5h": told})
        assert replica.quotas.used_ratio(ONE, "gpt-x") == 0.1
    replica.clock.advance(0.1)
    replica.quotas.saw(ONE, route, 429, {"5h": "1.0/60"})
    assert replica.quotas.used_ratio(ONE, "gpt-x") == 1.0
    # Each account is read for itself.
    replica.quotas.saw(TWO, route, 200, {"5h": "0.5"})
    assert replica.quotas.used_ratio(TWO, "gpt-x") == 0.5


def test_a_provider_whose_headers_tell_nothing_costs_nothing() -> None:
    replica = Replica()
    replica.quotas.saw(ONE, Route(make_provider(), "gpt-x"), 200, {"5h": "0.4"})
    assert replica.shown() == {}


def test_the_fullest_limit_that_concerns_a_model_counts() -> None:
    replica = Replica()
    replica.saw({"5h": "0.4/1800", "7d-opus": "0.9/86400", "requests": "0.1/30"}, "opus-5")
    assert replica.quotas.used_ratio(ONE, "opus-5") == 0.9
    assert replica.quotas.used_ratio(ONE, "opus-6") == 0.9
    assert replica.quotas.used_ratio(ONE, "sonnet-5") == 0.4
    assert replica.quotas.used_ratio(TWO, "opus-5") is None


def test_the_next_reset_is_that_of_a_lasting_limit_not_of_one_on_the_pace() -> None:
    replica = Replica()
    replica.saw({"5h": "0.4/1800", "7d-opus": "0.9/86400", "requests": "0.1/30"}, "opus-5")
    now = replica.clock.now()
    assert replica.quotas.resets_at(ONE, "opus-5") == now + 1800
    assert replica.quotas.resets_at(TWO, "opus-5") is None
    replica = Replica()
    replica.saw({"requests": "0.1/30"})
    assert replica.quotas.resets_at(ONE, "gpt-x") == replica.clock.now() + 30


def test_a_window_whose_end_has_come_is_full_again() -> None:
    replica = Replica()
    replica.saw({"5h": "1.0/1800"})
    replica.clock.advance(1801)
    assert replica.quotas.used_ratio(ONE, "gpt-x") == 0.0
    assert replica.quotas.resets_at(ONE, "gpt-x") is None


def test_a_share_without_an_end_is_not_believed_for_ever() -> None:
    replica = Replica()
    replica.saw({"5h": "0.9", "requests": "0.8"})
    replica.clock.advance(61)
    assert replica.shown() == {(EVERY_MODEL, "5h"): 0.9, ("gpt-x", "requests"): None}
    replica.clock.advance(5 * 3600)
    assert replica.quotas.used_ratio(ONE, "gpt-x") is None


def test_what_was_told_later_stays_whatever_the_order() -> None:
    replica = Replica()
    replica.saw({"5h": "0.5"})
    (known,) = replica.quotas.windows(ONE)
    replica.quotas.take(replace(known, used_ratio=0.1, updated_at=known.updated_at - 1))
    assert replica.quotas.used_ratio(ONE, "gpt-x") == 0.5


def test_one_account_cannot_fill_the_memory() -> None:
    replica = Replica()
    for number in range(500):
        replica.saw({"quota": "0.5"}, f"model-{number}")
    assert len(replica.quotas.windows(ONE)) == 128
    assert replica.quotas.used_ratio(ONE, "model-499") == 0.5


def test_accounts_that_are_gone_are_dropped() -> None:
    replica = Replica()
    replica.saw({"5h": "0.5"})
    replica.quotas.keep({TWO})
    assert replica.quotas.windows(ONE) == []
    assert replica.quotas.unsaved(10) == []


# --- evidence -----------------------------------------------------------------------------------


def test_a_limit_below_its_end_is_evidence_that_ends_a_rest() -> None:
    replica = Replica()
    replica.saw({"5h": "0.42/1800", "7d-opus": "0.1/86400"}, "opus-5")
    assert replica.released == [
        (ONE, EVERY_MODEL, "5h: 42% used"),
        (ONE, OPUS, "7d-opus: 10% used"),
    ]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        pytest.param(429, {"5h": "0.4"}, id="the answer is a refusal itself"),
        pytest.param(200, {"5h": "1.0"}, id="used up"),
        pytest.param(200, {}, id="nothing told"),
    ],
)
def test_what_is_no_evidence_ends_no_rest(status: int, headers: dict[str, str]) -> None:
    replica = Replica()
    replica.saw(headers, status=status)
    assert replica.released == []


def test_one_limit_that_is_used_up_keeps_the_rest_of_its_scope() -> None:
    replica = Replica()
    windows = [
        QuotaWindow("", EVERY_MODEL, "5h", 0.1, updated_at=1.0),
        QuotaWindow("", EVERY_MODEL, "7d", 1.0, updated_at=1.0),
        QuotaWindow("", "gpt-x", "requests", 0.5, updated_at=1.0),
    ]
    provider = replace(TELLING, read_quota=lambda *_: windows)
    replica.quotas.saw(ONE, Route(provider, "gpt-x"), 200, {})
    assert [scope for _, scope, _ in replica.released] == ["gpt-x"]


# --- told by a model list -----------------------------------------------------------------------


def test_a_list_ends_rests_and_begins_those_of_what_is_used_up() -> None:
    replica = Replica()
    now = replica.clock.now()
    windows = [
        QuotaWindow("", "a", "quota", 1.0, resets_at=now + 3600, source="probe", updated_at=now),
        QuotaWindow("", "b", "quota", 0.2, resets_at=now + 3600, source="probe", updated_at=now),
        QuotaWindow("", "c", "quota", 1.0, resets_at=now - 5, source="probe", updated_at=now),
        QuotaWindow("", "d", "quota", 1.0, source="probe", updated_at=now),
    ]
    replica.quotas.probed(ONE, TELLING, windows)
    assert replica.benched == [(ONE, "a", 3600.0)]
    assert replica.released == [(ONE, "b", "quota: 20% used")]
    assert replica.quotas.used_ratio(ONE, "a") == 1.0


# --- forgetting ---------------------------------------------------------------------------------


def test_a_forgotten_account_is_known_anew_from_then_on() -> None:
    replica = Replica()
    replica.saw({"5h": "0.9/1800"})
    (old,) = replica.quotas.windows(ONE)
    replica.clock.advance(1)
    replica.quotas.forget(ONE)
    assert replica.quotas.windows(ONE) == []
    replica.quotas.take(old)  # another replica's row that comes late
    assert replica.quotas.windows(ONE) == []
    replica.saw({"5h": "0.1/1800"})
    assert replica.quotas.used_ratio(ONE, "gpt-x") == 0.1


# --- ends of windows ------------------------------------------------------------------------------


def refusal(
    kind: ErrorKind = ErrorKind.QUOTA,
    pause_s: float | None = 3600.0,
    blame: Blame = Blame.ACCOUNT_MODEL,
) -> UpstreamError:
    return UpstreamError("no", kind=kind, blame=blame, retry_after_s=pause_s)


@pytest.mark.parametrize(
    ("error", "scope"),
    [
        pytest.param(refusal(), "glm-5", id="of a model"),
        pytest.param(refusal(blame=Blame.ACCOUNT), EVERY_MODEL, id="of the account"),
        pytest.param(refusal(ErrorKind.RATE_LIMIT), "glm-5", id="a long one of a rate"),
        pytest.param(refusal(pause_s=None), "glm-5", id="its end is not told"),
        pytest.param(refusal(ErrorKind.RATE_LIMIT, 5.0), None, id="a burst"),
        pytest.param(refusal(ErrorKind.RATE_LIMIT, None), None, id="a burst without a hint"),
        pytest.param(refusal(pause_s=500_000.0), None, id="a week's window"),
        pytest.param(refusal(ErrorKind.BILLING), None, id="no credit"),
        pytest.param(refusal(blame=Blame.PROVIDER), None, id="the provider's fault"),
    ],
)
def test_only_the_end_of_a_window_is_learned_from(error: UpstreamError, scope: str | None) -> None:
    replica = Replica()
    replica.quotas.failed(ONE, Route(SILENT, "glm-5"), error)
    end = replica.quotas.ends.first()
    assert (end.scope if end is not None else None) == scope


def test_where_the_provider_tells_nothing_is_learned() -> None:
    replica = Replica()
    replica.saw({"requests": "1.0/30"})
    assert not replica.quotas.is_told(ONE)
    replica.saw({"5h": "0.4/1800"})
    assert replica.quotas.is_told(ONE)
    replica.quotas.failed(ONE, Route(SILENT, "glm-5"), refusal())
    assert replica.quotas.ends.first() is None


def test_an_account_that_is_gone_or_new_has_no_family() -> None:
    replica = Replica(accounts=[make_stored(2)])
    replica.saw({"7d-opus": "0.9"}, "opus-5")
    assert replica.quotas.used_ratio(ONE, "opus-5") is None
