"""Which models are listed, and how providers are asked for theirs."""

import asyncio
import json
from collections.abc import Sequence
from typing import cast

import pytest

from dialects import DIALECTS
from dialects.base import ModelEntry
from models.account import AuthType, EgressStatus, StoredAccount, TokenState
from models.egress import EgressProxy
from models.errors import (
    Blame,
    ConnectFailed,
    NotFound,
    StorageUnavailable,
    StreamBroken,
    UpstreamError,
)
from models.json_types import JsonObject
from models.quota import QuotaWindow
from providers import anthropic
from providers.base import Provider
from repositories.base import ProviderRepository
from services import catalog as catalog_module
from services.catalog import Catalog
from tests.builders import assigned, make_egress, make_provider, make_snapshot, make_stored
from tests.fakes.transport import Answer, Sent, Silence, whole
from tests.services.executor_rig import Rig, Script

LISTED = whole(json.dumps({"data": [{"id": "gpt-b", "created": 5}, {"id": "gpt-a"}]}).encode())
PROXY = make_egress()


class Stored:
    """Keeps the lists that were stored, or refuses to."""

    def __init__(self) -> None:
        self.lists: dict[str, list[JsonObject]] = {}
        self.is_away = False

    async def store_models(
        self, provider_id: str, entries: Sequence[JsonObject], *, now: float
    ) -> None:
        if self.is_away:
            raise StorageUnavailable("away")
        self.lists[provider_id] = list(entries)


class House:
    """A catalog over scripted providers."""

    def __init__(
        self,
        script: Script,
        accounts: Sequence[StoredAccount] | int = 1,
        proxies: Sequence[EgressProxy] = (),
        provider: Provider | None = None,
    ) -> None:
        self.rig = Rig(script, accounts, proxies=proxies, providers=[provider or make_provider()])
        self.stored = Stored()
        self.probed: dict[str, list[QuotaWindow]] = {}
        self.catalog = Catalog(
            lambda: self.rig.snapshot,
            self.rig.calls,
            cast(ProviderRepository, self.stored),
            self.rig.clock,
            probed=self._probed,
        )

    def _probed(self, account_id: str, _provider: Provider, windows: Sequence[QuotaWindow]) -> None:
        self.probed[account_id] = list(windows)

    @property
    def keys(self) -> list[str]:
        return self.rig.transport.keys

    @property
    def names(self) -> list[str]:
        return [str(row["id"]) for row in self.stored.lists.get("openai", [])]


def for_key(key: str, answer: Answer | UpstreamError) -> Script:
    return lambda sent: answer if sent.key == key else LISTED


# --- asking -----------------------------------------------------------------------------------


async def test_a_list_is_asked_for_through_the_accounts_own_proxy_and_stored() -> None:
    house = House(lambda _: LISTED, [assigned(make_stored(1), PROXY)], [PROXY])
    await house.catalog.refresh()
    (sent,) = house.rig.transport.sent
    assert (sent.request.method, sent.egress_id) == ("GET", PROXY.id)
    assert sent.request.url == "http://127.0.0.1:1/models"
    assert sent.request.headers == {
        "accept": "application/json",
        "user-agent": "aigateway/test",
        "authorization": "Bearer key-1",
    }
    assert sorted(house.names) == ["gpt-a", "gpt-b"]
    assert house.rig.transport.all_closed


async def test_a_provider_gets_the_headers_that_every_call_to_it_has() -> None:
    house = House(lambda _: LISTED, [make_stored(1, provider_id="anthropic")])
    await house.catalog.refresh_provider(anthropic.PROVIDER)
    headers = house.rig.transport.sent[0].request.headers
    assert headers["anthropic-version"] == anthropic.API_VERSION
    assert headers["x-api-key"] == "key-1"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(whole(b"{}", 401), id="refused"),
        pytest.param(whole(b"<html>", 500), id="broken"),
        pytest.param(whole(b"<html>"), id="no JSON"),
        pytest.param(Answer(pieces=[StreamBroken("cut")]), id="cut"),
        pytest.param(ConnectFailed("dead", blame=Blame.EGRESS), id="no way"),
    ],
)
async def test_what_one_account_cannot_get_the_next_does(answer: Answer | UpstreamError) -> None:
    house = House(for_key("key-1", answer), 2)
    await house.catalog.refresh()
    assert house.keys == ["key-1", "key-2"]
    assert house.names
    assert house.rig.transport.all_closed


