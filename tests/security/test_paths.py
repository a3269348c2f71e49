"""No spelling of a path or a Host gets around the gate (I-06)."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from handlers.endpoint import Access
from tests.e2e.harness import Rig, open_rig
from tests.security.shapes import failures_in
from tests.security.test_access_matrix import ROUTES, path_of
from tests.security.wire import Wire, connected


@pytest.fixture
async def rig(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        await opened.add_provider("messages")
        caplog.set_level(logging.DEBUG)
        yield opened
    assert failures_in(caplog) == []


def spellings(path: str) -> Iterator[str]:
    """Ways to write a path that somebody somewhere takes for the same one."""
    first, rest = path.lstrip("/").partition("/")[::2]
    last = path.rpartition("/")[2]
    yield from (path, f"/{path}", f"//{path}", f"/.{path}", f"/./{path}", f"{path}/", f"{path}//")
    yield from (
        f"{path}/.",
        f"{path}/..",
        f"{path}/x/..",
        f"/{first}//{rest}",
        f"/{first}/./{rest}",
    )
    yield from (f"/{first}/../{first}/{rest}", f"/x/..{path}", f"/health/..{path}")
    yield from (f"/docs/..{path}", f"/openapi.json/..{path}", f"/health/live/../..{path}")
    yield from (f"/health/%2e%2e{path}", f"/health/%2E%2E{path}", f"/health/.%2e{path}")
    yield from (f"/health%2f..{path}", f"/health/..%2f{path[1:]}", f"/health/..%5c{path[1:]}")
    yield from (f"/health/..;{path}", f"/health;/..{path}", f"/health/..;/..;{path}")
    yield from (f"/..{path}", f"/%2e%2e{path}", f"/%2e{path}", f"/%2f{path}", f"/%5c{path}")
    yield from (path.replace("/", "%2f"), path.replace("/", "%252f"), path.replace("/", "\\"))
    yield from (f"/{first}%2f{rest}", f"{path}%2f", f"{path}%00", f"{path}%20", f"{path}%0a")
    yield from (f"{path};", f"{path};x=1", f"/{first};x/{rest}", f"{path}.json", f"{path}.css")
    yield from (f"{path}?", f"{path}?/health", f"{path}#", f"{path}#/health", f"{path}?key=admin")
    yield from (path.upper(), path.swapcase(), path.title(), f"/{first.upper()}/{rest}")
    yield from (
        "".join(f"%{ord(letter):02x}" for letter in path),
        f"/%{ord(path[1]):02x}{path[2:]}",
    )
    yield from (path.replace(last, f"%{ord(last[0]):02X}{last[1:]}"), f"{path}%ff", f"{path}%c0%af")
    yield from (f"http://x{path}", f"http://x:1/..{path}", f"http://x@y{path}", f"HTTP://X{path}")
    yield from (f"http://x/health/..{path}", f"https://x{path}", f"ftp://x{path}", f"//x{path}")
    yield from (f"http:{path}", f"http:///{path}", f"http://[::1]{path}", f"*{path}", path[1:])


HOSTS = (
    "x/#@y",
    "x/health?",
    "x/health#",
    "x/../health",
    "x\\health",
    "localhost",
    "127.0.0.1",
    "[::1]",
    "x:8088",
    "x:0",
    "x:99999",
    "x,y",
    "x y",
    "",
    "user:password@x",
    "x%2fhealth",
    "x;health",
    "*",
    "a" * 1000,
)
TRUSTED = (
    "X-Forwarded-For: 127.0.0.1",
    "X-Real-IP: 127.0.0.1",
    "X-Forwarded-Host: localhost",
    "X-Original-URL: /health",
    "X-Rewrite-URL: /health",
    "X-Forwarded-Prefix: /health",
    "X-HTTP-Method-Override: GET",
    "X-Method-Override: OPTIONS",
    "X-Forwarded-User: admin",
    "Remote-User: admin",
    "X-Admin: true",
    "Forwarded: for=127.0.0.1;host=localhost",
    "Referer: http://127.0.0.1/docs",
    "Origin: null",
    "Upgrade: websocket\r\nConnection: Upgrade",
)


class Caller:
    """Sends one request after the other, over as few connections as the server allows."""

    def __init__(self, rig: Rig, stack: AsyncExitStack) -> None:
        self._rig = rig
        self._stack = stack
        self._wire: Wire | None = None

    async def status(self, method: str, target: str, host: str, *lines: str) -> int | None:
        if self._wire is None:
            self._wire = await self._stack.enter_async_context(connected(self._rig))
        has_body = method in {"POST", "PUT", "PATCH"}
        size = "Content-Length: 2" if has_body else "X-Nothing: 1"
        head = [f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, size, "", ""]
        await self._wire.send("\r\n".join(head).encode("latin-1") + (b"{}" if has_body else b""))
        answer = await self._wire.answer()
        if answer is None or answer.status == 400 or answer.headers.get("connection") == "close":
            self._wire = None
        return None if answer is None else answer.status


PROTECTED = [route for route in ROUTES if route.access is not Access.PUBLIC]


async def test_no_spelling_of_a_protected_path_lets_a_stranger_in(rig: Rig) -> None:
    before = {path: await rig.api("GET", path) for path in ("/accounts", "/api-keys", "/providers")}
    let_in, count, refused = [], 0, 0
    async with AsyncExitStack() as stack:
        caller = Caller(rig, stack)
        for route in PROTECTED:
            for target in dict.fromkeys(spellings(path_of(route))):
                status = await caller.status(route.method, target, "x")
                count += 1
                refused += status == 401
                if status not in {400, 401, 404, 405, None}:
                    let_in.append((route.method, target, status))
    assert let_in == []
    assert count > 60 * len(PROTECTED)
    assert refused >= len(PROTECTED)
    assert before == {path: await rig.api("GET", path) for path in before}


async def test_no_host_and_no_header_lets_a_stranger_in(rig: Rig) -> None:
    let_in: list[tuple[object, ...]] = []
    async with AsyncExitStack() as stack:
        caller = Caller(rig, stack)
        for route in PROTECTED:
            for host in HOSTS:
                status = await caller.status(route.method, path_of(route), host)
                if status not in {400, 401, None}:
                    let_in.append((route.method, route.path, host, status))
            for line in TRUSTED:
                status = await caller.status(route.method, path_of(route), "x", line)
                if status not in {400, 401, None}:
                    let_in.append((route.method, route.path, line, status))
    assert let_in == []


async def test_no_spelling_of_an_admin_path_lets_an_ordinary_key_in(rig: Rig) -> None:
    let_in: list[tuple[object, ...]] = []
    line = f"Authorization: Bearer {rig.key}"
    async with AsyncExitStack() as stack:
        caller = Caller(rig, stack)
        for route in PROTECTED:
            if route.access is not Access.ADMIN:
                continue
            for target in dict.fromkeys(spellings(path_of(route))):
                status = await caller.status(route.method, target, "x", line)
                if status not in {400, 403, 404, 405, None}:
                    let_in.append((route.method, target, status))
            for host in HOSTS:
                status = await caller.status(route.method, path_of(route), host, line)
                if status not in {400, 403, None}:
                    let_in.append((route.method, route.path, host, status))
    assert let_in == []


@pytest.mark.parametrize(
    "method", ["HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "Get", "X", "GETX"]
)
async def test_no_other_method_lets_a_stranger_in(rig: Rig, method: str) -> None:
    let_in: list[tuple[object, ...]] = []
    async with AsyncExitStack() as stack:
        caller = Caller(rig, stack)
        for path in sorted({path_of(route) for route in PROTECTED}):
            status = await _status_of_head(rig, path) if method == "HEAD" else None
            status = status or await caller.status(method, path, "x")
            if status not in {400, 401, 404, 405, None}:
                let_in.append((method, path, status))
    assert let_in == []


async def _status_of_head(rig: Rig, path: str) -> int:
    # Its own way, because an answer to HEAD has a length and no body.
    async with rig.http.head(rig.url + path) as response:
        return response.status
