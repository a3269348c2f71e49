"""Model lists that a provider tells in its own way, with what each account has left."""

import json
from dataclasses import replace
from datetime import UTC, datetime

from models.egress import EgressProxy
from models.json_types import Json, JsonObject
from providers.antigravity.models import AvailableModels
from tests.builders import assigned, make_egress, make_provider, make_stored
from tests.fakes.clock import FakeClock
from tests.fakes.transport import Answer, Sent, whole
from tests.services.test_catalog import House

PROVIDER = replace(make_provider(), model_list=AvailableModels())
ONE, TWO = f"{1:032x}", f"{2:032x}"


def listed(**models: Json) -> Answer:
    told: JsonObject = {name: {"quotaInfo": quota} for name, quota in models.items()}
    return whole(json.dumps({"models": told}).encode())


def empty_for(seconds: float) -> JsonObject:
    opens = datetime.fromtimestamp(FakeClock().now() + seconds, UTC)
    return {"remainingFraction": 0, "resetTime": opens.isoformat().replace("+00:00", "Z")}


FULL: JsonObject = {"remainingFraction": 1}


async def test_the_list_is_asked_for_as_the_provider_wants_it() -> None:
    proxy: EgressProxy = make_egress()
    stored = assigned(make_stored(1, metadata={"project_id": "p-1"}), proxy)
    house = House(lambda _: listed(a=FULL, chat_1=FULL), [stored], [proxy], PROVIDER)
    await house.catalog.refresh()
    (sent,) = house.rig.transport.sent
    assert (sent.request.method, sent.egress_id) == ("POST", proxy.id)
    assert sent.request.url == "http://127.0.0.1:1/v1internal:fetchAvailableModels"
    assert json.loads(sent.request.body) == {"project": "p-1"}
    assert sent.request.headers["content-type"] == "application/json"
    assert house.names == ["a"]
    assert house.rig.transport.all_closed


async def test_every_account_tells_its_own_quota() -> None:
    def script(sent: Sent) -> Answer:
        if sent.key == "key-1":
            return listed(a=empty_for(3600), b=FULL)
        return listed(a=FULL, b=empty_for(-5), c=empty_for(90_000))

    house = House(script, 2, provider=PROVIDER)
    await house.catalog.refresh()
    assert house.keys == ["key-1", "key-2"]
    assert sorted(house.names) == ["a", "b", "c"]
    told = {
        account_id: [(window.model, window.used_ratio, window.source) for window in windows]
        for account_id, windows in house.probed.items()
    }
    assert told == {
        ONE: [("a", 1.0, "probe"), ("b", 0.0, "probe")],
        TWO: [("a", 0.0, "probe"), ("b", 1.0, "probe"), ("c", 1.0, "probe")],
    }


async def test_an_account_that_cannot_be_asked_does_not_hide_what_others_have() -> None:
    house = House(
        lambda sent: whole(b"{}", 403) if sent.key == "key-1" else listed(a=FULL),
        2,
        provider=PROVIDER,
    )
    await house.catalog.refresh()
    assert house.names == ["a"]


async def test_the_list_comes_from_the_next_host_where_the_first_fails() -> None:
    offer = replace(PROVIDER.main, mirrors=("http://127.0.0.1:2",))
    provider = replace(PROVIDER, offers=(offer,))
    house = House(
        lambda sent: whole(b"", 503) if ":1/" in sent.request.url else listed(a=FULL),
        1,
        provider=provider,
    )
    await house.catalog.refresh()
    assert house.names == ["a"]
    assert house.rig.transport.all_closed
