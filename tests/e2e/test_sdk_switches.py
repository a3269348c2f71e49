"""Another provider's model goes on in the middle of a tool turn, thoughts and all."""

import pytest

from tests.e2e.cells import TARGETS, clear
from tests.e2e.harness import Rig
from tests.e2e.received import received
from tests.e2e.sdks import SDKS
from tests.e2e.sdks.asking import Ask
from tests.fakes.scenarios import Call, Scenario

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOOKS = Scenario(
    thinking=("Let me ", "think."),
    text=("I ", "look."),
    calls=(Call("call_a", "wx", {"city": "Rome"}),),
    stop="tools",
)
KNOWS = Scenario(text=("Sunny.",))


@pytest.mark.parametrize("first", TARGETS)
@pytest.mark.parametrize("sdk_name", SDKS)
async def test_every_other_model_goes_on(matrix: Rig, sdk_name: str, first: str) -> None:
    sdk, begins = SDKS[sdk_name], TARGETS[first]
    for name, goes_on in TARGETS.items():
        await clear(matrix)
        matrix.providers[begins.kind].scenario = LOOKS
        ask = Ask("Weather?", tools=("wx",), thinks=True)
        got = await sdk.ask(matrix, begins.named(begins.thinker), ask, stream=True)
        assert [call[1:] for call in got.calls] == [("wx", {"city": "Rome"})]
        provider = matrix.providers[goes_on.kind]
        provider.scenario = KNOWS
        again = Ask("Weather?", tools=("wx",), thinks=True, after=got, results={"0": "sun"})
        answer = await sdk.ask(matrix, goes_on.named(goes_on.thinker), again, stream=False)
        assert answer.text == "Sunny.", name
        assert received(provider.seen[-1]).results == ("sun",), name
