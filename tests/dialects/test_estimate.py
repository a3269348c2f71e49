"""Estimates of input tokens: never nothing, never less for more, near what tokenizers say."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.estimate import estimated_tokens
from models.chat import ChatRequest, OutputFormat, Tool
from models.content import (
    Inline,
    Media,
    Message,
    Opaque,
    Part,
    PlainText,
    Reasoning,
    Refusal,
    Remote,
    Text,
    ToolCall,
    ToolResult,
)

EMPTY = ChatRequest("m", False, ())
IMAGE = Media("image", Inline("image/png", "QUJD"))
WORDS = "The quick brown fox jumps over the lazy dog. " * 20


def said(*parts: Part) -> ChatRequest:
    return replace(EMPTY, messages=(Message("user", parts),))


def tokens(text: str) -> int:
    """Return the tokens of a text without those of its message."""
    return estimated_tokens(said(Text(text))) - estimated_tokens(said())


def test_nothing_is_one_token() -> None:
    assert estimated_tokens(EMPTY) == 1


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        pytest.param(WORDS, 200, 320, id="English: 200 words"),
        pytest.param("敏捷的棕色狐狸跳过了懒狗。" * 20, 180, 320, id="Chinese: 260 signs"),
        pytest.param("Съешь ещё этих мягких булок. " * 20, 180, 420, id="Russian: 100 words"),
        pytest.param("👍🏽" * 50, 100, 300, id="emoji: 50, each with a colour"),
        pytest.param("x", 1, 1, id="one letter"),
        pytest.param("", 0, 0, id="no text"),
    ],
)
def test_texts_cost_about_what_tokenizers_say(text: str, least: int, most: int) -> None:
    assert least <= tokens(text) <= most


@given(st.text(), st.text())
def test_more_text_is_never_less(text: str, more: str) -> None:
    assert tokens(text) <= tokens(text + more)


@pytest.mark.parametrize(
    "more",
    [
        replace(EMPTY, system=(Text("S"),)),
        said(),
        said(Text("x")),
        said(Refusal("x")),
        said(Reasoning("x")),
        said(ToolCall("c", "f", "{}")),
        said(ToolResult("c", (Text("x"),))),
        said(ToolResult("c", (IMAGE,))),
        said(IMAGE),
        said(Media("document", PlainText(WORDS))),
        said(Opaque("messages", {"type": "server_tool_use", "input": {"query": "x"}})),
        replace(EMPTY, tools=(Tool("f", "d", {"type": "object"}),)),
        replace(EMPTY, tools=(Tool("f", raw={"type": "web_search"}, dialect="messages"),)),
        replace(EMPTY, output=OutputFormat("json_schema", schema={"type": "object"})),
    ],
    ids=lambda request: repr(request.messages or request.tools or request.system)[:40],
)
def test_everything_that_is_sent_is_counted(more: ChatRequest) -> None:
    base = said(Text(WORDS))
    both = replace(
        base,
        system=more.system,
        tools=more.tools,
        output=more.output,
        messages=base.messages + more.messages,
    )
    assert estimated_tokens(both) > estimated_tokens(base)


def test_an_image_costs_what_a_large_one_does_however_it_came() -> None:
    inline = estimated_tokens(said(IMAGE))
    assert inline == estimated_tokens(said(Media("image", Remote("https://x.test/a.png"))))
    assert 1_000 < inline < 2_000


def test_a_long_document_costs_more_than_a_short_one() -> None:
    short, long = (
        estimated_tokens(said(Media("document", Inline("application/pdf", "A" * size))))
        for size in (1_000, 4_000_000)
    )
    assert 1_000 < short < 2_000
    assert 50_000 < long < 200_000
