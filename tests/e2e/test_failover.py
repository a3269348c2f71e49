"""What one account cannot serve, another does; what nobody can is told with its reason."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Rig, open_rig
from tests.fakes.formats.messages import messages_stream
from tests.fakes.provider import Failure
from tests.fakes.scenarios import Scenario

ASK: dict[str, Any] = {
    "model": "claude-fake",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hello"}],
}
OVERLOADED = (
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
    b'"message":"Overloaded"}}\n\n'
)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 529])
@pytest.mark.parametrize("stream", [False, True])
async def test_another_account_serves_what_one_could_not(
    rig: Rig, status: int, stream: bool
) -> None:
    provider = await rig.add_provider("messages", accounts=2)
    provider.failures_by_key["key-0"] = Failure(status)
    for _ in range(4):
        response = await rig.post("/v1/messages", {**ASK, "stream": stream})
        assert response.status == 200
    assert provider.by_key["key-1"] == 4
    assert 1 <= provider.by_key["key-0"] <= 2


async def test_an_account_whose_connection_fails_is_passed_over(rig: Rig) -> None:
    await rig.add_provider("messages", accounts=1)
    dead = {"id": "dead", "name": "dead", "dialect": "messages", "base_url": "http://127.0.0.1:9"}
    await rig.api("POST", "/providers", {**dead, "prefixes": ["claude-"]})
    await rig.add_account("dead", "key-dead")
    await rig.api("PATCH", "/providers/anthropic", {"prefixes": ["claude-fake"]})
    response = await rig.post("/v1/messages", {**ASK, "model": "dead/claude-fake"})
    assert response.status == 502
    assert (await rig.post("/v1/messages", ASK)).status == 200


async def test_four_accounts_are_tried_at_most(rig: Rig) -> None:
    provider = await rig.add_provider("messages", accounts=6)
    provider.failures = [Failure(500)] * 6
    response = await rig.post("/v1/messages", ASK)
    assert response.status == 502
    assert len(provider.seen) == 4
    assert len({seen.key for seen in provider.seen}) == 4
    (row,) = await rig.logs(1)
    assert (row["attempts"], row["status"], row["error_code"]) == (4, 502, "upstream_error")


async def test_a_bad_request_is_told_as_the_provider_said_it_and_tried_once(rig: Rig) -> None:
    provider = await rig.add_provider("messages", accounts=3)
    body = b'{"type":"error","error":{"type":"invalid_request_error","message":"no"},"x":1}'
    provider.failures = [Failure(400, body)]
    response = await rig.post("/v1/messages", ASK)
    assert (response.status, await response.read()) == (400, body)
    assert len(provider.seen) == 1
    assert (await rig.post("/v1/messages", ASK)).status == 200


async def test_retry_after_keeps_the_account_out_until_an_operator_resets_it(rig: Rig) -> None:
    provider = await rig.add_provider("messages")
    provider.failures = [Failure(429, headers={"retry-after": "600"})]
    first = await rig.post("/v1/messages", ASK)
    assert (first.status, first.headers["retry-after"]) == (429, "600")
    second = await rig.post("/v1/messages", ASK)
    assert second.status == 429
    assert 590 <= int(second.headers["retry-after"]) <= 600
    assert second.headers["x-should-retry"] == "false"
    assert "1 cooling_rate_limit" in (await second.json())["error"]["message"]
    assert len(provider.seen) == 1
    (account,) = (await rig.api("GET", "/accounts"))["data"]
    await rig.api("POST", f"/accounts/{account['id']}/reset")
    assert (await rig.post("/v1/messages", ASK)).status == 200


async def test_a_limit_of_one_model_leaves_the_others_alone(rig: Rig) -> None:
    provider = await rig.add_provider("messages")
    provider.failures = [Failure(429, headers={"retry-after": "600"})]
    assert (await rig.post("/v1/messages", ASK)).status == 429
    assert (await rig.post("/v1/messages", {**ASK, "model": "claude-other"})).status == 200


async def test_no_account_at_all_is_503_in_each_dialect(rig: Rig) -> None:
    messages = await rig.post("/v1/messages", ASK)
    chat = await rig.post("/v1/chat/completions", {**ASK, "model": "gpt-x"})
    for response in (messages, chat):
        assert response.status == 503
        assert int(response.headers["retry-after"]) >= 1
    assert (await messages.json())["type"] == "error"
    assert "type" in (await chat.json())["error"]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_a_stream_that_opens_with_an_error_is_served_by_another_account(
    rig: Rig, path: str
) -> None:
    provider = await rig.add_provider("messages", accounts=2)
    good = list(messages_stream(Scenario()))
    provider.raw_streams = [[good[0], OVERLOADED], good]
    response = await rig.post(path, {**ASK, "stream": True})
    assert response.status == 200
    assert b"Overloaded" not in await response.read()
    assert response.headers["x-aigateway-attempts"] == "2"


async def test_an_error_after_content_is_told_and_nothing_is_tried_again(rig: Rig) -> None:
    provider = await rig.add_provider("messages", accounts=2)
    good = list(messages_stream(Scenario()))
    provider.raw_stream = [*good[:3], OVERLOADED]
    response = await rig.post("/v1/messages", {**ASK, "stream": True})
    body = await response.read()
    assert body == b"".join(provider.raw_stream)
    assert len(provider.seen) == 1
    (row,) = await rig.logs(1)
    assert (row["status"], row["error_code"]) == (200, "overloaded")


async def test_an_error_inside_http_200_is_an_error(rig: Rig) -> None:
    provider = await rig.add_provider("glm", accounts=2)
    body = json.dumps({"error": {"code": "1305", "message": "busy"}}).encode()
    provider.failures_by_key["key-0"] = Failure(200, body)
    for _ in range(2):
        response = await rig.post("/v1/chat/completions", {**ASK, "model": "glm-fake"})
        assert response.status == 200
        assert b"choices" in await response.read()
    assert provider.by_key["key-1"] == 2


@pytest.mark.parametrize("body", [b"", b"<html>bad gateway</html>", b"[1,2]", b'"x"', b"{"])
async def test_an_answer_that_is_no_answer_is_a_bad_gateway(rig: Rig, body: bytes) -> None:
    provider = await rig.add_provider("messages")
    provider.failures_by_key["key-0"] = Failure(200, body or b" ")
    response = await rig.post("/v1/messages", ASK)
    assert response.status == 502
    assert (await response.json())["type"] == "error"


async def test_the_first_provider_of_a_prefix_with_a_usable_account_serves(rig: Rig) -> None:
    provider = await rig.add_provider("messages", accounts=0)
    other = await rig.add_provider("glm")
    await rig.api("PATCH", "/providers/glm", {"prefixes": ["glm-", "claude-"]})
    body = {**ASK, "model": "claude-fake"}
    assert (await rig.post("/v1/messages", body)).headers["x-aigateway-provider"] == "glm"
    await rig.add_account("anthropic", "key-0")
    assert (await rig.post("/v1/messages", body)).headers["x-aigateway-provider"] == "anthropic"
    assert (len(provider.seen), len(other.seen)) == (1, 1)


async def test_requests_go_round_exactly(rig: Rig) -> None:
    provider = await rig.add_provider("messages", accounts=10)
    for _ in range(8):
        await asyncio.gather(*[rig.post("/v1/messages", ASK) for _ in range(50)])
    assert set(provider.by_key.values()) == {40}
    assert len(provider.by_key) == 10


async def test_only_admin_keys_see_which_account_served(rig: Rig) -> None:
    await rig.add_provider("messages")
    mine = await rig.post("/v1/messages", ASK)
    theirs = await rig.post("/v1/messages", ASK, key=rig.admin_key)
    (account,) = (await rig.api("GET", "/accounts"))["data"]
    assert "x-aigateway-account" not in mine.headers
    assert theirs.headers["x-aigateway-account"] == account["id"]


async def test_a_request_id_comes_in_goes_out_and_is_stored(rig: Rig) -> None:
    await rig.add_provider("messages")
    sane = await rig.post("/v1/messages", ASK, headers={"x-request-id": "trace-1.2:3"})
    odd = await rig.post("/v1/messages", ASK, headers={"x-request-id": "a b<script>"})
    assert sane.headers["x-request-id"] == "trace-1.2:3"
    assert odd.headers["x-request-id"] != "a b<script>"
    rows = await rig.logs(2)
    assert {row["client_request_id"] for row in rows} == {"trace-1.2:3", None}
    assert odd.headers["x-request-id"] in {row["id"] for row in rows}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
async def test_a_credential_that_the_provider_repeats_is_masked(
    rig: Rig, path: str, status: int
) -> None:
    provider = await rig.add_provider("messages")
    error = {"type": "invalid_request_error", "message": "key-0 is not what it should be"}
    body = json.dumps({"type": "error", "error": error}).encode()
    provider.failures_by_key["key-0"] = Failure(status, body)
    response = await rig.post(path, ASK)
    assert response.status >= 400
    text = await response.text()
    assert "key-0" not in text
    if status == 400:
        assert "*** is not what it should be" in text
