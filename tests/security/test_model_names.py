"""A model's name goes into Google's address: whatever it is, it leads nowhere else."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.harness import Rig, open_rig
from tests.security.formats import FORMS
from tests.security.shapes import error_of, failures_in
from tests.security.wire import answers

START = re.compile(
    rb"POST /v1beta/(?:models|tunedModels)/[A-Za-z0-9%._~-]*"
    rb":(?:generateContent|countTokens|streamGenerateContent\?alt=sse) HTTP/1\.1"
)
KNOWN = {
    b"accept", b"accept-encoding", b"content-length", b"content-type", b"host", b"user-agent",
    b"x-goog-api-key",
}  # fmt: skip
NAMES = (
    "..",
    "../x",
    "a/../../v1internal",
    "//evil.test/x",
    "a?key=other",
    "a?alt=json&x=",
    "a#b",
    "a%2F..%2Fb",
    "%2e%2e/%2e%2e/x",
    "a%00b",
    "a\x00b",
    "a\nX-Evil: 1",
    "a\r\nX-Evil: 1\r\n\r\nGET / HTTP/1.1",
    "a\u2028b",
    "a\x85b",
    "é🌍",
    " a ",
    "a:generateContent?x=",
    "tunedModels/../x",
    "tunedModels/a/../..",
    "models/../../x",
    "models/",
    "@evil.test",
    "\\..\\x",
    ";x=1",
    "*",
    "a" * 240,
    "a" * 100_000,
)
BODIED = sorted(name for name, form in FORMS.items() if "MODEL" not in form.path)
SIGNS = st.sampled_from("./\\%?#:@& \r\n\t\x00a2eEfF;=é\u2028")


@dataclass
class Upstream:
    """A server that keeps the heads it gets as they were written, and answers nothing useful."""

    heads: list[list[bytes]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head[:-4].split(b"\r\n")
                if lines[0].startswith(b"POST "):  # the list of models is fetched as well
                    self.heads.append(lines)
                length = re.search(rb"(?i)content-length: (\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                answer = b'{"totalTokens":1,"candidates":[{"content":{"parts":[{"text":"x"}]}}]}'
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
                writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(answer), answer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def upstream() -> AsyncIterator[tuple[Upstream, int]]:
    fake = Upstream()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    yield fake, server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
async def rig(
    tmp_path: Path, upstream: tuple[Upstream, int], caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Rig]:
    environment = {"AIGATEWAY_COOLDOWN__FAILED_S": "0.001"}
    async with open_rig(tmp_path, environment) as opened:
        base_url = f"http://127.0.0.1:{upstream[1]}"
        await opened.api("PATCH", "/providers/gemini", {"base_url": base_url})
        await opened.add_account("gemini", "key-0")
        caplog.set_level(logging.DEBUG)
        yield opened
    assert failures_in(caplog) == []


def check(upstream: tuple[Upstream, int]) -> None:
    """Fail unless every request went where it belongs, with nothing in it that a name made."""
    fake, port = upstream
    for start, *lines in fake.heads:
        assert START.fullmatch(start), start
        assert b".." not in re.split(rb"[/:]", start.split(b" ")[1].replace(b"%2F", b"/")), start
        fields = {line.partition(b":")[0].lower() for line in lines}
        assert fields <= KNOWN
        assert b"Host: 127.0.0.1:%d" % port in lines


async def call(rig: Rig, name: str, model: str) -> int:
    form = FORMS[name]
    request = {**form.plain, "model": model}
    response = await rig.post(form.path, json.dumps(request, ensure_ascii=False).encode())
    body = await response.read()
    if response.status != 200:
        message = error_of(form.path, body)["message"]
        assert len(message) < 1_000
    return response.status


@pytest.mark.parametrize("name", BODIED)
async def test_a_name_in_a_body_leads_nowhere_else(
    rig: Rig, upstream: tuple[Upstream, int], name: str
) -> None:
    for model in NAMES:
        status = await call(rig, name, f"gemini/{model}")
        assert status in {200, 400, 404}, model
    assert len(upstream[0].heads) > 10 or name == "embeddings"
    check(upstream)


async def test_a_name_in_an_address_leads_nowhere_else(
    rig: Rig, upstream: tuple[Upstream, int]
) -> None:
    body = json.dumps(FORMS["gemini"].plain).encode()
    head = "\r\nHost: x\r\nx-goog-api-key: %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    tail = (head % (rig.key, len(body))).encode() + body
    names = [
        "..", "../x", "..%2f..%2fx", "%2F%2Fevil.test", "a%3Fkey=x", "a%23b", "a%0d%0aX-Evil:1",
        "a%00", "%FF", "%ED%A0%80", "%252e%252e%252f", "a%20b", "%E2%80%A8", "a\\b", "a;b", "a:b",
        "tunedModels/..", "tunedModels%2f..%2fx", "models%2f..%2f..", "a%3agenerateContent",
    ]  # fmt: skip
    for name in names:
        for method in ("generateContent", "streamGenerateContent?alt=sse", "countTokens"):
            start = f"POST /v1beta/models/gemini/{name}:{method} HTTP/1.1"
            (answer,) = await answers(rig, start.encode("latin-1") + tail)
            assert answer.status in {200, 400, 404}, (name, answer)
    assert len(upstream[0].heads) > 20
    check(upstream)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    model=st.text(SIGNS | st.characters(codec="utf-8"), max_size=12),
    name=st.sampled_from(BODIED),
)
async def test_no_name_leads_anywhere_else(
    rig: Rig, upstream: tuple[Upstream, int], model: str, name: str
) -> None:
    request = {**FORMS[name].plain, "model": f"gemini/{model}"}
    response = await rig.post(FORMS[name].path, json.dumps(request).encode())
    assert response.status in {200, 400, 404}
    check(upstream)
