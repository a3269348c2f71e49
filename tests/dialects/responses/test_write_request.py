"""Requests written for a provider of the Responses format."""

import pytest

from models.chat import ChatRequest, OutputFormat, Sampling, Thinking, Tool, ToolChoice
from models.content import Message, Text
from models.errors import Unrepresentable
from models.json_types import JsonObject
from models.profile import Profile
from tests.dialects.official import fits_responses
from tests.dialects.responses.support import PLAIN, REASONING, STRANGER, write

HI = (Message("user", (Text("Hi"),)),)
CLOSED: JsonObject = {
    "type": "object",
    "properties": {"x": {"type": "string"}},
    "required": ["x"],
    "additionalProperties": False,
}


def ask(**fields: object) -> ChatRequest:
    return ChatRequest(**{"model": "m", "stream": False, "messages": HI, **fields})  # type: ignore[arg-type]  # a table of fields


def test_nothing_is_stored_and_thoughts_come_back_encrypted() -> None:
    encoded = write(ask(stream=True, system=(Text("S1"), Text(""), Text("S2"))))
    assert encoded.payload == {
        "model": "gpt-new",
        "store": False,
        "instructions": "S1\n\nS2",
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Hi"}],
            }
        ],
        "stream": True,
        "include": ["reasoning.encrypted_content"],
    }
    fits_responses(encoded.payload)
    assert (encoded.dropped, encoded.stops) == ((), ())


@pytest.mark.parametrize("profile", [PLAIN, STRANGER])
def test_models_that_do_not_encrypt_are_not_asked_to(profile: Profile) -> None:
    assert "include" not in write(ask(), profile).payload


def test_stop_sequences_are_left_to_the_gateway() -> None:
    encoded = write(ask(stop=("END", "", "END", "Q")))
    assert encoded.stops == ("END", "Q")
    assert "stop" not in encoded.payload


@pytest.mark.parametrize(
    ("asked", "sent", "dropped"),
    [
        (None, None, ()),
        (500, 500, ()),
        (16, 16, ()),
        (5, 16, ("max_tokens",)),
        (200_000, 100_000, ("max_tokens",)),
    ],
)
def test_the_limit_stays_within_what_is_accepted(
    asked: int | None, sent: int | None, dropped: tuple[str, ...]
) -> None:
    encoded = write(ask(max_tokens=asked))
    assert (encoded.payload.get("max_output_tokens"), encoded.dropped) == (sent, dropped)


@pytest.mark.parametrize(
    ("thinking", "reasoning", "dropped"),
    [
        (Thinking(), None, ()),
        (Thinking("off"), {"effort": "none"}, ()),
        (Thinking("auto"), {"summary": "auto"}, ()),
        (Thinking("effort", effort="high"), {"effort": "high", "summary": "auto"}, ()),
        (Thinking("effort", effort="max", shown=False), {"effort": "high"}, ()),
        (Thinking("budget", 2000, display="omitted"), {"effort": "medium"}, ()),
        (Thinking("between_tools"), {"summary": "auto"}, ("thinking",)),
        (Thinking(shown=True), {"summary": "auto"}, ()),
    ],
)
def test_thinking(
    thinking: Thinking, reasoning: JsonObject | None, dropped: tuple[str, ...]
) -> None:
    encoded = write(ask(thinking=thinking))
    assert (encoded.payload.get("reasoning"), encoded.dropped) == (reasoning, dropped)
    fits_responses(encoded.payload)


def test_models_without_thinking_are_not_asked_for_it() -> None:
    encoded = write(ask(thinking=Thinking("effort", effort="high")), PLAIN)
    assert "reasoning" not in encoded.payload
    assert encoded.dropped == ("thinking",)
    assert write(ask(thinking=Thinking("off")), PLAIN).dropped == ()


def test_knobs_of_the_sampler() -> None:
    every = Sampling(0, 0.5, 5, 0.1, 0.2, 7, {"1": 2}, 1, True, 3)
    unknown = (
        "top_k",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "logit_bias",
        "logprobs",
        "top_logprobs",
    )
    plain = write(ask(sampling=every), PLAIN)
    assert (plain.payload["temperature"], plain.payload["top_p"]) == (0, 0.5)
    assert plain.dropped == unknown
    assert write(ask(sampling=every)).dropped == ("temperature", "top_p", *unknown)
    with pytest.raises(Unrepresentable) as caught:
        write(ask(sampling=Sampling(n=2)))
    assert caught.value.path == "n"


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (OutputFormat(), None),
        (OutputFormat("json_object"), {"format": {"type": "json_object"}}),
        (
            OutputFormat("json_schema", schema=CLOSED),
            {
                "format": {
                    "type": "json_schema",
                    "name": "response",
                    "schema": CLOSED,
                    "strict": True,
                }
            },
        ),
        (
            OutputFormat("json_schema", "my shape", "d", {"type": "object"}, False),
            {
                "format": {
                    "type": "json_schema",
                    "name": "my_shape",
                    "schema": {"type": "object"},
                    "strict": False,
                    "description": "d",
                }
            },
        ),
    ],
)
def test_the_shape_of_the_answer(output: OutputFormat, text: JsonObject | None) -> None:
    encoded = write(ask(output=output))
    assert encoded.payload.get("text") == text
    fits_responses(encoded.payload)


