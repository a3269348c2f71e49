"""When a token is fresh, worth waiting for, and due."""

import pytest

from auth.oauth import ISSUED_AT
from models.account import Credentials, StoredAccount
from services.freshness import is_due, is_fresh, is_live, is_worth_waiting
from tests.services.token_rig import make_account

NOW = 1_000_000.0
LEEWAY_S = 300.0


def _token(left_s: float | None, lifetime_s: float | None = None, access: str = "a") -> Credentials:
    expires_at = None if left_s is None else NOW + left_s
    facts = {}
    if lifetime_s is not None and expires_at is not None:
        facts = {ISSUED_AT: str(expires_at - lifetime_s)}
    return Credentials(access, "r", expires_at, None, facts)


@pytest.mark.parametrize(
    ("token", "live", "fresh", "worth_waiting"),
    [
        pytest.param(_token(None), True, True, False, id="never expires"),
        pytest.param(_token(None, access=""), False, False, True, id="no token yet"),
        pytest.param(_token(301), True, True, False, id="before the leeway"),
        pytest.param(_token(299), True, False, False, id="within the leeway"),
        pytest.param(_token(59), True, False, True, id="last minute"),
        pytest.param(_token(0), False, False, True, id="expired"),
        pytest.param(_token(200, 300), True, True, False, id="short life, first half"),
        pytest.param(_token(140, 300), True, False, False, id="short life, second half"),
        pytest.param(_token(25, 40), True, True, False, id="very short life, first half"),
        pytest.param(_token(19, 40), True, False, True, id="very short life, second half"),
        pytest.param(_token(100, -5), True, False, False, id="issued after its end"),
    ],
)
def test_freshness(token: Credentials, live: bool, fresh: bool, worth_waiting: bool) -> None:
    assert is_live(token, NOW) is live
    assert is_fresh(token, NOW, LEEWAY_S) is fresh
    assert is_worth_waiting(token, NOW, LEEWAY_S) is worth_waiting


def test_facts_that_are_no_number_are_as_good_as_none() -> None:
    token = Credentials("a", "r", NOW + 200, None, {ISSUED_AT: "yesterday"})
    assert not is_fresh(token, NOW, LEEWAY_S)


@pytest.mark.parametrize(
    ("token", "lead_s"),
    [
        pytest.param(_token(0), 300, id="unknown life"),
        pytest.param(_token(0, 600), 300, id="short life: the leeway"),
        pytest.param(_token(0, 36_000), 7200, id="long life: a fifth of it"),
        pytest.param(_token(0, 60), 30, id="very short life: half of it"),
    ],
)
def test_a_token_is_due_a_lead_before_its_end_give_or_take_a_tenth(
    token: Credentials, lead_s: float
) -> None:
    accounts = [StoredAccount(make_account(number), token) for number in range(100)]
    early = [stored for stored in accounts if is_due(stored, NOW - lead_s * 1.101, LEEWAY_S)]
    middle = [stored for stored in accounts if is_due(stored, NOW - lead_s, LEEWAY_S)]
    late = [stored for stored in accounts if is_due(stored, NOW - lead_s * 0.899, LEEWAY_S)]
    assert early == []
    assert 20 < len(middle) < 80
    assert late == accounts


def test_what_never_expires_is_never_due_and_what_is_missing_always() -> None:
    assert not is_due(StoredAccount(make_account(), _token(None)), NOW, LEEWAY_S)
    assert is_due(StoredAccount(make_account(), _token(None, access="")), NOW, LEEWAY_S)
