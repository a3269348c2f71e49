from collections.abc import Iterator

import pytest
from aiohttp import ClientSession
from aioresponses import aioresponses

from tests import aioresponses_shim

URL = "http://upstream.test/v1/models"


@pytest.fixture
def without_shim() -> Iterator[None]:
    aioresponses_shim.remove()
    yield
    aioresponses_shim.install()


async def _answer() -> tuple[int, object, str]:
    with aioresponses() as mocked:
        mocked.get(URL, status=201, payload={"data": [1]}, headers={"x-request-id": "r1"})
        async with ClientSession() as session, session.get(URL) as response:
            return response.status, await response.json(), response.headers["x-request-id"]


async def test_a_mocked_answer_arrives_with_status_body_and_headers() -> None:
    assert await _answer() == (201, {"data": [1]}, "r1")


@pytest.mark.usefixtures("without_shim")
async def test_the_shim_is_still_needed() -> None:
    # When this fails, aioresponses works by itself: remove tests/aioresponses_shim.py.
    with pytest.raises(TypeError, match="stream_writer"):
        await _answer()
