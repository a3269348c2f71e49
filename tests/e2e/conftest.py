"""One gateway for the whole matrix of a worker."""

import base64
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from tests.e2e.cells import TARGETS, Cell, clear, open_matrix
from tests.e2e.harness import Rig
from tests.e2e.sdks import SDKS


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def matrix(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with open_matrix(tmp_path_factory.mktemp("matrix")) as rig:
        yield rig


@pytest.fixture(scope="session")
def png() -> str:
    """A picture in base64, with letters that are others in the alphabet for URLs."""
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256))).decode()


@pytest_asyncio.fixture(loop_scope="session")
async def cell(
    matrix: Rig, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Cell:
    """One SDK in front of one provider; nothing is left of the test before."""
    sdk, target, stream = request.param
    record_property("cell", f"{sdk} {target}")
    await clear(matrix)
    return Cell(matrix, sdk, SDKS[sdk], target, TARGETS[target], stream)
