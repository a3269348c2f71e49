"""`serve --demo`, as somebody sees it who has just cloned the repository."""

import json
import re
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aigateway.serving import Refused
from tests.e2e.cluster import Cluster, open_cluster
from tests.e2e.harness import Rig, open_rig
from tests.e2e.sdks.anthropic_messages import anthropic_client
from tests.e2e.sdks.openai_chat import openai_client

ASK: dict[str, Any] = {
    "model": "demo-chat",
    "max_tokens": 200,
    "messages": [{"role": "user", "content": "Hello"}],
}
SIGNED = re.compile(
    r"\[demo\] This is a pretend answer, no model was asked\. It was signed by "
    r"demo-account-(\d) and came through demo proxy ([AB])\. You said: Hello"
)
# Nobody has opened loopback: the demo must do with what it opens for itself.
CLOSED = {"AIGATEWAY_SECURITY__ALLOWED_PRIVATE_NETWORKS": ""}
MASTER_KEY = {"AIGATEWAY_SECURITY__MASTER_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFE"}
SAME_HOUSE = {**CLOSED, **MASTER_KEY}
"""For gateways that follow one another in one data folder."""


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path, CLOSED, demo=True) as opened:
        yield opened


def signature(text: str) -> tuple[str, str]:
    """Tell which account signed an answer and which proxy it came through."""
    found = SIGNED.fullmatch(text)
    assert found, text
    return found[1], found[2]


async def ask(rig: Rig) -> tuple[str, str]:
    response = await rig.post("/v1/chat/completions", ASK)
    assert response.status == 200
    (choice,) = (await response.json())["choices"]
    return signature(choice["message"]["content"])


# --- what a user sees ---


async def test_accounts_take_turns_and_leave_through_two_proxies(rig: Rig) -> None:
    seen = [await ask(rig) for _ in range(9)]
    assert seen[:3] * 3 == seen
    # Fill-first: the first proxy has two places.
    assert Counter(seen[:3]) == {("1", "A"): 1, ("2", "A"): 1, ("3", "B"): 1}


async def test_both_sdks_get_whole_answers_and_streams(rig: Rig) -> None:
    create: Any
    async with openai_client(rig) as chat:
        create = chat.chat.completions.create
        whole = await create(**ASK)
        signature(whole.choices[0].message.content)
        chunks = [chunk async for chunk in await create(**ASK, stream=True)]
    texts = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    signature("".join(texts).strip())
    assert len(texts) > 10
    async with anthropic_client(rig) as messages:
        create = messages.messages.create
        signature((await create(**ASK)).content[0].text)
        opened: Any = messages.messages.stream(**ASK)
        async with opened as stream:
            told = [text async for text in stream.text_stream]
            final = await stream.get_final_message()
    signature("".join(told).strip())
    assert len(told) > 10
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens > 10


async def test_statistics_show_who_served_and_by_which_way(rig: Rig) -> None:
    for _ in range(3):
        await ask(rig)
    stream = await rig.post("/v1/messages", {**ASK, "stream": True})
    assert (await stream.read()).endswith(b'data: {"type":"message_stop"}\n\n')
    rows = await rig.logs(4)
    accounts = {row["id"]: row for row in (await rig.api("GET", "/accounts"))["data"]}
    proxies = (await rig.api("GET", "/proxies"))["data"]
    assert {proxy["label"]: proxy["assigned"] for proxy in proxies} == {
        "demo proxy A": 2,
        "demo proxy B": 1,
    }
    for row in rows:
        assert row["provider_id"] == "demo"
        assert row["status"] == 200
        assert row["proxy_id"] == accounts[row["account_id"]]["proxy_id"]
        assert row["input_tokens"] > 0
        assert row["output_tokens"] > 0
    newest = rows[0]
    assert (newest["stream"], newest["mode"]) == (True, "translated")
    assert len({row["account_id"] for row in rows}) == 3
    counts = [
        (await rig.api("GET", f"/stats/proxies/{proxy['id']}?days=1"))["data"] for proxy in proxies
    ]
    assert sum(day["requests"] for days in counts for day in days) == 4
    summary = await rig.api("GET", "/stats/summary")
    assert summary["by_provider"] == {"demo": 4}


async def test_it_is_marked_as_pretend_wherever_it_shows(rig: Rig) -> None:
    provider = await rig.api("GET", "/providers/demo")
    assert provider["name"] == "Pretend provider (demo)"
    accounts = (await rig.api("GET", "/accounts"))["data"]
    assert [(account["label"], account["metadata"]) for account in accounts] == [
        (f"demo account {number}", {"demo": True}) for number in (1, 2, 3)
    ]


# --- loopback stays closed to everybody else ---


