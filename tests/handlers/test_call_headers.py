"""What the headers of a model call say is the same over aiohttp and on the quick way in."""

import json

import pytest

from tests.handlers.model_api import Served, serving
from tests.handlers.plain.client import answer_to
from tests.security.wire import Answer
from tests.services.executor_rig import Rig, chat_answer


async def called(served: Served, *lines: str, model: str = "gpt-x") -> Answer:
    """Post a chat request with these header lines; return the answer."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    sent = json.dumps(body).encode()
    head = ["POST /v1/chat/completions HTTP/1.1", "Host: x", "X-Api-Key: ak_client", *lines]
    head += [f"Content-Length: {len(sent)}", "", ""]
    return await answer_to(served, "\r\n".join(head).encode() + sent)


@pytest.mark.parametrize("is_quick", [True, False])
@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (None, 200),
        ("application/json", 200),
        ("APPLICATION/JSON;charset=UTF8", 200),
        ('application/json; charset="utf-8"; x=y', 200),
        ("application/x-www-form-urlencoded", 200),
        ("application/json; charset=utf-16", 415),
        ("application/jsonp", 415),
        ("text/plain", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/json, text/plain", 415),
        ("json", 415),
        ("", 415),
    ],
)
async def test_a_body_is_json_in_utf_8_or_says_nothing(
    content_type: str | None, status: int, is_quick: bool
) -> None:
    rig = Rig(chat_answer)
    lines = [] if content_type is None else [f"Content-Type: {content_type}"]
    async with serving(rig, is_quick=is_quick) as served:
        answer = await called(served, *lines)
    assert answer.status == status
    assert len(rig.transport.sent) == (status == 200)


@pytest.mark.parametrize("is_quick", [True, False])
async def test_a_list_that_comes_in_several_lines_is_one_list(is_quick: bool) -> None:
    rig = Rig(chat_answer)
    lines = ["X-AIGateway-Fallback: alien-1", "x-aigateway-fallback: gpt-x"]
    async with serving(rig, is_quick=is_quick) as served:
        answer = await called(served, *lines, model="alien-0")
        (record,) = served.records
    assert answer.status == 200
    assert (record.model, record.upstream_model, record.attempts) == ("alien-0", "gpt-x", 1)
