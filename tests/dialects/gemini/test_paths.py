"""Where Gemini's clients post to, and where we post to."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from yarl import URL

from dialects.base import Dialect, Inspected
from dialects.fields import dumps, parse_object
from dialects.gemini import GEMINI, GEMINI_COUNT
from models.errors import BadRequest
from models.json_types import JsonObject
from tests.dialects.gemini.support import request

BODY = dumps(request())


@pytest.fixture
async def posted() -> AsyncIterator[str]:
    """A real router with both dialects; it answers with what was understood."""
    app = web.Application()
    for dialect in (GEMINI, GEMINI_COUNT):
        for path in dialect.paths:
            app.router.add_post(path, _answering(dialect))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def _answering(dialect: Dialect) -> Handler:
    async def answer(asked: web.Request) -> web.Response:
        body = await asked.read()
        seen = dialect.inspect(body, parse_object(body), asked.match_info)
        return web.json_response([dialect.name, seen.model, seen.stream])

    return answer


@pytest.mark.parametrize(
    ("path", "name", "model", "stream"),
    [
        ("/v1beta/models/gm-3:generateContent", "gemini", "gm-3", False),
        ("/v1/models/gm-3:generateContent", "gemini", "gm-3", False),
        ("/v1/models/gm-3:streamGenerateContent?alt=sse", "gemini", "gm-3", True),
        ("/v1beta/models/gm-3%3AgenerateContent", "gemini", "gm-3", False),
        ("/v1beta/models/gm-3%3astreamGenerateContent", "gemini", "gm-3", True),
        ("/v1beta/models/vendor/a:b:generateContent", "gemini", "vendor/a:b", False),
        ("/v1beta/models/vendor%2Fa%3Ab%3AgenerateContent", "gemini", "vendor/a:b", False),
        ("/v1beta/models/models%2Fgm-3:generateContent", "gemini", "gm-3", False),
        ("/v1beta/models/50%25%20x:generateContent", "gemini", "50% x", False),
        ("/v1beta/models/gm-3:countTokens", "gemini.count", "gm-3", False),
        ("/v1/models/gm-3%3AcountTokens", "gemini.count", "gm-3", False),
    ],
)
async def test_model_and_method_are_read_from_the_address(
    posted: str, path: str, name: str, model: str, stream: bool
) -> None:
    async with aiohttp.ClientSession() as session:
        answer = await session.post(URL(posted + path, encoded=True), data=BODY)
        assert answer.status == 200
        assert await answer.json() == [name, model, stream]


@pytest.mark.parametrize(
    "path",
    ["/v1beta/models/gm-3:embedContent", "/v1beta/models/gm-3", "/v1beta/models/:countTokens"],
)
async def test_other_methods_are_not_ours(posted: str, path: str) -> None:
    async with aiohttp.ClientSession() as session:
        answer = await session.post(URL(posted + path, encoded=True), data=BODY)
        assert answer.status == 404


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-3-pro", "/v1beta/models/gemini-3-pro"),
        ("models/gemini-3-pro", "/v1beta/models/gemini-3-pro"),
        ("tunedModels/mine-1", "/v1beta/tunedModels/mine-1"),
        ("a/../../v1/x", "/v1beta/models/a%2F..%2F..%2Fv1%2Fx"),
        ("..", "/v1beta/models/.."),
        ("tunedModels/../x", "/v1beta/tunedModels/..%2Fx"),
        ("x?key=1#y", "/v1beta/models/x%3Fkey%3D1%23y"),
        ("x%2Fy é", "/v1beta/models/x%252Fy%20%C3%A9"),
    ],
)
def test_a_model_stays_one_step_of_the_path(model: str, path: str) -> None:
    whole = GEMINI.upstream_path(model, stream=False)
    assert whole == f"{path}:generateContent"
    assert GEMINI.upstream_path(model, stream=True) == f"{path}:streamGenerateContent?alt=sse"
    assert GEMINI_COUNT.upstream_path(model, stream=False) == f"{path}:countTokens"
    sent = URL("https://google.test/gw" + whole, encoded=True)
    assert sent.raw_path == f"/gw{whole}"
    assert not {".", ".."} & set(sent.parts)


def test_the_body_does_not_say_which_model() -> None:
    payload = request(model="models/other", stream=True)
    address = {"model": "mine", "method": "generateContent"}
    assert GEMINI.inspect(dumps(payload), payload, address) == Inspected("mine", False)
    body = dumps(payload)
    assert GEMINI.prepare_raw(body, payload, "theirs", ask_usage=True) == (body, False)


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({}, "contents"),
        ({"contents": "Hi"}, "contents"),
        (request(generationConfig=[]), "generationConfig"),
        (request(generationConfig={"maxOutputTokens": 0}), "generationConfig.maxOutputTokens"),
        (request(generation_config={"max_output_tokens": -1}), "generationConfig.maxOutputTokens"),
        (request(generationConfig={"maxOutputTokens": True}), "generationConfig.maxOutputTokens"),
        (request(generationConfig={}, generation_config={}), "generationConfig"),
        (request(systemInstruction={}, system_instruction={}), "systemInstruction"),
    ],
)
def test_what_is_billed_must_be_right(payload: JsonObject, path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        GEMINI.inspect(dumps(payload), payload, {"model": "m", "method": "generateContent"})
    assert caught.value.path == path


@pytest.mark.parametrize("key", ["contents", "generationConfig", "generation_config", "tools"])
def test_a_field_that_counts_stands_once(key: str) -> None:
    body = b'{"contents":[],"%b":[],"%b":[]}' % (key.encode(), key.encode())
    with pytest.raises(BadRequest, match="more than once"):
        GEMINI.inspect(body, parse_object(body), {"model": "m", "method": "generateContent"})


def test_an_address_without_a_model_is_refused() -> None:
    with pytest.raises(BadRequest):
        GEMINI.inspect(BODY, request())
