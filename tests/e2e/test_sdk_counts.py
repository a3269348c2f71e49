"""Counting, listing, vectors and legacy completions through the official SDKs."""

import pytest

from tests.e2e.cells import Cell, cells, clear
from tests.e2e.harness import Rig
from tests.e2e.sdks import SDKS
from tests.e2e.sdks.asking import Ask
from tests.e2e.sdks.openai_chat import openai_client
from tests.fakes.scenarios import Scenario

pytestmark = pytest.mark.asyncio(loop_scope="session")


@cells(streams=(False,), without="chat")
async def test_input_tokens_are_counted_without_asking_the_model(cell: Cell) -> None:
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


@pytest.mark.parametrize("name", SDKS)
async def test_models_are_listed_in_the_shape_of_the_sdk(matrix: Rig, name: str) -> None:
    await clear(matrix)
    assert any("fake-model" in model for model in await SDKS[name].models(matrix))


async def test_vectors_and_legacy_completions_are_served(matrix: Rig) -> None:
    await clear(matrix)
    async with openai_client(matrix) as client:
        model = "text-embedding-3-small"
        made = await client.embeddings.create(model=model, input=["a", "b"])
        said = await client.completions.create(model="openai/gpt-3.5-turbo-instruct", prompt="Hi")
        streamed = await client.completions.create(
            model="openai/gpt-3.5-turbo-instruct", prompt="Hi", stream=True
        )
        texts = [choice.text async for chunk in streamed for choice in chunk.choices]
    assert [vector.embedding[2] for vector in made.data] == [0, 1]
    assert said.choices[0].text == "".join(texts) == "Hello wörld ✓"