def test_who_asks_and_what_it_costs() -> None:
    wanted = ask(
        user_id="u" * 200,
        service_tier="standard_only",
        verbosity="low",
        cache_key="k",
        metadata={"a": "b"},
    )
    ours = write(wanted).payload
    assert len(str(ours["safety_identifier"])) == 64
    assert (ours["service_tier"], ours["prompt_cache_key"]) == ("default", "k")
    assert (ours["text"], ours["metadata"]) == ({"verbosity": "low"}, {"a": "b"})
    fits_responses(ours)
    theirs = write(wanted, STRANGER)
    assert "user" in theirs.payload
    assert theirs.dropped == ("verbosity", "service_tier", "prompt_cache_key")
    long = write(ask(metadata={"a": "b" * 600}))
    assert (long.dropped, "metadata" in long.payload) == (("metadata",), False)


def test_fields_of_other_formats() -> None:
    wanted = ask(extras={"responses": {"truncation": "auto"}, "chat": {"store": True, "x": 1}})
    encoded = write(wanted)
    assert encoded.payload["truncation"] == "auto"
    assert encoded.payload["store"] is False
    assert encoded.dropped == ("store", "x")
    with pytest.raises(Unrepresentable):
        write(ask(extras={"messages": {"mcp_servers": [{}]}}))


# --- tools ------------------------------------------------------------------------------------


def test_functions_are_loose_unless_they_are_meant_strictly() -> None:
    tools = (
        Tool("a", "About a", {"type": "object"}),
        Tool("b", schema=CLOSED, strict=True),
        Tool("c", schema={"type": "object"}, strict=True),
        Tool("d d"),
    )
    encoded = write(ask(tools=tools, tool_choice=ToolChoice("one", ("d d",)), parallel_tools=False))
    assert encoded.payload["tools"] == [
        {
            "type": "function",
            "name": "a",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
            "description": "About a",
        },
        {"type": "function", "name": "b", "parameters": CLOSED, "strict": True},
        {
            "type": "function",
            "name": "c",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        },
        {"type": "function", "name": "d_d", "parameters": None, "strict": False},
    ]
    assert encoded.payload["tool_choice"] == {"type": "function", "name": "d_d"}
    assert encoded.payload["parallel_tool_calls"] is False
    assert encoded.dropped == ("strict",)
    assert encoded.tool_names == {"d_d": "d d"}
    fits_responses(encoded.payload)


def test_tools_of_free_text_stay_what_they_are() -> None:
    grammar: JsonObject = {"type": "grammar", "syntax": "regex", "definition": ".*"}
    tools = (Tool("patch", custom=grammar), Tool("note", custom={}))
    encoded = write(ask(tools=tools, tool_choice=ToolChoice("one", ("note",))))
    assert encoded.payload["tools"] == [
        {"type": "custom", "name": "patch", "format": grammar},
        {"type": "custom", "name": "note"},
    ]
    assert encoded.payload["tool_choice"] == {"type": "custom", "name": "note"}
    fits_responses(encoded.payload)


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice("auto"), "auto"),
        (ToolChoice("none"), "none"),
        (ToolChoice("required"), "required"),
        (
            ToolChoice("subset", ("a",), subset_required=True),
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "a"}],
            },
        ),
    ],
)
def test_the_choice(choice: ToolChoice, written: object) -> None:
    encoded = write(ask(tools=(Tool("a"),), tool_choice=choice))
    assert encoded.payload["tool_choice"] == written
    fits_responses(encoded.payload)


def test_without_tools_there_is_nothing_to_choose() -> None:
    payload = write(ask(tool_choice=ToolChoice("none"), parallel_tools=True)).payload
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & payload.keys()


def test_other_vendors_tools_are_refused() -> None:
    with pytest.raises(Unrepresentable) as caught:
        write(ask(tools=(Tool("bash", raw={"type": "bash_20250124"}, dialect="messages"),)))
    assert caught.value.path == "tools[0]"


def test_its_own_profile_is_what_counts() -> None:
    assert write(ask(), REASONING).payload["model"] == "gpt-new"
