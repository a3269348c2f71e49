"""A key in the query string shows up nowhere: not in logs, answers, records or at a provider."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.harness import Rig, open_rig
from tests.security.wire import answers

BODY = b'{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}'
PATHS = (
    "/v1beta/models/gpt-fake:generateContent",
    "/v1beta/models/gpt-fake:streamGenerateContent",
    "/v1/models/gpt-fake:countTokens",
    "/v1/models/alien:generateContent",
    "/v1beta/models/gpt-fake:nothing",
    "/v1/chat/completions",
    "/api/v1/accounts",
    "/nothing",
    "/v1beta/nothing",
    "/v1beta/models/%00:generateContent",
)


@pytest.fixture
async def rig(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        await opened.add_provider("chat")
        caplog.set_level(logging.DEBUG)
        yield opened


async def test_a_key_in_the_query_is_told_to_nobody(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = "ak_" + "S" * 38
    served = 0
    for key in (rig.key, stranger):
        for path in PATHS:
            for method, tail in (("POST", b""), ("GET", b""), ("POST", b"Bad Header: x\r\n")):
                length = b"Content-Length: %d\r\n" % (len(BODY) if method == "POST" else 0)
                start = f"{method} {path}?key={key}&alt=sse HTTP/1.1\r\nHost: x\r\n".encode()
                end = b"Connection: close\r\n\r\n" + (BODY if method == "POST" else b"")
                for answer in await answers(rig, start + length + tail + end):
                    assert answer.status < 500, (method, path)
                    served += answer.status == 200
                    assert key.encode() not in answer.body
                    assert key not in str(answer.headers)
    assert served == 3  # the three calls of Google's format that are whole
    assert rig.key not in caplog.text
    assert stranger not in caplog.text
    for seen in rig.providers["chat"].seen:
        assert rig.key not in f"{seen.path} {seen.headers} {seen.body!r}"
    assert rig.key not in str(await rig.logs(3))
