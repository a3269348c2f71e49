"""The API that most tests of handlers talk to."""

from collections.abc import AsyncGenerator

import pytest

from tests.handlers.api import Api, running_api


@pytest.fixture
async def api() -> AsyncGenerator[Api, None]:
    async with running_api() as running:
        yield running
