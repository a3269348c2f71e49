"""The API that most tests of handlers talk to, and the ways into it."""

from collections.abc import AsyncGenerator

import pytest

from tests.handlers import model_api
from tests.handlers.api import Api, running_api


@pytest.fixture
async def api() -> AsyncGenerator[Api, None]:
    async with running_api() as running:
        yield running


@pytest.fixture(params=[True, False], ids=["quick", "over aiohttp"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with the quick way in for plain model calls, and without it."""
    monkeypatch.setattr(model_api, "is_quick_everywhere", request.param)
