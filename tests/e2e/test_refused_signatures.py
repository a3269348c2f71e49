"""Conversations go on over accounts that refuse each other's signed thoughts."""

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dialects.signatures import tagged
from tests.e2e.harness import Rig, open_rig
from tests.fakes.formats.base import Seen
from tests.fakes.provider import Failure, FakeProvider, Kind
from tests.fakes.scenarios import Call, Scenario, sign

Item = dict[str, Any]

TURNS = 6
TIDY = "Tidy up the folder with the letters, please."
"""Long enough to know a conversation by."""
SHELL = {"type": "function", "name": "shell", "parameters": {"type": "object", "properties": {}}}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        yield opened


def calling(seen: Seen) -> Scenario:
    """Call a tool in every turn but the last."""
    turn = sum(item.get("type") == "function_call_output" for item in seen.payload["input"])
    call = Call(f"call_{turn}", "shell", {"command": f"step {turn}"})
    if turn < TURNS - 1:
        return Scenario(thinking=("hm",), text=(), calls=(call,), stop="tools")
    return Scenario(thinking=("hm",), text=("Done.",))


async def items_of(rig: Rig, history: list[Item]) -> tuple[list[Item], str]:
    """Return the items of a streamed answer, and what had to be left out for it."""
    body = {
        "model": "gpt-5",
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "tools": [SHELL],
        "input": history,
    }
    response = await rig.post("/v1/responses", body)
    text = await response.text()
    assert response.status == 200, text
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    assert events[-1]["type"] == "response.completed"
    return events[-1]["response"]["output"], response.headers.get("x-aigateway-dropped", "")


async def two_organisations(rig: Rig) -> FakeProvider:
    provider = await rig.add_provider("chat", accounts=0)
    for key in ("key-1@north", "key-2@south"):
        await rig.add_account("openai", key)
    provider.respond = calling
    return provider


async def test_a_conversation_of_codex_over_two_organisations_is_answered_to_its_end(
    tmp_path: Path,
) -> None:
    async with open_rig(tmp_path, {"AIGATEWAY_AFFINITY__ENABLED": "false"}) as rig:
        await _answered_to_its_end(rig)


async def _answered_to_its_end(rig: Rig) -> None:
    provider = await two_organisations(rig)
    history: list[Item] = [{"type": "message", "role": "user", "content": TIDY}]
    dropped = []
    for turn in range(TURNS):
        items, left_out = await items_of(rig, history)
        history += items
        if turn < TURNS - 1:
            call_id = items[-1]["call_id"]
            history.append({"type": "function_call_output", "call_id": call_id, "output": "ok"})
        dropped.append(left_out)
    assert history[-1]["content"][0]["text"] == "Done."
    # Both took turns, each made thoughts, and each refused those of the other once they met.
    signatures = [item["encrypted_content"] for item in history if item["type"] == "reasoning"]
    assert len(signatures) == TURNS
    assert len(set(signatures)) == 2
    assert dropped == ["", *["signatures"] * (TURNS - 1)]
    assert sorted(provider.by_key.values()) == [TURNS - 1, TURNS]
    for row in await rig.logs(TURNS):
        assert (row["status"], row["attempts"], row["error_code"]) == (200, 1, None)


async def test_a_conversation_that_stays_with_its_account_keeps_its_thoughts(rig: Rig) -> None:
    provider = await two_organisations(rig)
    assert await left_out_in_turns(rig, TURNS - 1) == [""] * (TURNS - 1)
    assert list(provider.by_key.values()) == [TURNS - 1]


async def test_a_conversation_whose_account_cannot_serve_goes_on_with_another_organisation_s(
    rig: Rig,
) -> None:
    provider = await two_organisations(rig)

    async def limited(home: str) -> None:
        provider.failures_by_key[home] = Failure(429, headers={"retry-after": "600"})

    dropped = await left_out_in_turns(rig, TURNS - 1, before_the_third=limited)
    # The thoughts of home are left out for the lender, turn by turn; its own come with them.
    assert dropped == ["", "", *["signatures"] * (TURNS - 3)]
    assert {"key-1@north", "key-2@south"} == set(provider.by_key)
    for row in await rig.logs(TURNS - 1):
        assert (row["status"], row["error_code"]) == (200, None)


