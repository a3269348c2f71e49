"""A gateway for the programs to call."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.clients.programs import installed
from tests.e2e.harness import Rig, open_rig


@pytest.fixture
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    """Where the programs of the test's folder are not installed, no gateway is started either."""
    installed(request.path.parent.name)
    async with open_rig(tmp_path / "gateway") as opened:
        yield opened