async def test_loopback_is_open_for_the_demo_only(rig: Rig) -> None:
    own = (await rig.api("GET", "/providers/demo"))["base_url"]
    assert own.startswith("http://127.0.0.1:")
    wanted = {"id": "mine", "name": "mine", "dialect": "chat"}
    for address in (own, "http://127.0.0.1:9/v1", "http://localhost:11434/v1", "http://[::1]:9"):
        body = {**wanted, "base_url": address}
        refused = await rig.api("POST", "/providers", body, expect=422)
        assert "private or reserved network" in refused["error"]["message"]
        await rig.api("PATCH", "/providers/openai", {"base_url": address}, expect=422)
    (proxy, _) = (await rig.api("GET", "/proxies"))["data"]
    await rig.api("POST", "/proxies", {"url": "http://127.0.0.1:9"}, expect=422)
    await rig.api("PATCH", f"/proxies/{proxy['id']}", {"url": "http://127.0.0.1:9"}, expect=422)
    oauth = {"refresh_token": "r", "client_id": "c", "token_url": f"{own}/token"}
    account = {"provider_id": "openai", "auth_type": "oauth", "auth_data": oauth}
    await rig.api("POST", "/accounts", account, expect=422)


# --- how it comes and goes ---


async def left(rig: Rig) -> tuple[list[str], int, int]:
    """What of a demo is in the database: providers beside the built-in ones, accounts, proxies."""
    providers = (await rig.api("GET", "/providers"))["data"]
    accounts, proxies = await rig.api("GET", "/accounts"), await rig.api("GET", "/proxies")
    others = [provider["id"] for provider in providers if not provider["is_builtin"]]
    return others, accounts["total"], proxies["total"]


def rows_of_demo(database: Path) -> list[int]:
    """Count without a gateway, whose start would take out what is left."""
    with closing(sqlite3.connect(database)) as connection:
        return [
            connection.execute(f"SELECT COUNT(*) FROM {table} WHERE {column} = 'demo'").fetchone()[
                0
            ]
            for table, column in [
                ("providers", "id"),
                ("accounts", "provider_id"),
                ("proxy_pool", "provider_id"),
            ]
        ]


async def test_after_a_clean_shutdown_only_the_statistics_are_left(tmp_path: Path) -> None:
    async with open_rig(tmp_path, SAME_HOUSE, demo=True) as rig:
        await ask(rig)
        assert await left(rig) == (["demo"], 3, 2)
        # What is added to the demo belongs to it.
        await rig.add_account("demo", "key-4")
    assert rows_of_demo(tmp_path / "data" / "aigateway.db") == [0, 0, 0]
    async with open_rig(tmp_path, SAME_HOUSE) as rig:
        assert await left(rig) == ([], 0, 0)
        assert (await rig.post("/v1/chat/completions", ASK)).status == 404
        (_, row) = await rig.logs(2)
        assert row["provider_id"] == "demo"


async def test_accounts_of_the_operator_stay(tmp_path: Path) -> None:
    async with open_rig(tmp_path, SAME_HOUSE) as rig:
        kept = await rig.add_account("openai", "key-0")
    async with open_rig(tmp_path, SAME_HOUSE, demo=True) as rig:
        assert (await rig.api("GET", "/accounts"))["total"] == 4
    async with open_rig(tmp_path, SAME_HOUSE) as rig:
        (account,) = (await rig.api("GET", "/accounts"))["data"]
        assert account == kept


async def test_a_second_demo_in_the_same_folder_is_refused_and_the_first_goes_on(
    tmp_path: Path,
) -> None:
    async with open_rig(tmp_path, SAME_HOUSE, demo=True) as rig:
        with pytest.raises(Refused, match="is running in this data folder already"):
            async with open_rig(tmp_path, SAME_HOUSE, demo=True):
                pass
        # A plain gateway takes nothing from a demo that runs.
        async with open_rig(tmp_path, SAME_HOUSE):
            pass
        assert await left(rig) == (["demo"], 3, 2)
        await ask(rig)


async def test_a_provider_of_the_operator_with_its_name_is_left_alone(tmp_path: Path) -> None:
    mine = {"id": "demo", "name": "mine", "dialect": "chat", "base_url": "https://192.0.2.1/v1"}
    opened = {**MASTER_KEY, "AIGATEWAY_SECURITY__ALLOWED_PRIVATE_NETWORKS": "192.0.2.0/24"}
    async with open_rig(tmp_path, opened) as rig:
        await rig.api("POST", "/providers", mine)
        await rig.add_account("demo", "key-0")
    with pytest.raises(Refused, match="there is a provider 'demo' that belongs to no demo"):
        async with open_rig(tmp_path, opened, demo=True):
            pass
    async with open_rig(tmp_path, opened) as rig:
        assert await left(rig) == (["demo"], 1, 0)
        assert (await rig.api("GET", "/providers/demo"))["name"] == "mine"


async def kill(cluster: Cluster) -> None:
    assert cluster.process is not None
    cluster.process.send_signal(signal.SIGKILL)
    cluster.process.wait(20)


async def test_what_a_killed_demo_left_is_gone_after_the_next_start(tmp_path: Path) -> None:
    async with open_cluster(tmp_path, environment=CLOSED, arguments=["--demo"]) as cluster:
        await ask(cluster)
        await kill(cluster)
        # The next one is a demo, too: it has the pretend accounts once.
        await cluster.start()
        assert await left(cluster) == (["demo"], 3, 2)
        await ask(cluster)
        await kill(cluster)
        cluster.arguments = ()
        await cluster.start()
        assert await left(cluster) == ([], 0, 0)
        models = await cluster.http.get(
            f"{cluster.url}/v1/models", headers={"x-api-key": cluster.key}
        )
        assert json.loads(await models.read())["data"] == []
        assert await cluster.stop() == 0
