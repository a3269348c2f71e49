"""What operators hear of rests: once each, only what matters."""

from models.errors import ErrorKind
from models.event import EventKind
from models.json_types import JsonObject
from models.rest import Rest, origin
from services.rest_events import RestEvents
from tests.services.resting_rig import (
    Desk,
    disabled,
    limited,
    missing,
    overloaded,
    rejected,
    unreachable,
    used_up,
)


class Heard(Desk):
    """A desk whose events are noted."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: list[str] = []
        self.last: dict[str, object] = {}
        provider_of, label_of = {"acc-1": "openai"}.get, {"acc-1": "ann's"}.get
        self.cooldowns.followers.append(RestEvents(self.tell, provider_of, label_of))

    def tell(
        self,
        kind: EventKind,
        message: str,
        *,
        provider_id: str | None = None,
        account_id: str | None = None,
        proxy_id: str | None = None,
        details: JsonObject | None = None,
    ) -> None:
        self.kinds.append(kind.value)
        self.last = {
            "message": message,
            "provider_id": provider_id,
            "account_id": account_id,
            "proxy_id": proxy_id,
            "details": details,
        }


def test_an_account_that_cools_for_long_and_recovers_is_told_once_each() -> None:
    desk = Heard()
    rest = desk.failed(used_up(3600))
    assert rest is not None
    assert desk.last == {
        "message": 'account "ann\'s" rests: 5h window rejected',
        "provider_id": "openai",
        "account_id": "acc-1",
        "proxy_id": None,
        "details": {
            "scope": "*",
            "reason": "quota",
            "evidence": "5h window rejected",
            "until": "2027-01-15T09:00:15.500Z",
        },
    }
    for _ in range(3):
        desk.clock.advance(900)
        desk.failed(used_up(60))
    desk.clock.advance(900)
    desk.succeeded()
    assert desk.kinds == ["account.cooled", "account.recovered"]


def test_short_pauses_are_nobodys_business() -> None:
    desk = Heard()
    for lasts_s in (1, 2, 4, 8, 16, 32):
        desk.failed(limited())
        desk.clock.advance(lasts_s)
    desk.succeeded()
    assert desk.kinds == []


def test_a_key_that_is_refused_twice_is_told() -> None:
    desk = Heard()
    desk.failed(rejected())
    desk.clock.advance(10)
    desk.failed(rejected())
    assert desk.kinds == ["account.needs_operator"]
    assert desk.last["details"] == {
        "scope": "*",
        "reason": "upstream_auth",
        "evidence": "upstream_auth",
        "until": None,
    }


def test_one_who_cooled_and_then_needs_an_operator_is_told_both() -> None:
    desk = Heard()
    desk.failed(used_up(3600))
    desk.failed(disabled())
    assert desk.kinds == ["account.cooled", "account.needs_operator"]


def test_an_operators_reset_is_no_news_to_him() -> None:
    desk = Heard()
    desk.failed(used_up(3600))
    desk.cooldowns.void({"acc-1": desk.clock.now()})
    assert desk.kinds == ["account.cooled"]


def test_a_dead_proxy_is_told_once_however_long_it_is_dead() -> None:
    desk = Heard()
    for _ in range(3):
        desk.failed(unreachable(), proxy_id="proxy")
    for lasts_s in (30, 60, 120):
        desk.clock.advance(lasts_s)
        desk.failed(unreachable(), proxy_id="proxy")
    desk.clock.advance(240)
    desk.succeeded("acc-2", proxy_id="proxy")
    assert desk.kinds == ["proxy.quarantined", "proxy.recovered"]
    assert desk.last["proxy_id"] == "proxy"


def test_a_provider_that_is_left_alone_is_told() -> None:
    desk = Heard()
    subject = origin("glm", "https://example.com")
    now = desk.clock.now()
    desk.cooldowns.begin(Rest(subject, "*", now, now + 2, ErrorKind.OVERLOADED, "10 of 10"))
    desk.cooldowns.release(subject, "*", "a request succeeded")
    assert desk.kinds == ["provider.breaker_opened", "provider.breaker_closed"]
    assert (desk.last["provider_id"], desk.last["account_id"]) == ("glm", None)


def test_what_another_replica_told_is_not_told_again() -> None:
    desk, there = Heard(), Desk()
    rest = there.failed(used_up(3600))
    assert rest is not None
    desk.cooldowns.take(rest)
    assert desk.kinds == []


def test_an_outage_is_no_news_of_its_accounts() -> None:
    desk = Heard()
    for number in range(8):
        desk.failed(overloaded(retry_after_s=60), f"acc-{number}")
    assert desk.kinds == []


def test_models_that_somebody_invents_are_no_news() -> None:
    desk = Heard()
    for number in range(20):
        desk.failed(missing(), model=f"invented-{number}")
    desk.clock.advance(13 * 3600)
    desk.succeeded()
    assert desk.kinds == []
