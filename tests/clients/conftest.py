"""A gateway for the programs to call."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.harness import Rig, open_rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path / "gateway") as opened:
        yield opened
