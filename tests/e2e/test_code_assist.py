"""Code Assist behind the whole gateway: projects, envelope, Google's models and Claude."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Rig, open_rig
from tests.fakes.provider import Failure, FakeProvider
from tests.fakes.scenarios import Call, Scenario

GEMINI, CLAUDE = "antigravity/gemini-3-pro-high", "antigravity/claude-sonnet-4-6-thinking"
TOOLS = [
    {"type": "function", "function": {"name": "now", "description": "The time"}},
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "minLength": 1},
                    "options": {"type": "object", "properties": {"unit": {"const": "C"}}},
                },
                "$schema": "x",
                "additionalProperties": False,
            },
        },
    },
]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncGenerator[Rig]:
    async with open_rig(tmp_path) as opened:
        yield opened


async def code_assist(rig: Rig) -> FakeProvider:
    """Start one and add an account with a bearer token that knows no project."""
    fake = await rig.add_provider("antigravity", accounts=0)
    await rig.add_account(
        "antigravity", "", auth_type="bearer", auth_data={"token": "ya29.bearer-token-1"}
    )
    return fake


def asked(model: str, **fields: object) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}], **fields}


@pytest.mark.parametrize("is_new", [False, True], ids=["has a project", "is let in first"])
async def test_the_project_is_found_once_stored_and_used(rig: Rig, is_new: bool) -> None:
    fake = await code_assist(rig)
    fake.onboarding.is_done = not is_new
    for _ in range(3):
        response = await rig.post("/v1/chat/completions", asked(GEMINI))
        assert response.status == 200, await response.text()
    assert fake.onboarding.steps.count("load") == 1
    assert fake.onboarding.steps.count("onboard") == int(is_new)
    sent = fake.seen[-1].payload
    assert (sent["project"], sent["userAgent"]) == ("project-found", "aigateway")
    assert sent["model"] == "gemini-3-pro-high"
    assert fake.seen[-1].headers["user-agent"].startswith("aigateway/")
    (account,) = (await rig.api("GET", "/accounts"))["data"]
    assert account["metadata"] == {"project_id": "project-found"}


@pytest.mark.parametrize("model", [GEMINI, CLAUDE])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_tools_that_the_service_would_refuse_are_put_right(
    rig: Rig, model: str, stream: bool
) -> None:
    fake = await code_assist(rig)
    fake.scenario = Scenario(calls=(Call("c1", "weather", {"city": "Roma"}),), stop="tools")
    body = asked(model, tools=TOOLS, tool_choice="required", stream=stream, seed=5, n=1)
    response = await rig.post("/v1/chat/completions", body)
    text = await response.text()
    assert response.status == 200, text
    assert "Roma" in text
    assert "weather" in text


async def test_a_tool_turn_with_thoughts_goes_back_to_claude(rig: Rig) -> None:
    fake = await code_assist(rig)
    fake.scenario = Scenario(thinking=("Use ", "it."), calls=(Call("c1", "now", {}),), stop="tools")
    body: dict[str, Any] = {
        "model": CLAUDE,
        "max_tokens": 4000,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "tools": [{"name": "now", "input_schema": {"type": "object", "properties": {}}}],
        "messages": [{"role": "user", "content": "What time is it?"}],
    }
    answer = await (await rig.post("/v1/messages", body)).json()
    thought, call = (
        next(b for b in answer["content"] if b["type"] == kind) for kind in ("thinking", "tool_use")
    )
    assert call["input"] == {}
    body["messages"] += [
        {"role": "assistant", "content": answer["content"]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "noon"}],
        },
    ]
    response = await rig.post("/v1/messages", body)
    assert response.status == 200, await response.text()
    sent = fake.seen[-1].payload["request"]
    parts = sent["contents"][1]["parts"]
    assert parts[0]["thought"] is True
    assert parts[0]["text"] == thought["thinking"] == "Use it."
    assert sent["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 2000


@pytest.mark.parametrize("model", [GEMINI, CLAUDE])
async def test_tokens_are_counted_with_the_system_text_and_the_tools(rig: Rig, model: str) -> None:
    fake = await code_assist(rig)
    body = {
        "model": model,
        "system": "Be brief.",
        "tools": [{"name": "now", "input_schema": {"type": "object"}}],
        "messages": [{"role": "user", "content": "Hi"}],
    }
    response = await rig.post("/v1/messages/count_tokens", body)
    assert response.status == 200, await response.text()
    assert (await response.json())["input_tokens"] == fake.scenario.prompt_tokens
    assert "x-aigateway-estimated" not in response.headers
    counted = fake.seen[-1].payload["request"]
    assert set(counted) == {"model", "contents"}
    assert "Be brief." in str(counted["contents"])
    assert "now" in str(counted["contents"])


async def test_models_are_listed_without_the_editors_own(rig: Rig) -> None:
    fake = await rig.add_provider("antigravity", accounts=0)
    fake.models = ("gemini-3-pro-high", "claude-sonnet-4-6")
    await rig.add_account(
        "antigravity", "", auth_type="bearer", auth_data={"token": "ya29.bearer-token-1"}
    )
    listed: set[str] = set()
    while not listed:
        page = await rig.http.get(
            rig.url + "/v1/models", headers={"authorization": f"Bearer {rig.key}"}
        )
        listed = {model["id"] for model in (await page.json())["data"]}
    assert listed == {"gemini-3-pro-high", "claude-sonnet-4-6"}


async def test_a_used_up_quota_lets_another_account_serve(rig: Rig) -> None:
    fake = await code_assist(rig)
    await rig.add_account(
        "antigravity",
        "",
        auth_type="bearer",
        auth_data={"token": "ya29.bearer-token-2"},
        metadata={"project_id": "mine"},
    )
    told = {
        "code": 429,
        "message": "Your quota will reset after 1h2m3s.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "QUOTA_EXHAUSTED",
                "metadata": {"quotaResetDelay": "1h2m3s"},
            }
        ],
    }
    import json

    body = json.dumps({"error": told}).encode()
    fake.failures_by_key["ya29.bearer-token-1"] = Failure(429, body)
    for _ in range(4):
        response = await rig.post("/v1/chat/completions", asked(GEMINI))
        assert response.status == 200
    assert fake.by_key["ya29.bearer-token-1"] <= 1
    fake.failures_by_key["ya29.bearer-token-2"] = Failure(429, body)
    refused = await rig.post("/v1/chat/completions", asked(GEMINI))
    assert refused.status == 429
    assert 3600 < int(refused.headers["retry-after"]) <= 3723 + 31


async def test_an_account_that_could_not_sign_is_refused(rig: Rig) -> None:
    body = {"provider_id": "antigravity", "label": "a", "auth_type": "api_key"}
    told = await rig.api("POST", "/accounts", {**body, "auth_data": {"api_key": "k"}}, expect=422)
    assert told["error"]["message"] == "auth_type: provider antigravity takes bearer or oauth"
