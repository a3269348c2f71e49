"""Tools and the choice among them, written."""

import pytest

from models.chat import (
    Tool,
    ToolChoice,
)
from models.content import (
    ToolCall,
    ToolResult,
)
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject
from tests.dialects.anthropic.neutral import TOOL, USER, assistant, chat, user
from tests.dialects.anthropic.support import dig, write


def test_tool_names_are_made_valid_everywhere_and_can_be_found_again() -> None:
    written = write(
        chat(
            USER,
            assistant(ToolCall("c1", "my.tool", "{}")),
            user(ToolResult("c1", ())),
            tools=(Tool("my.tool"), Tool("my_tool")),
            tool_choice=ToolChoice("one", ("my.tool",)),
        )
    )
    assert written.tool_names == {"my_tool_2": "my.tool"}
    assert dig(written.payload, "tools", 0, "name") == "my_tool_2"
    assert dig(written.payload, "tools", 1, "name") == "my_tool"
    assert written.payload["tool_choice"] == {"type": "tool", "name": "my_tool_2"}
    assert "my.tool" not in str(written.payload)


def test_a_schema_gets_a_plain_object_at_its_root() -> None:
    union: JsonObject = {"anyOf": [{"properties": {"a": {"type": "string"}}}]}
    written = write(chat(tools=(Tool("f"), Tool("g", schema=union, strict=True))))
    assert written.payload["tools"] == [
        {"name": "f", "input_schema": {"type": "object", "properties": {}}},
        {
            "name": "g",
            "input_schema": {"properties": {"a": {"type": "string"}}, "type": "object"},
        },
    ]
    assert written.dropped == ("strict",)


@pytest.mark.parametrize(
    ("choice", "parallel", "said"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("auto"), None, {"type": "auto"}),
        (ToolChoice("none"), False, {"type": "none"}),
        (ToolChoice("required"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("one", ("f",)), None, {"type": "tool", "name": "f"}),
    ],
)
def test_tool_choice(choice: ToolChoice | None, parallel: bool | None, said: Json) -> None:
    written = write(chat(tools=(TOOL,), tool_choice=choice, parallel_tools=parallel))
    assert written.payload.get("tool_choice") == said


def test_a_subset_is_what_is_offered() -> None:
    wanted = chat(
        tools=(TOOL, Tool("g")), tool_choice=ToolChoice("subset", ("g",), subset_required=True)
    )
    payload = write(wanted).payload
    assert payload["tools"] == [{"name": "g", "input_schema": {"type": "object", "properties": {}}}]
    assert payload["tool_choice"] == {"type": "any"}


def test_without_tools_nothing_is_said_about_them() -> None:
    payload = write(chat(tool_choice=ToolChoice("required"), parallel_tools=False)).payload
    assert "tools" not in payload
    assert "tool_choice" not in payload


def test_a_tool_of_another_vendor_is_refused() -> None:
    with pytest.raises(Unrepresentable, match=r"tools\[0\]"):
        write(chat(tools=(Tool("x", raw={"type": "custom"}, dialect="chat"),)))