async def test_accounts_that_cannot_serve_are_not_asked() -> None:
    house = House(
        lambda _: LISTED,
        [
            make_stored(1, is_active=False),
            make_stored(2, auth_type=AuthType.OAUTH, token_state=TokenState.NEEDS_REAUTH),
            make_stored(3, egress_bound=True, egress_status=EgressStatus.WAITING),
            make_stored(4, proxy_id="gone"),
            make_stored(5),
        ],
    )
    await house.catalog.refresh()
    assert house.keys == ["key-5"]


async def test_three_accounts_are_asked_at_most_and_the_old_list_stays() -> None:
    house = House(lambda _: whole(b"{}", 500), 9)
    await house.catalog.refresh()
    assert house.keys == ["key-1", "key-2", "key-3"]
    assert house.stored.lists == {}


async def test_a_list_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_module, "_TIMEOUT_S", 0.01)
    house = House(lambda _: Answer(pieces=[b"{"]))

    async def never(_limit_bytes: int) -> bytes:
        await asyncio.Event().wait()
        return b""

    house.rig.transport.patch = lambda response: setattr(response, "read", never)
    await house.catalog.refresh()
    assert house.stored.lists == {}
    assert house.rig.transport.all_closed


async def test_an_empty_list_replaces_nothing_and_an_outage_is_no_failure() -> None:
    house = House(lambda _: whole(b'{"data":[]}'))
    await house.catalog.refresh()
    assert house.stored.lists == {}
    house.rig.transport.script = lambda _: LISTED
    house.stored.is_away = True
    await house.catalog.refresh()
    assert house.stored.lists == {}


async def test_a_provider_of_which_nothing_is_known_is_asked_once_for_each_set_of_accounts() -> (
    None
):
    house = House(lambda _: whole(b"{}", 500), 1)
    for _ in range(3):
        await house.catalog.refresh_missing()
    assert house.keys == ["key-1"]
    house.rig.snapshot = make_snapshot([make_stored(2)], providers=[make_provider()])
    await house.catalog.refresh_missing()
    assert house.keys == ["key-1", "key-2"]
    known = {"openai": (ModelEntry("gpt-a", "openai"),)}
    house.rig.snapshot = make_snapshot([make_stored(3)], (), [make_provider()], known)
    await house.catalog.refresh_missing()
    assert house.keys == ["key-1", "key-2"]


# --- listing ----------------------------------------------------------------------------------


def listing(*accounts: StoredAccount) -> Catalog:
    house = House(unasked, 0)
    models = {
        "openai": (ModelEntry("gpt-a", "openai", 5, "A"), ModelEntry("gpt-b", "openai")),
        "gone": (ModelEntry("x", "gone"),),
    }
    providers = [make_provider(), make_provider("mine", dialect=DIALECTS["messages"])]
    house.rig.snapshot = make_snapshot(accounts, (), providers, models)
    return house.catalog


def unasked(_: Sent) -> Answer:
    return Answer(pieces=[Silence(1e9)])


@pytest.mark.parametrize(
    ("accounts", "names"),
    [
        ([], []),
        ([{}], ["gpt-a", "gpt-b"]),
        ([{"is_active": False}], []),
        ([{"models": ("gpt-b",)}], ["gpt-b"]),
        ([{"models": ("gpt-b", "gpt-new")}, {"models": ("gpt-a",)}], ["gpt-a", "gpt-b", "gpt-new"]),
        ([{"provider_id": "gone"}], []),
        ([{}, {"provider_id": "mine", "models": ("gpt-a", "own")}], ["gpt-a", "gpt-b", "own"]),
    ],
)
def test_models_that_some_active_account_may_serve_are_listed_once(
    accounts: list[dict[str, object]], names: list[str]
) -> None:
    stored = [make_stored(number, **changes) for number, changes in enumerate(accounts, 1)]
    assert sorted(entry.id for entry in listing(*stored).models()) == names


def test_one_model_is_found_by_its_name_with_or_without_its_provider() -> None:
    catalog = listing(make_stored(1))
    for name in ("gpt-a", "openai/gpt-a"):
        assert catalog.model(name) == ModelEntry("gpt-a", "openai", 5, "A")
    with pytest.raises(NotFound):
        catalog.model("mine/gpt-a")
