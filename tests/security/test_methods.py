"""Methods that a path does not have: refused with a list, whoever asks, and nothing else told."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from handlers.endpoint import Access
from tests.e2e.harness import Rig, open_rig
from tests.security.shapes import error_of, failures_in
from tests.security.test_access_matrix import ROUTES, path_of

ODD_METHODS = ("LOCK", "TRACE", "OPTIONS", "PROPFIND", "PURGE")
DECLARED = {(route.method, path_of(route)) for route in ROUTES}
MISSING = sorted({(method, path) for _, path in DECLARED for method in ODD_METHODS} - DECLARED)


@pytest.fixture
async def rig(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        caplog.set_level(logging.DEBUG)
        yield opened
    assert failures_in(caplog) == []


async def test_a_method_that_a_path_does_not_have_is_refused(rig: Rig) -> None:
    assert len(MISSING) > 100
    headers = {"x-marker": "seen-by-nobody", "authorization": f"Bearer {rig.key}"}
    for method, path in MISSING:
        async with rig.http.request(method, rig.url + path, headers=headers) as response:
            body = await response.read()
        assert response.status == 405, (method, path)
        assert method not in response.headers["allow"]
        if path.startswith("/v1beta") or ":" not in path:  # else the headers tell whose client asks
            error_of(path, body)
        for told in (body.decode(), str(response.headers)):
            assert "seen-by-nobody" not in told
            assert rig.key not in told
            assert "aiohttp" not in told.lower()


async def test_head_is_get_without_its_body(rig: Rig) -> None:
    for route in ROUTES:
        if route.method != "GET" or route.content_type == "text/event-stream":  # it has no end
            continue
        keys = [rig.admin_key, "ak_stranger"] if route.access is not Access.PUBLIC else [""]
        for key in keys:
            headers = {"authorization": f"Bearer {key}"} if key else {}
            url = rig.url + path_of(route)
            async with rig.http.get(url, headers=headers) as whole:
                await whole.read()
            async with rig.http.head(url, headers=headers) as head:
                assert await head.read() == b""
            assert head.status == whole.status, route.path
            assert head.headers.get("content-type") == whole.headers.get("content-type")


async def test_who_wants_a_socket_is_told_no_more_than_to_post(rig: Rig) -> None:
    wish = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    url = f"{rig.url}/v1/responses"
    for key, status in ((rig.key, 426), ("ak_stranger", 401)):
        headers = {**wish, "Authorization": f"Bearer {key}"}
        async with rig.http.get(url, headers=headers) as response:
            assert response.status == status
            assert key not in await response.text()
