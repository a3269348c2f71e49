"""The model list in both shapes."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from dialects.base import ModelEntry
from tests.handlers.model_api import Served, serving
from tests.services.executor_rig import Rig, chat_answer


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    rig = Rig(chat_answer)
    entries = (
        ModelEntry("gpt-a", "openai", 1_760_000_000, "A"),
        ModelEntry("team/gpt:b c", "openai"),
    )
    rig.snapshot = replace(rig.snapshot, models={"openai": entries})
    async with serving(rig) as running:
        yield running


async def test_chat_clients_get_a_list_of_their_own(served: Served) -> None:
    listed = await (await served.call("GET", "/v1/models")).json()
    assert listed["object"] == "list"
    assert [entry["id"] for entry in listed["data"]] == ["gpt-a", "team/gpt:b c"]
    assert {entry["object"] for entry in listed["data"]} == {"model"}
    one = await (await served.call("GET", "/v1/models/gpt-a")).json()
    assert one == listed["data"][0]
    assert one["created"] == 1_760_000_000


async def test_clients_of_anthropic_get_theirs(served: Served) -> None:
    listed = await (await served.call("GET", "/v1/models", anthropic_version="2023-06-01")).json()
    assert [entry["id"] for entry in listed["data"]] == ["gpt-a", "team/gpt:b c"]
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == (
        "gpt-a",
        "team/gpt:b c",
        False,
    )
    one = await served.call("GET", "/v1/models/gpt-a", anthropic_version="2023-06-01")
    assert await one.json() == listed["data"][0]
    assert listed["data"][0]["display_name"] == "A"


@pytest.mark.parametrize("name", ["team/gpt:b%20c", "team%2Fgpt%3Ab%20c", "openai/gpt-a"])
async def test_names_with_odd_characters_are_found(served: Served, name: str) -> None:
    assert (await served.call("GET", f"/v1/models/{name}")).status == 200


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/gpt-a"])
async def test_the_list_needs_a_key(served: Served, path: str) -> None:
    for key in ("", "ak_stranger"):
        assert (await served.call("GET", path, key=key)).status == 401


@pytest.mark.parametrize("path", ["/v1/models/none", "/v1/models/"])
async def test_an_unknown_model_is_not_found(served: Served, path: str) -> None:
    for headers in ({}, {"anthropic_version": "x"}):
        response = await served.call("GET", path, **headers)
        assert response.status == 404
        assert ("type" in await response.json()) == bool(headers)
