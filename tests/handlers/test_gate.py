"""Who is let in, and in whose words errors are told."""

import json
import logging
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from handlers.app import build_app
from handlers.endpoint import Access, Endpoint
from handlers.gate import Gate
from models.errors import GatewayError
from models.ids import new_id
from tests.handlers.model_api import ADMIN_KEY, KEY, Served, serving
from tests.services.executor_rig import Rig, chat_answer

pytestmark = pytest.mark.usefixtures("way")

SHAPES = {"messages": {"type", "error", "request_id"}, "chat": {"error"}, "api": {"error"}}


async def broken(_: web.Request) -> web.StreamResponse:
    raise ValueError("our mistake")


async def begun(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"the beginning")
    raise ValueError("our mistake")


async def refused(_: web.Request) -> web.StreamResponse:
    raise GatewayError("not now", status=503, retry_after_s=1.2, details={"x": [1, {"y": None}]})


EXTRA = [
    Endpoint("GET", "/api/broken", broken, Access.ADMIN, "", "t"),
    Endpoint("GET", "/api/begun", begun, Access.PUBLIC, "", "t"),
    Endpoint("GET", "/api/refused", refused, Access.PUBLIC, "", "t"),
]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving(Rig(chat_answer), EXTRA) as running:
        yield running


def shape(response: aiohttp.ClientResponse, body: bytes) -> str:
    """Return whose error this is."""
    payload = json.loads(body)
    if set(payload) == SHAPES["messages"]:
        return "messages"
    return "chat" if "type" in payload["error"] else "api"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "whose"),
    [
        ("GET", "/v1/nothing", {}, 404, "chat"),
        ("GET", "/v1/nothing", {"anthropic_version": "2023-06-01"}, 404, "messages"),
        ("POST", "/v1/messages/nothing", {}, 404, "messages"),
        ("GET", "/nothing", {}, 404, "api"),
        ("GET", "/api/v1/nothing", {}, 404, "api"),
        ("GET", "/v1/messages", {}, 405, "messages"),
        ("PUT", "/v1/chat/completions", {}, 405, "chat"),
        ("OPTIONS", "/v1/chat/completions", {}, 405, "chat"),
        ("OPTIONS", "/v1/messages", {}, 405, "messages"),
        ("DELETE", "/v1/models", {}, 405, "chat"),
        ("POST", "/api/broken", {}, 405, "api"),
        ("POST", "/v1/messages", {"x_api_key": "ak_stranger"}, 401, "messages"),
        ("POST", "/v1/chat/completions", {"x_api_key": "ak_stranger"}, 401, "chat"),
        ("GET", "/api/broken", {"x_api_key": "ak_stranger"}, 401, "api"),
        ("GET", "/api/broken", {}, 403, "api"),
        ("GET", "/v1/models/none", {}, 404, "chat"),
        ("GET", "/v1/models/none", {"anthropic_version": "x"}, 404, "messages"),
    ],
)
async def test_an_error_is_told_in_the_format_of_its_path(
    served: Served, method: str, path: str, headers: dict[str, str], status: int, whose: str
) -> None:
    response = await served.call(method, path, **headers)
    body = await response.read()
    assert (response.status, shape(response, body)) == (status, whose)
    assert response.content_type == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert len(response.headers["x-request-id"]) == 32
    assert response.headers["server"] == "aigateway"
    if status == 405:
        assert method not in response.headers["allow"].split(",")
    if whose == "messages":
        assert json.loads(body)["request_id"] == response.headers["request-id"]


async def test_head_is_get_without_its_body(served: Served) -> None:
    head, get = [await served.call(method, "/v1/models") for method in ("HEAD", "GET")]
    assert (head.status, await head.read()) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    assert (await served.call("HEAD", "/v1/models", key="ak_stranger")).status == 401
    assert (await served.call("HEAD", "/v1/messages")).status == 405


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [
        ("trace-1.2:3_4", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("-a", False),
        ("a b", False),
        ("é", False),
        ("", False),
    ],
)
async def test_a_sane_request_id_is_kept(served: Served, given: str, is_kept: bool) -> None:
    for path in ("/v1/models", "/nothing"):
        told = (await served.call("GET", path, x_request_id=given)).headers["x-request-id"]
        assert (told == given) == is_kept
        assert told


async def test_a_mistake_of_ours_is_a_500_whose_cause_only_the_log_has(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    response = await served.call("GET", "/api/broken", key=ADMIN_KEY)
    text = await response.text()
    assert response.status == 500
    assert json.loads(text)["error"]["code"] == "internal"
    assert "our mistake" not in text
    assert "our mistake" in caplog.text


async def test_an_answer_that_breaks_off_is_not_followed_by_another(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    sent = await served.wire(b"GET /api/begun HTTP/1.1\r\nHost: x\r\n\r\n")
    assert sent.count(b"HTTP/1.1") == 1
    assert sent.endswith(b"the beginning\r\n")
    assert b"\r\n0\r\n" not in sent
    assert "our mistake" in caplog.text


async def test_details_and_waits_of_an_error_are_told(served: Served) -> None:
    response = await served.call("GET", "/api/refused")
    assert (response.status, response.headers["retry-after"]) == (503, "2")
    assert (await response.json())["error"]["details"] == {"x": [1, {"y": None}]}


async def test_a_client_that_left_is_no_failure_of_ours(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async def leaving(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        raise ConnectionResetError("the client is gone")

    endpoint = Endpoint("GET", "/api/leaving", leaving, Access.PUBLIC, "", "t")
    async with serving(Rig(chat_answer), [endpoint]) as other:
        assert await other.wire(b"GET /api/leaving HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_two_routes_must_not_share_a_handler() -> None:
    shared = [
        Endpoint(method, "/x", broken, access, "", "t")
        for method, access in (("GET", Access.PUBLIC), ("POST", Access.ADMIN))
    ]
    with pytest.raises(ValueError, match="share a handler"):
        Gate(shared, None, {})  # type: ignore[arg-type] # refused before it is used
    with pytest.raises(ValueError, match="share a handler"):
        build_app(shared, None, {})  # type: ignore[arg-type]


async def test_keys_are_not_told_apart_by_what_they_open(served: Served) -> None:
    told = set()
    for key in ("ak_stranger", "", KEY[:-1]):
        response = await served.call("POST", "/v1/messages", {}, key=key, x_request_id=new_id())
        payload = await response.json()
        told.add((response.status, payload["error"]["type"], payload["error"]["message"]))
    assert len(told) == 1
