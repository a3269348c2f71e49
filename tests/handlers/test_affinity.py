"""Operators see which account each conversation lives with, move it, and make it forget."""

from dataclasses import replace

import pytest

from dialects import DIALECTS
from models.usage import Usage
from services.affinity import Visit
from tests.handlers.api import UNKNOWN_ID, Api, account_body
from tests.services.affinity_rig import ROUTE, make_request

ALL = "/api/v1/affinity"
ONE, TWO = "a" * 32, "b" * 32


async def begin(api: Api, session: str, account_id: str, key_id: str = "k") -> str:
    """Serve a first turn; return the conversation's id."""
    visit = await visited(api, session, key_id)
    visit.served(account_id)
    return visit.binding_id


async def visited(api: Api, session: str, key_id: str = "k") -> Visit:
    request = replace(make_request(), session=session, key_id=key_id)
    visit = api.gateway.affinity.met(request, DIALECTS["chat"], ROUTE)
    assert visit is not None
    if visit.asks:
        await api.gateway.affinity.ask(visit)
    return visit


async def test_conversations_are_listed_with_their_accounts(api: Api) -> None:
    first, second = await begin(api, "s1", ONE), await begin(api, "s2", TWO, "other")
    api.clock.advance(5)
    visit = await visited(api, "s1")
    visit.served(ONE)
    visit.ended(Usage(1, 1, 900, 100))
    told = await api.get(ALL)
    assert [entry["session"] for entry in told.data] == [first, second]
    assert told.data[0] == {
        "session": first,
        "account_id": ONE,
        "lender_id": None,
        "provider_id": "openai",
        "family": "gpt-x",
        "key_id": "k",
        "cached_tokens": 1000,
        "bound_at": "2027-01-15T08:00:00Z",
        "seen_at": "2027-01-15T08:00:05Z",
    }
    for query in (f"account_id={TWO}", "key_id=other", "limit=1&offset=1"):
        assert [entry["session"] for entry in (await api.get(f"{ALL}?{query}")).data] == [second]
    assert (await api.get(f"{ALL}?limit=1")).json["total"] == 2


@pytest.mark.parametrize("by", ["session", "account_id", "key_id"])
async def test_pain_29_bindings_are_dropped_at_once(api: Api, by: str) -> None:
    session = await begin(api, "s1", ONE)
    await begin(api, "s2", TWO, "other")
    wanted = {"session": session, "account_id": ONE, "key_id": "k"}[by]
    assert (await api.call("DELETE", f"{ALL}?{by}={wanted}")).status == 204
    assert [entry["account_id"] for entry in (await api.get(ALL)).data] == [TWO]
    assert (await visited(api, "s1")).home is None
    assert (await visited(api, "s2", "other")).home == TWO
    # Nothing is forbidden: it may be bound to the same account again.
    api.clock.advance(1)
    await begin(api, "s1", ONE)
    assert (await visited(api, "s1")).home == ONE


async def test_a_conversation_moves_to_the_account_that_is_named(api: Api) -> None:
    account = await api.made("/api/v1/accounts", account_body(provider_id="openai"))
    session = await begin(api, "s1", ONE)
    moved = await api.call("PUT", f"{ALL}/{session}", {"account_id": account.id})
    assert (moved.status, moved.text) == (204, "")
    assert (await visited(api, "s1")).home == account.id


async def test_it_moves_to_no_account_that_cannot_have_it(api: Api) -> None:
    session = await begin(api, "s1", ONE)
    alien = await api.made("/api/v1/accounts", account_body(provider_id="anthropic"))
    for path, account_id, status in (
        (session, UNKNOWN_ID, 404),
        (session, alien.id, 409),
        (UNKNOWN_ID, alien.id, 404),
        (session, "x", 422),
    ):
        told = await api.call("PUT", f"{ALL}/{path}", {"account_id": account_id})
        assert told.status == status
    assert (await visited(api, "s1")).home == ONE


@pytest.mark.parametrize(
    "query",
    ["", "?", f"?account_id={ONE}&key_id=k", "?account_id=x", "?session=", "?provider_id=openai"],
)
async def test_what_shall_be_dropped_must_be_said(api: Api, query: str) -> None:
    await begin(api, "s1", ONE)
    assert (await api.call("DELETE", f"{ALL}{query}")).status == 422
    assert (await api.get(ALL)).json["total"] == 1
