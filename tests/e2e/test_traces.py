"""Every decision can be explained afterwards, and the explanation is what happened."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Rig, open_rig
from tests.e2e.traces import calls_of, compared, flaws, journal_of, read_traces
from tests.fakes.formats.base import Seen
from tests.fakes.provider import Failure

ASK: dict[str, Any] = {
    "model": "claude-fake",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hello"}],
}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        yield opened


async def _accounts(rig: Rig) -> dict[str, str]:
    """Return the account id of each key."""
    listed = await rig.api("GET", "/accounts?limit=500")
    return {account["label"].removeprefix("account "): account["id"] for account in listed["data"]}


async def test_traces_agree_with_the_journal_of_the_provider(rig: Rig) -> None:
    provider = await rig.add_provider("messages", accounts=6)
    provider.failures_by_key["key-0"] = Failure(429, headers={"retry-after": "30"})
    provider.failures_by_key["key-1"] = Failure(401)
    turns = Counter[str]()

    async def every_other_time(seen: Seen) -> Failure | None:
        turns[seen.key] += 1
        return Failure(500) if turns[seen.key] % 2 else None

    provider.behaviours["key-2"] = every_other_time
    asked = [rig.post("/v1/messages", {**ASK, "stream": number % 2 == 0}) for number in range(60)]
    statuses = [response.status for response in await asyncio.gather(*asked)]
    assert statuses == [200] * 60
    await rig.logs(60)
    traces = await read_traces(rig)
    assert len(traces) == 60
    assert [flaw for trace in traces for flaw in flaws(trace)] == []
    told = calls_of(traces)
    journal = journal_of(provider, await _accounts(rig))
    assert journal.total() > 60, "some were asked in vain"
    comparison = compared(told, journal)
    assert comparison.agrees, comparison
    blamed = {
        (attempt["status"], attempt["blame"], attempt["rest"] is not None)
        for trace in traces
        for attempt in trace["attempts"]
        if attempt["status"] in (401, 429)
    }
    assert {(status, blame) for status, blame, _ in blamed} >= {
        (401, "account"),
        (429, "account_model"),
    }


async def test_a_dry_run_names_the_account_that_then_serves(rig: Rig) -> None:
    provider = await rig.add_provider("messages", accounts=3)
    keys = {account: key for key, account in (await _accounts(rig)).items()}
    for _ in range(6):
        told = await rig.api(
            "POST", "/route/explain", {"model": "claude-fake", "dialect": "messages"}
        )
        (route,) = [one for one in told["models"][0]["routes"] if one["provider_id"] == "anthropic"]
        assert route["way"] == "raw"
        assert (await rig.post("/v1/messages", ASK)).status == 200
        assert provider.seen[-1].key == keys[route["next"]["account_id"]]


async def test_a_refused_request_is_explained_by_the_pool_that_could_not(rig: Rig) -> None:
    provider = await rig.add_provider("messages", accounts=2)
    for key in ("key-0", "key-1"):
        provider.failures_by_key[key] = Failure(429, headers={"retry-after": "30"})
    refused = await rig.post("/v1/messages", ASK)
    assert refused.status == 429
    await rig.logs(1)
    (trace,) = await read_traces(rig)
    assert [one["status"] for one in trace["attempts"]] == [429, 429]
    assert [one["choice"] for one in trace["attempts"]] == ["strategy", "failover"]
    named = await rig.api("GET", f"/requests/{trace['request']['id']}")
    assert named == trace["request"]
    found = await rig.api("GET", f"/requests/{refused.headers['request-id']}/trace")
    assert found == trace


def test_a_comparison_finds_what_was_invented_and_what_is_missing() -> None:
    told = Counter({("a", "u", 200): 2, ("a", "u", 429): 1, ("b", "u", 0): 1})
    journal = Counter({("a", "u", 200): 3, ("b", "u", 200): 1, ("b", "u", 0): 4})
    found = compared(told, journal)
    assert found.invented == {("a", "u", 429): 1}
    assert found.missing == {("a", "u", 200): 1, ("b", "u", 0): 4}
    assert compared(journal, journal).agrees
