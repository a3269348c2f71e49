"""A user who leaves: the provider is told at once, and stops working for nobody."""

import asyncio

import pytest

from tests.e2e.cells import Cell, cells
from tests.fakes.scenarios import Scenario
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


@cells()
async def test_a_client_that_leaves_closes_the_providers_connection(cell: Cell) -> None:
    if cell.stream:
        cell.plays(Scenario(text=tuple("abcdefgh" * 20)))
        cell.provider.pause_s = 0.05
    else:
        cell.provider.delay_s = 60
    task = asyncio.create_task(cell.ask())
    await until(lambda: len(cell.provider.seen) == 1)
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: cell.provider.closed_by_client == 1, limit_s=1)
