"""Google's clients: their streams, keys, lists and errors over HTTP."""

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from dialects.base import ModelEntry
from models.errors import StreamBroken
from tests.fakes.transport import Answer, Sent, whole
from tests.handlers.model_api import KEY, Served, serving
from tests.services.executor_rig import Rig, chat_answer

ASK = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
ONE = "/v1beta/models/gpt-x:generateContent"
STREAM = "/v1beta/models/gpt-x:streamGenerateContent"
COUNT = "/v1beta/models/gpt-x:countTokens"
PLACES = {"header": ({"x-goog-api-key": KEY}, ""), "query": ({}, f"key={KEY}")}


@pytest.fixture
def rig() -> Rig:
    rig = Rig(chat_answer)
    entries = tuple(ModelEntry(f"gpt-{name}", "openai", 1_760_000_000) for name in "abc")
    rig.snapshot = replace(rig.snapshot, models={"openai": entries})
    return rig


@pytest.fixture
async def served(rig: Rig) -> AsyncIterator[Served]:
    async with serving(rig) as running:
        yield running


async def called(
    served: Served, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, str, bytes]:
    """Call with nothing but the given headers; return status, type and body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with served.http.request(method, served.url + path, json=body, headers=named) as told:
        return told.status, told.content_type, await told.read()


def elements(body: bytes) -> list[dict[str, Any]]:
    """Return what the events of a stream hold."""
    return [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data")]


@pytest.mark.parametrize("version", ["/v1beta", "/v1"])
@pytest.mark.parametrize("place", PLACES)
async def test_a_key_counts_in_the_header_and_in_the_query(
    served: Served, rig: Rig, caplog: pytest.LogCaptureFixture, version: str, place: str
) -> None:
    caplog.set_level(logging.DEBUG)
    headers, query = PLACES[place]
    paths = [(ONE, "POST"), (STREAM, "POST"), (COUNT, "POST"), ("/v1beta/models", "GET")]
    for path, method in [*paths, ("/v1beta/models/gpt-a", "GET")]:
        body = ASK if method == "POST" else None
        target = f"{version}{path.removeprefix('/v1beta')}?{query}"
        status, _, told = await called(served, method, target, body, **headers)
        assert status == 200, (target, told)
        assert KEY.encode() not in told
    for sent in rig.transport.sent:
        assert KEY not in sent.request.url
        assert KEY not in str(sent.request.headers)
    assert KEY not in caplog.text


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
async def test_a_key_in_the_query_counts_for_google_only(served: Served, path: str) -> None:
    status, _, told = await called(served, "POST", f"{path}?key={KEY}", {"model": "gpt-x"})
    assert status == 401
    assert KEY.encode() not in told


async def test_a_stream_is_events_or_an_array_as_the_client_asks(served: Served) -> None:
    status, kind, events = await called(
        served, "POST", f"{STREAM}?alt=sse", ASK, x_goog_api_key=KEY
    )
    assert (status, kind) == (200, "text/event-stream")
    told = elements(events)
    assert len(told) > 1
    for query in ("", "?alt=json", "?prettyPrint=false&$alt=json;enum-encoding=int", "?fields=a"):
        status, kind, array = await called(served, "POST", STREAM + query, ASK, x_goog_api_key=KEY)
        assert (status, kind) == (200, "application/json")
        assert [one["candidates"] for one in json.loads(array)] == [
            one["candidates"] for one in told
        ]


async def test_the_whole_answer_is_one_object_whatever_alt_says(served: Served) -> None:
    for query in ("", "?alt=sse", "?alt=json"):
        status, kind, told = await called(served, "POST", ONE + query, ASK, x_goog_api_key=KEY)
        assert (status, kind) == (200, "application/json")
        parts = json.loads(told)["candidates"][0]["content"]["parts"]
        assert parts[0]["text"] == "Hello wörld ✓"


async def test_an_array_that_breaks_off_ends_with_the_error_and_is_json(rig: Rig) -> None:
    def broken(sent: Sent) -> Answer:
        good = chat_answer(sent)
        return replace(good, pieces=[*good.pieces[:3], StreamBroken("cut")])

    rig.transport.script = broken
    async with serving(rig) as served:
        status, _, array = await called(served, "POST", STREAM, ASK, x_goog_api_key=KEY)
        events = elements(
            (await called(served, "POST", f"{STREAM}?alt=sse", ASK, x_goog_api_key=KEY))[2]
        )
    told = json.loads(array)
    assert status == 200
    assert [next(iter(one)) for one in told] == [next(iter(one)) for one in events]
    assert next(iter(told[-1])) == "error"
    assert isinstance(told[-1]["error"]["code"], int)
    assert {record.error_code for record in served.records} == {"upstream_truncated"}


@pytest.mark.parametrize(
    ("method", "path", "status", "name"),
    [
        ("POST", "/v1beta/models/alien:generateContent", 404, "NOT_FOUND"),
        ("POST", "/v1beta/models/gpt-x:nothing", 405, "INVALID_ARGUMENT"),
        ("GET", "/v1beta/nothing", 404, "NOT_FOUND"),
        ("GET", "/v1beta/models/none", 404, "NOT_FOUND"),
        ("PUT", ONE, 405, "INVALID_ARGUMENT"),
        ("GET", "/v1beta/models?pageSize=-1", 400, "INVALID_ARGUMENT"),
        ("GET", "/v1/models?pageToken=bm9uZQ==", 400, "INVALID_ARGUMENT"),
    ],
)
async def test_errors_are_in_googles_words(
    served: Served, method: str, path: str, status: int, name: str
) -> None:
    got, kind, told = await called(served, method, path, ASK, x_goog_api_key=KEY)
    error = json.loads(told)["error"]
    assert (got, kind) == (status, "application/json")
    assert (error["code"], error["status"]) == (status, name)


async def test_a_stranger_is_told_so_in_googles_words(served: Served) -> None:
    for headers in ({}, {"x-goog-api-key": "ak_stranger"}, {"authorization": "Bearer ak_no"}):
        status, _, told = await called(served, "POST", ONE, ASK, **headers)
        error = json.loads(told)["error"]
        assert (status, error["code"], error["status"]) == (401, 401, "UNAUTHENTICATED")
        assert b"ak_" not in told


async def test_a_long_wait_is_told_with_retry_after(rig: Rig) -> None:
    rig.transport.script = lambda _: whole(b"{}", 429, retry_after="3600")
    async with serving(rig) as served:
        response = await served.call("POST", ONE, ASK)
        assert (response.status, response.headers["retry-after"]) == (429, "3600")
        assert response.headers["x-should-retry"] == "false"
        assert (await response.json())["error"]["status"] == "RESOURCE_EXHAUSTED"


# --- the list ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/models", "/v1beta/models"])
async def test_the_list_comes_in_pages(served: Served, path: str) -> None:
    names: list[str] = []
    query = "?pageSize=2"
    while query:
        _, _, told = await called(served, "GET", path + query, x_goog_api_key=KEY)
        page = json.loads(told)
        names += [entry["name"] for entry in page["models"]]
        token = page.get("nextPageToken")
        query = f"?pageSize=2&pageToken={token}" if token else ""
    assert names == ["models/gpt-a", "models/gpt-b", "models/gpt-c"]


@pytest.mark.parametrize("name", ["gpt-a", "models/gpt-a", "models%2Fgpt-a"])
async def test_one_model_is_found_by_its_name_or_as_a_resource(served: Served, name: str) -> None:
    status, _, told = await called(served, "GET", f"/v1beta/models/{name}", x_goog_api_key=KEY)
    assert (status, json.loads(told)["name"]) == (200, "models/gpt-a")


async def test_one_address_serves_three_shapes(served: Served) -> None:
    shapes = {
        "object": {"authorization": f"Bearer {KEY}"},
        "has_more": {"x-api-key": KEY, "anthropic-version": "2026-10-21"},
        "models": {"x-goog-api-key": KEY},
    }
    for mark, headers in shapes.items():
        status, _, told = await called(served, "GET", "/v1/models", **headers)
        assert status == 200
        assert mark in json.loads(told)
