"""Nobody can tell from an answer which way a call took."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from models.errors import StreamBroken, UpstreamError
from tests.fakes.provider import error_body
from tests.fakes.transport import Answer, Sent, streamed, whole
from tests.handlers.model_api import ADMIN_KEY, serving
from tests.handlers.plain.client import CHAT, STREAM, WHOLE, answer_to, post
from tests.security.wire import Answer as Told
from tests.services.executor_rig import Rig, chat_answer

PATHS = {"chat": CHAT, "messages": "/v1/messages", "responses": "/v1/responses"}
INPUT = b'{"model":"gpt-x","input":"Hi"}'
_ID = re.compile(rb"[0-9a-f]{24,}|(?:msg|resp|chatcmpl|item|rs|fc)_[0-9A-Za-z]+")


def failing(status: int) -> Callable[[Sent], Answer | UpstreamError]:
    return lambda _: whole(error_body("chat", status), status, retry_after="7")


def broken(sent: Sent) -> Answer:
    return streamed([*list(chat_answer(sent).pieces)[:3], StreamBroken("cut")])


@dataclass(frozen=True)
class Case:
    """A request, and what the provider makes of it."""

    sent: bytes
    status: int
    script: Callable[[Sent], Answer | UpstreamError] = chat_answer
    max_calls: int = 9


CASES = {
    **{
        f"{dialect} {name}": Case(
            post(body if dialect != "responses" else as_input, path=path), 200
        )
        for dialect, path in PATHS.items()
        for name, body, as_input in (
            ("whole", WHOLE, INPUT),
            ("stream", STREAM, INPUT.replace(b"}", b',"stream":true}')),
        )
    },
    "admin": Case(post(key=ADMIN_KEY), 200),
    "bearer": Case(post(WHOLE, "Authorization: Bearer ak_client", key=""), 200),
    "id of its own": Case(post(WHOLE, "X-Request-Id: mine-1"), 200),
    "mad id": Case(post(WHOLE, "X-Request-Id: {mine}"), 200),
    "query": Case(post(path="/v1/messages?beta=true"), 200),
    "key in the query": Case(post(path="/v1/messages?key=ak_client", key=""), 401),
    "count": Case(post(path="/v1/messages/count_tokens"), 200),
    "no key": Case(post(key=""), 401),
    "unknown key": Case(post(key="ak_stranger"), 401),
    "unknown key, messages": Case(post(path="/v1/messages", key="ak_stranger"), 401),
    "not JSON": Case(post(b"{"), 400),
    "no body": Case(post(b""), 400),
    "no model": Case(post(b"{}"), 400),
    "unknown model": Case(post(WHOLE.replace(b"gpt-x", b"alien")), 404),
    "mad fallbacks": Case(post(WHOLE, "X-Aigateway-Fallback-Mode: slowly"), 400),
    "too large": Case(post(b" " * 5000 + WHOLE), 413),
    "too large, messages": Case(post(b" " * 5000 + WHOLE, path="/v1/messages"), 413),
    "text": Case(post(WHOLE, "Content-Type: text/plain"), 415),
    "unknown coding": Case(post(WHOLE, "Content-Encoding: br"), 415),
    "provider fails": Case(post(), 502, failing(500)),
    "provider is overloaded": Case(post(path="/v1/messages"), 529, failing(529)),
    "provider is limited": Case(post(), 429, failing(429)),
    "provider is limited, stream": Case(post(STREAM, path="/v1/messages"), 429, failing(429)),
    "provider refuses": Case(post(), 400, failing(400)),
    "stream breaks": Case(post(STREAM), 200, broken),
    "no room": Case(post(), 503, max_calls=0),
}


async def told(case: Case, *, is_quick: bool) -> Told:
    """Return the answer without what differs from one to the next."""
    rig = Rig(case.script)
    async with serving(
        rig, max_body_bytes=5000, max_calls=case.max_calls, is_quick=is_quick
    ) as served:
        answer = await answer_to(served, case.sent)
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.headers.pop("date"))
    headers = {
        name: _ID.sub(b"ID", value.encode()).decode() for name, value in answer.headers.items()
    }
    return Told(answer.status, headers, _ID.sub(b"ID", answer.body))


@pytest.mark.parametrize("name", CASES)
async def test_both_ways_give_the_same_status_headers_and_body(name: str) -> None:
    case = CASES[name]
    quick, slow = [await told(case, is_quick=is_quick) for is_quick in (True, False)]
    assert quick.status == case.status
    assert quick == slow