async def left_out_in_turns(
    rig: Rig,
    turns: int,
    before_the_third: Callable[[str], Awaitable[None]] | None = None,
) -> list[str]:
    """Return what each turn of a conversation has lost."""
    provider = rig.providers["chat"]
    history: list[Item] = [{"type": "message", "role": "user", "content": TIDY}]
    found = []
    for turn in range(turns):
        if turn == 2 and before_the_third is not None:
            await before_the_third(next(iter(provider.by_key)))
        items, left_out = await items_of(rig, history)
        call_id = items[-1]["call_id"]
        history += [*items, {"type": "function_call_output", "call_id": call_id, "output": "ok"}]
        found.append(left_out)
    return found


async def test_accounts_of_one_organisation_keep_their_thoughts(tmp_path: Path) -> None:
    async with open_rig(tmp_path, {"AIGATEWAY_AFFINITY__ENABLED": "false"}) as rig:
        provider = await rig.add_provider("chat", accounts=2)
        provider.respond = calling
        assert await left_out_in_turns(rig, TURNS - 1) == [""] * (TURNS - 1)
        assert len(provider.seen) == TURNS - 1
        assert len(provider.by_key) == 2


# --- the other formats ------------------------------------------------------------------------

SPOILT = sign("anthropic", "something else")
MESSAGES: Item = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 4096,
    "thinking": {"type": "enabled", "budget_tokens": 2048},
    "tools": [{"name": "shell", "input_schema": {"type": "object"}}],
    "messages": [
        {"role": "user", "content": "Tidy up."},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": SPOILT},
                {"type": "tool_use", "id": "toolu_1", "name": "shell", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}],
        },
    ],
}


def gemini(signature: str, *, thought: bool) -> Item:
    call: Item = {"functionCall": {"id": "c", "name": "shell", "args": {}}}
    thinks: Item = {"thinkingBudget": 2048} if thought else {"thinkingLevel": "LOW"}
    signed: list[Item] = (
        [{"text": "hm", "thought": True, "thoughtSignature": signature}, call]
        if thought
        else [{**call, "thoughtSignature": signature}]
    )
    result: Item = {"functionResponse": {"id": "c", "name": "shell", "response": {"output": "ok"}}}
    return {
        "contents": [
            {"role": "user", "parts": [{"text": "Tidy up."}]},
            {"role": "model", "parts": signed},
            {"role": "user", "parts": [result]},
        ],
        "tools": [{"functionDeclarations": [{"name": "shell"}]}],
        "generationConfig": {"maxOutputTokens": 8192, "thinkingConfig": thinks},
    }


TAGGED = base64.b64encode(tagged("claude-ca", SPOILT).encode()).decode()


@pytest.mark.parametrize(
    ("kind", "path", "body"),
    [
        pytest.param("messages", "/v1/messages", MESSAGES, id="Anthropic"),
        pytest.param(
            "gemini",
            "/v1beta/models/gemini-3-pro:generateContent",
            gemini(SPOILT, thought=False),
            id="Gemini",
        ),
        pytest.param(
            "antigravity",
            "/v1beta/models/antigravity%2Fgemini-3-pro:generateContent",
            gemini(SPOILT, thought=False),
            id="Code Assist",
        ),
        pytest.param(
            "antigravity",
            "/v1beta/models/antigravity%2Fclaude-sonnet-4-6-thinking:generateContent",
            gemini(TAGGED, thought=True),
            id="Claude behind Code Assist",
        ),
    ],
)
async def test_spoilt_signatures_end_no_running_loop_of_tools(
    rig: Rig, kind: Kind, path: str, body: Item
) -> None:
    provider = await rig.add_provider(kind)
    response = await rig.post(path, body)
    assert response.status == 200, await response.text()
    assert response.headers["x-aigateway-dropped"] == "signatures"
    assert "wörld" in await response.text()
    # The provider refuses whatever is wrong with the second one.
    assert len(provider.seen) == 2
    assert SPOILT.encode() not in provider.seen[1].body
