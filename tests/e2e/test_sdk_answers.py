"""The official SDKs against every provider: what their user sees of an answer."""

import pytest

from tests.e2e.cells import Cell, cells
from tests.e2e.received import received
from tests.e2e.sdks.asking import SCHEMA, Ask, Got
from tests.fakes.scenarios import Call, Scenario

CALLS = (Call("call_a", "wx", {"city": "Zürich"}), Call("call_b", "wx", {"city": "Oslo \u2028"}))

pytestmark = pytest.mark.asyncio(loop_scope="session")


def named_calls(got: Got) -> list[tuple[str, object]]:
    return [(name, arguments) for _, name, arguments in got.calls]


@cells()
async def test_text_comes_through_with_its_usage(cell: Cell) -> None:
    writes_caches = cell.target.kind in ("messages", "chat", "glm")
    said = cell.plays(
        Scenario(
            text=("Grüße, ", "世界 ", '🌍 \u2028 \x85 \\ " end'),
            input_tokens=20,
            cache_read_tokens=1000,
            cache_write_tokens=200 if writes_caches else 0,
            output_tokens=50,
        )
    )
    got = await cell.ask()
    assert got.text == said.whole_text
    assert got.finish == cell.sdk.finishes["end"]
    assert (got.prompt, got.cached, got.output) == (said.prompt_tokens, 1000, 50)
    (seen,) = cell.provider.seen
    assert seen.headers["user-agent"].startswith("aigateway/")
    assert seen.model == cell.target.model


@cells()
@pytest.mark.parametrize("count", [1, 2])
async def test_calls_come_with_ids_names_and_arguments(cell: Cell, count: int) -> None:
    cell.plays(Scenario(text=("Let me look. ",), calls=CALLS[:count], stop="tools"))
    got = await cell.ask(Ask("Weather?", tools=("wx", "other")))
    assert got.text == "Let me look. "
    assert named_calls(got) == [(call.name, call.arguments) for call in CALLS[:count]]
    assert len({call_id for call_id, _, _ in got.calls}) == count
    assert got.finish == cell.sdk.finishes["tools"]
    told = received(cell.provider.seen[0])
    assert list(told.tools) == ["wx", "other"]
    assert told.tools["wx"]["properties"]["city"]["type"].lower() == "string"


@cells()
async def test_a_call_without_text_is_a_call(cell: Cell) -> None:
    cell.plays(Scenario(text=(), calls=CALLS[:1], stop="tools"))
    got = await cell.ask(Ask("Weather?", tools=("wx",)))
    assert (got.text, named_calls(got)) == ("", [("wx", CALLS[0].arguments)])


@cells()
async def test_a_tool_that_must_be_called_is_demanded(cell: Cell) -> None:
    cell.plays(Scenario(text=(), calls=CALLS[:1], stop="tools"))
    got = await cell.ask(Ask("Weather?", tools=("wx",), must_call=True))
    assert named_calls(got) == [("wx", CALLS[0].arguments)]
    # GLM takes nothing but "auto".
    assert received(cell.provider.seen[0]).must_call is (cell.target.kind != "glm")


@cells()
async def test_a_length_stop_is_told(cell: Cell) -> None:
    cell.plays(Scenario(stop="length"))
    got = await cell.ask(Ask(max_tokens=77))
    assert got.finish == cell.sdk.finishes["length"]
    assert got.text == "Hello wörld ✓"
    assert received(cell.provider.seen[0]).max_tokens == 77


@cells(without="responses")
async def test_a_stop_sequence_reaches_the_provider_and_its_end_the_client(cell: Cell) -> None:
    cell.plays(Scenario(stop="stop_sequence", stop_sequence="END"))
    got = await cell.ask(Ask(stop=("END",)))
    assert received(cell.provider.seen[0]).stops == ("END",)
    if cell.sdk_name == "anthropic" and cell.target.kind != "messages":
        # Others do not say which it was, or that it was one.
        assert got.finish == "end_turn"
    else:
        assert got.finish == cell.sdk.finishes["stop_sequence"]
        assert got.stop_sequence == ("END" if cell.sdk_name == "anthropic" else None)


@cells()
async def test_a_filtered_answer_is_told(cell: Cell) -> None:
    cell.plays(Scenario(text=("I", " start"), stop="refusal"))
    got = await cell.ask()
    assert got.finish == cell.sdk.finishes["refusal"]
    assert got.text == "I start"


@cells()
async def test_an_empty_answer_is_no_error(cell: Cell) -> None:
    cell.plays(Scenario(text=(), output_tokens=1))
    got = await cell.ask()
    assert (got.text, got.calls, got.finish) == ("", (), cell.sdk.finishes["end"])


@cells()
async def test_thinking_is_asked_for_and_shown(cell: Cell) -> None:
    said = cell.plays(Scenario(thinking=("Let me ", "think."), reasoning_tokens=3))
    got = await cell.ask(Ask(thinks=True), model=cell.target.thinker)
    assert got.text == said.whole_text
    # OpenAI's Chat shows no thoughts.
    is_silent = cell.target.kind == "chat" and received(cell.provider.seen[0]).is_chat
    assert got.thinking == ("" if is_silent else "Let me think.")
    assert got.output == said.output_tokens
    # Gemini's clients may ask to be shown the thoughts without asking for any.
    assert received(cell.provider.seen[0]).thinks or cell.sdk_name == "google"


@cells()
async def test_an_answer_in_a_form_is_asked_for(cell: Cell) -> None:
    cell.plays(Scenario(text=('{"city":', '"Rome"}')))
    got = await cell.ask(Ask(schema=True))
    assert got.text == '{"city":"Rome"}'
    seen = cell.provider.seen[0]
    assert "city" in str(seen.payload)
    assert list(SCHEMA["properties"]) == ["city"]


@cells()
async def test_system_text_and_an_image_arrive(cell: Cell, png: str) -> None:
    ask = Ask("What is this?", system="Be terse.", image=png)
    got = await cell.ask(ask, model=cell.target.viewer)
    assert got.text == "Hello wörld ✓"
    told = received(cell.provider.seen[0])
    assert told.system == "Be terse."
    assert "What is this?" in told.texts
    same = [text.replace("-", "+").replace("_", "/") for text in told.texts]
    assert any(text.endswith(png) for text in same)


@cells(streams=(True,))
@pytest.mark.parametrize("size", [1, 7])
async def test_a_stream_cut_anywhere_reads_the_same(cell: Cell, size: int) -> None:
    said = cell.plays(
        Scenario(text=("é世", "🌍 \u2028x"), calls=(Call("c", "wx", {"city": "ß"}),), stop="tools")
    )
    cell.provider.split_bytes = size
    got = await cell.ask(Ask("Weather?", tools=("wx",)))
    assert (got.text, named_calls(got)) == (said.whole_text, [("wx", {"city": "ß"})])
