"""Counting and listing through the official SDKs."""

import pytest

from tests.e2e.cells import Cell, cells
from tests.e2e.sdks.asking import Ask
from tests.fakes.scenarios import Scenario

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNTING = ("anthropic", "responses", "google")


@cells(streams=(False,))
async def test_input_tokens_are_counted_without_asking_the_model(cell: Cell) -> None:
    if cell.sdk_name not in COUNTING:
        pytest.skip("Chat has no counting")
    cell.plays(Scenario(input_tokens=123))
    ask = Ask("How long is this?", system=None if cell.sdk_name == "google" else "Be terse.")
    found = await cell.sdk.count(cell.rig, cell.target.named(), ask)
    if cell.target.kind == "glm":
        assert 0 < found < 60  # nobody there can count: it is estimated
        assert cell.provider.seen == []
    else:
        assert found == 123
        (seen,) = cell.provider.seen
        assert "oken" in seen.path
