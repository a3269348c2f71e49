"""The routes below `/v1/responses`."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from models.json_types import Json
from services.stored_responses import StoredResponse
from tests.handlers.model_api import ADMIN_KEY, KEY, Served, serving
from tests.services.executor_rig import Rig, chat_answer

pytestmark = pytest.mark.usefixtures("way")

ANSWER: dict[str, Json] = {
    "id": "resp_abc",
    "object": "response",
    "status": "completed",
    "output": [{"id": "msg_1", "type": "message", "role": "assistant", "content": []}],
}
INPUT: list[Json] = [
    {"role": "user", "content": "one"},
    {"type": "message", "role": "assistant", "content": "two"},
    {"type": "function_call", "id": "fc_9", "call_id": "c", "name": "wx", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "four"},
]
ITEMS = "/v1/responses/resp_abc/input_items"


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving(Rig(chat_answer)) as running:
        await running.stored.put(KEY, StoredResponse(INPUT, ANSWER))
        yield running


async def listed(served: Served, query: str = "") -> dict[str, Any]:
    response = await served.call("GET", ITEMS + query)
    assert response.status == 200
    payload: dict[str, Any] = await response.json()
    return payload


async def test_a_stored_answer_is_shown_and_forgotten(served: Served) -> None:
    response = await served.call("GET", "/v1/responses/resp_abc")
    assert (response.status, await response.json()) == (200, ANSWER)
    assert response.headers["cache-control"] == "no-store"
    gone = await served.call("DELETE", "/v1/responses/resp_abc")
    assert await gone.json() == {
        "id": "resp_abc",
        "object": "response.deleted",
        "deleted": True,
    }
    for method in ("GET", "DELETE"):
        assert (await served.call(method, "/v1/responses/resp_abc")).status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/responses/{}"),
        ("DELETE", "/v1/responses/{}"),
        ("GET", "/v1/responses/{}/input_items"),
        ("POST", "/v1/responses/{}/cancel"),
    ],
)
async def test_nobody_sees_what_is_another_keys_or_not_there(
    served: Served, method: str, path: str
) -> None:
    for key, response_id in ((ADMIN_KEY, "resp_abc"), (KEY, "resp_other"), (KEY, "a%2Fb")):
        response = await served.call(method, path.format(response_id), key=key)
        assert response.status == 404
        error = (await response.json())["error"]
        assert error["type"] == "invalid_request_error"
    assert (await served.call("GET", "/v1/responses/resp_abc")).status == 200


async def test_input_items_are_in_the_long_form_newest_first(served: Served) -> None:
    page = await listed(served)
    assert (page["object"], page["has_more"]) == ("list", False)
    assert [item["type"] for item in page["data"]] == [
        "function_call_output",
        "function_call",
        "message",
        "message",
    ]
    first = page["data"][-1]
    assert first == {
        "id": "item_abc_0",
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": "one"}],
    }
    assert page["data"][2]["content"][0]["type"] == "output_text"
    assert (page["first_id"], page["last_id"]) == ("item_abc_3", "item_abc_0")
    assert (await listed(served, "?order=asc"))["data"] == page["data"][::-1]


async def test_input_items_come_in_pages(served: Served) -> None:
    found, query = [], "?order=asc&limit=3"
    while True:
        page = await listed(served, query)
        found += [item["id"] for item in page["data"]]
        if not page["has_more"]:
            break
        query = f"?order=asc&limit=3&after={page['last_id']}"
    assert found == ["item_abc_0", "item_abc_1", "fc_9", "item_abc_3"]
    after_the_last = await listed(served, "?after=item_abc_0")
    assert (after_the_last["data"], after_the_last["first_id"]) == ([], None)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("?limit=0", "limit"),
        ("?limit=101", "limit"),
        ("?limit=-1", "limit"),
        ("?limit=x", "limit"),
        ("?limit=9999999999", "limit"),
        ("?limit=%D9%A3", "limit"),
        ("?limit=", "limit"),
        ("?order=up", "order"),
        ("?after=none", "after"),
    ],
)
async def test_what_a_page_cannot_be_is_named(served: Served, query: str, param: str) -> None:
    response = await served.call("GET", ITEMS + query)
    assert (response.status, (await response.json())["error"]["param"]) == (400, param)


async def test_what_cannot_be_had_is_said(served: Served) -> None:
    cancelled = await served.call("POST", "/v1/responses/resp_abc/cancel")
    assert cancelled.status == 400
    assert "background" in (await cancelled.json())["error"]["message"]
    streamed = await served.call("GET", "/v1/responses/resp_abc?stream=true")
    assert (streamed.status, (await streamed.json())["error"]["param"]) == (400, "stream")


async def test_a_socket_is_refused_so_that_codex_posts_at_once(served: Served) -> None:
    head = (
        b"GET /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ak_client\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    answer = await served.wire(head)
    assert answer.startswith(b"HTTP/1.1 426 ")
    assert b"\r\nUpgrade: HTTP/1.1\r\n" in answer
    assert b'"error"' in answer
    stranger = await served.wire(head.replace(b"ak_client", b"ak_nobody"))
    assert stranger.startswith(b"HTTP/1.1 401 ")


async def test_without_a_wish_for_a_socket_it_is_the_wrong_method(served: Served) -> None:
    response = await served.call("GET", "/v1/responses")
    assert (response.status, response.headers["allow"]) == (405, "POST")
    assert (await response.json())["error"]["type"] == "invalid_request_error"
