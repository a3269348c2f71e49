"""What one API key left with us, no other finds: by no route, no id, no reference."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e.harness import Rig, open_rig
from tests.security.shapes import error_of, failures_in

ODD = (
    "*", "responses:*", "item:msg_1", "../x", "a/b", "a:b", "a\x00b", "a\nb", "é", "x" * 200,
    "x" * 3_000, "resp_", " ", "%00", "?", "#", "input_items", "null", "0",
)  # fmt: skip


@pytest.fixture
async def rig(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        await opened.add_provider("chat")
        await opened.add_provider("messages")
        caplog.set_level(logging.DEBUG)
        yield opened
    assert failures_in(caplog) == []


async def new_key(rig: Rig) -> tuple[str, str]:
    made = await rig.api("POST", "/api-keys", {"name": "another"})
    return made["id"], made["key"]


async def stored(rig: Rig, key: str, model: str) -> dict[str, Any]:
    """Return an answer that the gateway keeps for a key."""
    response = await rig.post("/v1/responses", {"model": model, "input": "secret plan"}, key=key)
    assert response.status == 200
    answer: dict[str, Any] = await response.json()
    return answer


async def statuses(rig: Rig, key: str, response_id: str) -> set[int]:
    """Return what every route says of an id."""
    path = f"{rig.url}/v1/responses/{quote(response_id, safe='')}"
    headers = {"authorization": f"Bearer {key}"}
    found = set()
    for method, tail in (
        ("GET", ""), ("HEAD", ""), ("GET", "/input_items"), ("POST", "/cancel"), ("DELETE", ""),
    ):  # fmt: skip
        async with rig.http.request(method, path + tail, headers=headers) as response:
            found.add(response.status)
            body = await response.read()
            assert b"secret plan" not in body
            if method != "HEAD":
                error_of("/v1/responses", body)
    return found


@pytest.mark.parametrize("model", ["gpt-fake", "claude-fake"], ids=["raw", "translated"])
async def test_another_keys_answer_is_there_for_nobody_else(rig: Rig, model: str) -> None:
    answer = await stored(rig, rig.key, model)
    _, stranger = await new_key(rig)
    for key in (stranger, rig.admin_key):
        assert await statuses(rig, key, answer["id"]) == {404}
        for asked in (
            {"previous_response_id": answer["id"], "input": "And?"},
            {"input": [{"type": "item_reference", "id": answer["output"][0]["id"]}]},
            {"input": [{"id": answer["output"][0]["id"]}]},
        ):
            for path in ("/v1/responses", "/v1/responses/input_tokens"):
                response = await rig.post(path, {"model": model, **asked}, key=key)
                assert response.status in {400, 404}, asked
                assert "not found" in error_of(path, await response.read())["message"]
    assert len(rig.providers["chat" if model == "gpt-fake" else "messages"].seen) == 1
    path = f"{rig.url}/v1/responses/{answer['id']}"
    async with rig.http.get(path, headers={"authorization": f"Bearer {rig.key}"}) as response:
        assert response.status == 200  # nobody deleted it


async def test_an_id_is_never_more_than_an_id(rig: Rig) -> None:
    await stored(rig, rig.key, "gpt-fake")
    for response_id in ODD:
        assert await statuses(rig, rig.key, response_id) <= {404, 405, 400}, response_id
        asked = {"model": "gpt-fake", "previous_response_id": response_id, "input": "x"}
        response = await rig.post("/v1/responses", asked)
        assert response.status == 400
        assert len(error_of("/v1/responses", await response.read())["message"]) < 800


async def test_with_a_key_goes_what_was_left_with_it(rig: Rig) -> None:
    key_id, key = await new_key(rig)
    answer = await stored(rig, key, "gpt-fake")
    await rig.api("DELETE", f"/api-keys/{key_id}")
    assert await statuses(rig, key, answer["id"]) == {401}
    _, again = await new_key(rig)
    assert await statuses(rig, again, answer["id"]) == {404}


@pytest.mark.parametrize("model", ["gpt-fake", "claude-fake"], ids=["raw", "translated"])
@pytest.mark.parametrize(
    "fields", [{"background": True}, {"conversation": "conv_1"}, {"conversation": {"id": "c"}}]
)
async def test_nothing_is_left_with_an_account_that_many_share(
    rig: Rig, model: str, fields: dict[str, object]
) -> None:
    asked = {"model": model, "input": "x", **fields}
    for path in ("/v1/responses", "/v1/responses/input_tokens"):
        response = await rig.post(path, asked)
        if "background" in fields and path != "/v1/responses":
            continue  # a count runs nowhere
        assert response.status == 400
        assert error_of(path, await response.read())["param"] == next(iter(fields))
    for fake in rig.providers.values():
        assert [seen.path for seen in fake.seen if "token" not in seen.path] == []
