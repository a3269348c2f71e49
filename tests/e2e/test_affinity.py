"""Conversations stay with their account, through the whole program."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Rig, open_rig
from tests.fakes.provider import Failure, FakeProvider, error_body
from tests.fakes.scenarios import Scenario

ACCOUNTS = 4
PATHS = {
    "messages": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "gemini": "/v1beta/models/gemini-fake:generateContent",
}
OPENING = "Why is the sky blue?"
USER_ID = f"user_{'0' * 64}_account__session_5f0c1d52-3c44-4a5e-9a61-0d2f9a3c1b77"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as running:
        yield running


def turn(dialect: str, number: int, opening: str = OPENING) -> dict[str, Any]:
    """Return the body of a turn, from 1."""
    said = [("user", opening), *[("assistant", "So."), ("user", "And?")] * (number - 1)]
    if dialect == "gemini":
        roles = {"user": "user", "assistant": "model"}
        contents = [{"role": roles[role], "parts": [{"text": text}]} for role, text in said]
        return {"contents": contents}
    turns = [{"role": role, "content": text} for role, text in said]
    if dialect == "responses":
        return {"model": "gpt-fake", "input": turns, "store": False}
    model = "claude-fake" if dialect == "messages" else "gpt-fake"
    return {"model": model, "max_tokens": 9, "messages": turns}


async def ask(
    rig: Rig, dialect: str, body: dict[str, Any], headers: Mapping[str, str] = {}
) -> dict[str, Any]:
    response = await rig.post(PATHS[dialect], body, headers=headers)
    assert response.status == 200, await response.text()
    told: dict[str, Any] = await response.json()
    return told


async def provided(rig: Rig, dialect: str) -> FakeProvider:
    match dialect:
        case "messages":
            return await rig.add_provider("messages", accounts=ACCOUNTS)
        case "gemini":
            return await rig.add_provider("gemini", accounts=ACCOUNTS)
        case _:
            return await rig.add_provider("chat", accounts=ACCOUNTS)


def keys_of(provider: FakeProvider) -> list[str]:
    return [seen.key for seen in provider.seen]


@pytest.mark.parametrize("dialect", PATHS)
async def test_pain_22_a_conversation_is_served_by_one_account(rig: Rig, dialect: str) -> None:
    provider = await provided(rig, dialect)
    for number in range(1, 6):
        await ask(rig, dialect, turn(dialect, number))
    assert len(set(keys_of(provider))) == 1
    # Those that begin take their turns.
    for number in range(ACCOUNTS):
        await ask(rig, dialect, turn(dialect, 1, f"Another question, {number}"))
    assert len(set(keys_of(provider)[-ACCOUNTS:])) == ACCOUNTS
    rows = await rig.logs(5 + ACCOUNTS)
    assert sorted(row["affinity"] for row in rows) == ["kept"] * 4 + ["new"] * (ACCOUNTS + 1)


@pytest.mark.parametrize(
    "header",
    [
        "x-session-id",
        "X-Claude-Code-Session-Id",
        "session_id",
        "session-id",
        "conversation_id",
        "x-session-affinity",
    ],
)
async def test_a_header_names_the_conversation_and_goes_on_to_nobody(rig: Rig, header: str) -> None:
    provider = await provided(rig, "messages")
    for number in range(4):
        body = turn("messages", 1, f"Another question, {number}")
        await ask(rig, "messages", body, {header: "my session"})
    assert len(set(keys_of(provider))) == 1
    for seen in provider.seen:
        assert header.lower() not in seen.headers
        assert b"my session" not in seen.body


@pytest.mark.parametrize(
    ("dialect", "named"),
    [
        ("messages", {"metadata": {"user_id": USER_ID}}),
        ("chat", {"prompt_cache_key": "my session"}),
        ("responses", {"prompt_cache_key": "my session"}),
    ],
)
async def test_a_body_names_the_conversation(rig: Rig, dialect: str, named: dict[str, Any]) -> None:
    provider = await provided(rig, dialect)
    for number in range(4):
        await ask(rig, dialect, turn(dialect, 1, f"Another question, {number}") | named)
    assert len(set(keys_of(provider))) == 1


async def test_one_that_goes_on_from_a_stored_answer_stays(rig: Rig) -> None:
    provider = await provided(rig, "responses")
    previous = None
    for number in range(5):
        body = {"model": "gpt-fake", "input": OPENING if number == 0 else f"And {number}?"}
        told = await ask(rig, "responses", body | {"previous_response_id": previous})
        previous = told["id"]
    assert len(set(keys_of(provider))) == 1


async def test_pain_26_it_comes_home_when_its_account_is_well_again(rig: Rig) -> None:
    provider = await provided(rig, "messages")
    provider.respond = lambda _: Scenario(cache_read_tokens=500, cache_write_tokens=400)
    await ask(rig, "messages", turn("messages", 1))
    await ask(rig, "messages", turn("messages", 2))
    home = keys_of(provider)[0]
    limited = Failure(429, error_body("messages", 429), {"retry-after": "600"})
    provider.failures_by_key[home] = limited
    provider.respond = lambda _: Scenario(cache_read_tokens=0, cache_write_tokens=999)
    for number in (3, 4, 5):
        await ask(rig, "messages", turn("messages", number))
    lenders = [key for key in keys_of(provider) if key != home]
    assert len(lenders) == 3
    assert len(set(lenders)) == 1
    rows = await rig.logs(5)
    assert [(row["affinity"], row["cached_tokens_lost"]) for row in rows] == [
        ("borrowed", 999),
        ("borrowed", 999),
        ("borrowed", 900),
        ("kept", None),
        ("new", None),
    ]
    del provider.failures_by_key[home]
    await rig.api("POST", f"/accounts/{rows[-1]['account_id']}/reset")
    await ask(rig, "messages", turn("messages", 6))
    assert keys_of(provider)[-1] == home
    summary = (await rig.api("GET", "/stats/summary"))["affinity"]
    assert (summary["borrowed"], summary["cached_tokens_lost"]) == (3, 900 + 2 * 999)


async def test_it_moves_when_its_account_is_switched_off_and_stays_when_it_drains(
    rig: Rig,
) -> None:
    await provided(rig, "messages")
    await ask(rig, "messages", turn("messages", 1))
    (row,) = await rig.logs(1)
    account = f"/accounts/{row['account_id']}"
    await rig.api("POST", f"{account}/drain", {"reason": "maintenance"})
    await ask(rig, "messages", turn("messages", 2))
    await rig.api("PATCH", account, {"is_active": False})
    for number in (3, 4):
        await ask(rig, "messages", turn("messages", number))
    await rig.api("PATCH", account, {"is_active": True})
    await ask(rig, "messages", turn("messages", 5))
    rows = list(reversed(await rig.logs(5)))
    assert [row["affinity"] for row in rows] == ["new", "kept", "moved", "kept", "kept"]
    assert rows[0]["account_id"] == rows[1]["account_id"] != rows[2]["account_id"]
    assert {row["account_id"] for row in rows[2:]} == {rows[2]["account_id"]}


async def test_pain_29_an_operator_lets_it_forget_its_account(rig: Rig) -> None:
    provider = await provided(rig, "messages")
    await ask(rig, "messages", turn("messages", 1))
    listed = (await rig.api("GET", "/affinity"))["data"]
    assert len(listed) == 1
    await rig.api("DELETE", f"/affinity?account_id={listed[0]['account_id']}")
    await ask(rig, "messages", turn("messages", 2))
    await ask(rig, "messages", turn("messages", 3))
    first, second, third = keys_of(provider)
    assert first != second == third
    (other,) = [
        account
        for account in (await rig.api("GET", "/accounts"))["data"]
        if account["label"] == "account " + first
    ]
    (bound,) = (await rig.api("GET", "/affinity"))["data"]
    await rig.api("PUT", f"/affinity/{bound['session']}", {"account_id": other["id"]})
    await ask(rig, "messages", turn("messages", 4))
    assert keys_of(provider)[-1] == first


async def test_switched_off_every_request_takes_its_turn(tmp_path: Path) -> None:
    async with open_rig(tmp_path, {"AIGATEWAY_AFFINITY__ENABLED": "false"}) as rig:
        provider = await provided(rig, "messages")
        for number in range(1, ACCOUNTS + 1):
            await ask(rig, "messages", turn("messages", number), {"x-session-id": "s"})
        assert len(set(keys_of(provider))) == ACCOUNTS
        assert {row["affinity"] for row in await rig.logs(ACCOUNTS)} == {None}
