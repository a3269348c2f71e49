"""Tool turns through the official SDKs: what the model said goes back to it as it was."""

import pytest

from tests.e2e.cells import Cell, cells
from tests.e2e.received import received
from tests.e2e.sdks.asking import Ask
from tests.fakes.scenarios import Call, Scenario, sign

pytestmark = pytest.mark.asyncio(loop_scope="session")

CALLS = (Call("call_a", "wx", {"city": "Rome"}), Call("call_b", "wx", {"city": "Oslo"}))


async def loop(cell: Cell, scenario: Scenario, ask: Ask, model: str = "") -> None:
    """Ask, answer the calls, and let the provider judge what comes back."""
    cell.plays(scenario)
    first = await cell.ask(ask, model=model)
    assert len(first.calls) == len(scenario.calls)
    cell.plays(Scenario(text=("Sun and snow.",)))
    results = {"0": "sun", "1": "snow"}
    again = Ask(
        ask.text, tools=ask.tools, thinks=ask.thinks, after=first, results=results, then=ask.then
    )
    second = await cell.ask(again, model=model)
    assert second.text == "Sun and snow."
    assert len(cell.provider.seen) == 2
    told = received(cell.provider.seen[1])
    assert told.results == ("sun", "snow")[: len(scenario.calls)]
    assert ask.then is None or ask.then in told.texts


@cells()
@pytest.mark.parametrize("count", [1, 2])
async def test_results_go_back_to_their_calls(cell: Cell, count: int) -> None:
    said = Scenario(text=("I look. ",), calls=CALLS[:count], stop="tools")
    await loop(cell, said, Ask("Weather?", tools=("wx",)))


@cells()
async def test_a_user_may_speak_after_the_results(cell: Cell) -> None:
    said = Scenario(text=(), calls=CALLS, stop="tools")
    await loop(cell, said, Ask("Weather?", tools=("wx",), then="And?"))


@cells()
async def test_thinking_goes_back_signed_and_unchanged_or_not_at_all(cell: Cell) -> None:
    said = Scenario(thinking=("Let me ", "think."), text=(), calls=CALLS, stop="tools")
    ask = Ask("Weather?", tools=("wx",), thinks=True)
    await loop(cell, said, ask, cell.target.thinker)
    signature = genuine(cell)
    if signature is not None:
        texts = received(cell.provider.seen[1]).texts
        assert signature in {text.replace("-", "+").replace("_", "/") for text in texts}


@cells()
async def test_thoughts_that_nobody_asked_for_are_no_hindrance(cell: Cell) -> None:
    said = Scenario(thinking=("Let me ", "think."), text=(), calls=CALLS, stop="tools")
    await loop(cell, said, Ask("Weather?", tools=("wx",)), cell.target.thinker)


def genuine(cell: Cell) -> str | None:
    """Return what must have come back to the provider; None where nothing can carry it."""
    thought = "Let me think."
    made = {
        "anthropic": sign("anthropic", thought),
        "gemini": sign("gemini", "wx"),
        "code-assist-gemini": sign("gemini", "wx"),
        "code-assist-claude": sign("claude-ca", thought),
    }
    if cell.target_name == "openai":
        return sign("openai", "reasoning") if cell.sdk_name == "responses" else None
    if cell.sdk_name == "chat" and "gemini" not in cell.target_name:
        return None  # only signatures of calls have a place there
    return made.get(cell.target_name)


@cells()
async def test_what_was_thought_and_said_is_part_of_the_talk(cell: Cell) -> None:
    said = Scenario(
        thinking=("Let me ", "think."), text=("I ", "look."), calls=CALLS[:1], stop="tools"
    )
    ask = Ask("Weather?", tools=("wx",), thinks=True)
    await loop(cell, said, ask, cell.target.thinker)
    # Chunks that went back one by one arrive as they are.
    assert "I look." in "".join(received(cell.provider.seen[1]).texts)
