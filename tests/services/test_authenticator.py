"""Who gets in, and what strangers cost."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from multidict import CIMultiDict

from auth.keys import hash_key
from models.errors import Unauthorized
from models.principal import ApiKey
from services.authenticator import EXTERNAL_ADMIN, Authenticator
from tests.builders import make_snapshot
from tests.fakes.clock import FakeClock

PEPPER = b"p" * 32
ADMIN = "admin-" + "x" * 32


class House:
    """An authenticator over keys that may be found only by looking again."""

    def __init__(self, *, admin_key: str | None = ADMIN) -> None:
        self.snapshot = make_snapshot()
        self.clock = FakeClock()
        self.looks = 0
        self.elsewhere: dict[bytes, ApiKey] = {}
        self.authenticator = Authenticator(
            lambda: self.snapshot, self._look, PEPPER, self.clock, admin_key=admin_key
        )

    async def _look(self) -> None:
        self.looks += 1
        self.snapshot = replace(self.snapshot, keys={**self.snapshot.keys, **self.elsewhere})

    def add(self, secret: str, **changes: object) -> None:
        self.snapshot = replace(self.snapshot, keys=keys_with(secret, **changes))

    async def name(self, headers: Mapping[str, str]) -> str:
        return (await self.authenticator.authenticate(CIMultiDict(headers))).name


def keys_with(secret: str, **changes: object) -> dict[bytes, ApiKey]:
    key = ApiKey("0" * 32, "mine", hash_key(secret, PEPPER))
    return {key.key_hash: replace(key, **changes)}  # type: ignore[arg-type] # names are checked at run time


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer ak_good"},
        {"authorization": "bearer  ak_good "},
        {"X-Api-Key": "ak_good"},
        {"x-api-key": "ak_good", "authorization": "Bearer ak_other"},
        {"x-api-key": " ", "authorization": "Bearer ak_good"},
        {"X-Goog-Api-Key": "ak_good"},
        {"x-api-key": "placeholder", "authorization": "Bearer ak_good"},
        {"x-api-key": "ak_good", "authorization": "Bearer placeholder"},
        {"x-goog-api-key": "placeholder", "authorization": "Bearer ak_good"},
        {"x-api-key": "a", "x-goog-api-key": "ak_good", "authorization": "Bearer b"},
        {"x-api-key": "x" * 600, "authorization": "Bearer ak_good"},
    ],
)
async def test_a_known_key_gets_in_and_nothing_is_looked_up(headers: dict[str, str]) -> None:
    house = House()
    house.add("ak_good")
    assert await house.name(headers) == "mine"
    assert house.looks == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer "},
        {"authorization": "Basic ak_good"},
        {"authorization": "ak_good"},
        {"x-api-key": "", "cookie": "ak_good"},
        {"x-api-key": "ak_" + "g" * 600},
    ],
)
async def test_what_is_no_key_is_refused_without_a_look(headers: dict[str, str]) -> None:
    house = House()
    house.add("ak_good")
    with pytest.raises(Unauthorized):
        await house.name(headers)
    assert house.looks == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": "ak_bad"},
        {"x-api-key": "ak_bad", "authorization": "Bearer ak_bad", "x-goog-api-key": "ak_bad"},
        {"x-api-key": "AK_GOOD"},
        {"x-api-key": "' OR '1'='1"},
        {"x-api-key": "ключ"},
    ],
)
async def test_an_unknown_key_is_refused_after_a_look(headers: dict[str, str]) -> None:
    house = House()
    house.add("ak_good")
    with pytest.raises(Unauthorized):
        await house.name(headers)
    assert house.looks == 1


async def test_of_two_good_keys_the_first_place_counts() -> None:
    house = House()
    house.add("ak_good")
    both = {"x-api-key": "ak_good", "authorization": f"Bearer {ADMIN}"}
    assert await house.name(both) == "mine"
    both = {"x-goog-api-key": ADMIN, "authorization": "Bearer ak_good"}
    assert await house.name(both) == EXTERNAL_ADMIN.name


async def test_a_key_that_is_switched_off_does_not_lock_out_a_good_one() -> None:
    house = House()
    house.add("ak_off", is_active=False)
    both = {"x-api-key": "ak_off", "authorization": f"Bearer {ADMIN}"}
    assert await house.name(both) == EXTERNAL_ADMIN.name


async def test_a_key_of_the_query_string_counts_only_where_it_was_looked_for() -> None:
    house = House()
    house.add("ak_good")
    found = await house.authenticator.authenticate({"x-api-key": "placeholder"}, "ak_good")
    assert found.name == "mine"
    with pytest.raises(Unauthorized):
        await house.authenticator.authenticate({"key": "ak_good"})


async def test_a_key_made_elsewhere_a_moment_ago_gets_in() -> None:
    house = House()
    house.elsewhere = keys_with("ak_new")
    assert await house.name({"x-api-key": "ak_new"}) == "mine"


@pytest.mark.parametrize("changes", [{"is_active": False}, {"expires_at": 1.0}])
async def test_a_key_that_is_no_good_any_more_is_told_apart_from_none_by_nobody(
    changes: dict[str, object],
) -> None:
    house = House()
    house.add("ak_old", **changes)
    messages = set()
    for key in ("ak_old", "ak_never"):
        with pytest.raises(Unauthorized) as caught:
            await house.name({"x-api-key": key})
        messages.add((caught.value.message, caught.value.code, caught.value.status))
    assert len(messages) == 1


async def test_a_key_ends_at_its_second() -> None:
    house = House()
    house.add("ak_good", expires_at=house.clock.now() + 5)
    house.clock.advance(4.9)
    assert await house.name({"x-api-key": "ak_good"}) == "mine"
    house.clock.advance(0.1)
    with pytest.raises(Unauthorized):
        await house.name({"x-api-key": "ak_good"})


async def test_the_admin_key_from_outside_needs_no_database() -> None:
    house = House()
    found = await house.authenticator.authenticate({"authorization": f"Bearer {ADMIN}"})
    assert found is EXTERNAL_ADMIN
    assert found.is_admin
    assert house.looks == 0


async def test_without_an_admin_key_from_outside_nothing_stands_for_it() -> None:
    house = House(admin_key=None)
    for key in ("", "None", ADMIN):
        with pytest.raises(Unauthorized):
            await house.name({"x-api-key": key})
