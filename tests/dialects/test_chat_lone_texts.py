"""Chunks that continue a text and bring something else too lose none of it."""

import json

import pytest

from dialects.openai_chat import CHAT
from models.chat import FinishReason
from models.content import Part, Reasoning, Refusal, Text, ToolCall
from models.errors import UpstreamError
from models.events import collect
from models.json_types import Json, JsonObject
from models.profile import Profile
from models.usage import Usage

ENTRY: JsonObject = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}


def answered(choice: JsonObject, **fields: Json) -> tuple[tuple[Part, ...], FinishReason, Usage]:
    """Return what is read of "a" and then a chunk with this choice."""
    first: JsonObject = {"choices": [{"index": 0, "delta": {"content": "a"}}]}
    chunks = [first, {"choices": [choice], **fields}]
    raw = b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks)
    decoder = CHAT.decoder(Profile("m"))
    events = [*decoder.feed(raw), *decoder.feed(b"data: [DONE]\n\n"), *decoder.end()]
    made = collect(events)
    return made.parts, made.finish, made.usage


@pytest.mark.parametrize(
    ("delta", "parts"),
    [
        ({"content": "b"}, (Text("ab"),)),
        ({"content": "b", "role": "assistant", "refusal": None}, (Text("ab"),)),
        ({"content": "b", "tool_calls": [ENTRY]}, (Text("ab"), ToolCall("c", "f", "{}"))),
        ({"content": "b", "refusal": "no"}, (Text("ab"), Refusal("no"))),
        (
            {"content": "b", "reasoning_content": "t"},
            (Text("a"), Reasoning("t"), Text("b")),
        ),
        ({"content": [{"type": "text", "text": "b"}]}, (Text("ab"),)),
    ],
)
def test_what_stands_beside_a_text_is_read(delta: JsonObject, parts: tuple[Part, ...]) -> None:
    assert answered({"index": 0, "delta": delta})[0] == parts


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 3, "completion_tokens": 2}])
def test_the_last_text_may_come_with_the_end_and_the_usage(usage: JsonObject | None) -> None:
    choice: JsonObject = {"index": 0, "delta": {"content": "b"}, "finish_reason": "length"}
    counted = Usage(3, 2) if usage else Usage()
    assert answered(choice, usage=usage) == ((Text("ab"),), FinishReason.LENGTH, counted)


def test_another_answers_text_is_not_this_ones() -> None:
    assert answered({"index": 1, "delta": {"content": "b"}})[0] == (Text("a"),)


def test_an_error_beside_a_text_is_an_error() -> None:
    with pytest.raises(UpstreamError, match="broken"):
        answered({"index": 0, "delta": {"content": "b"}}, error={"message": "broken"})
