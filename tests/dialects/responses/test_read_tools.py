"""Tools of a Responses request: flat, in namespaces, in items, of free text, of the vendor."""

import pytest

from dialects.anthropic import MESSAGES
from dialects.openai_chat import CHAT
from models.chat import Tool, ToolChoice
from models.content import Message, Text, ToolCall, ToolResult
from models.errors import BadRequest, Unrepresentable
from models.json_types import Json, JsonObject
from models.profile import Profile
from tests.dialects.responses.support import CALL, USER, WX, read

GRAMMAR: JsonObject = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}
PATCH: JsonObject = {"type": "custom", "name": "patch", "description": "P", "format": GRAMMAR}
SEARCH: JsonObject = {"type": "web_search", "external_web_access": False}
CLAUDE = Profile("claude", vendor="anthropic")


def space(name: str, *tools: JsonObject) -> JsonObject:
    return {"type": "namespace", "name": name, "description": f"About {name}", "tools": [*tools]}


def additional(*tools: JsonObject) -> JsonObject:
    return {"type": "additional_tools", "role": "developer", "tools": [*tools]}


def test_a_function() -> None:
    (tool,) = read(tools=[{**WX, "strict": True, "defer_loading": True}]).tools
    assert (tool.name, tool.description, tool.strict) == ("wx", "Weather", True)
    assert tool.schema == WX["parameters"]
    assert tool.extras == {"defer_loading": True}


def test_a_tool_of_free_text_is_a_function_of_one_string() -> None:
    (tool,) = read(tools=[PATCH]).tools
    assert tool.custom == GRAMMAR
    assert tool.schema is not None
    assert tool.schema["required"] == ["input"]
    assert "start: /.+/" in str(tool.schema)
    (plain,) = read(tools=[{"type": "custom", "name": "note"}]).tools
    assert plain.custom == {}


def test_namespaces_are_laid_out_flat() -> None:
    tools = read(tools=[WX, space("a", WX, PATCH), space("b", WX)]).tools
    assert [(tool.name, tool.namespace, tool.local_name) for tool in tools] == [
        ("wx", None, None),
        ("a__wx", "a", "wx"),
        ("patch", "a", "patch"),
        ("b__wx", "b", "wx"),
    ]
    assert tools[1].description == "About a\n\nWeather"


def test_a_name_that_is_taken_gets_a_number() -> None:
    tools = read(tools=[{**WX, "name": "a__wx"}, WX, space("a", WX)]).tools
    assert [tool.name for tool in tools] == ["a__wx", "wx", "a__wx_2"]


def test_tools_come_in_items_too_and_count_once() -> None:
    found = read(additional(space("a", WX), WX), USER, tools=[WX])
    assert [tool.name for tool in found.tools] == ["wx", "a__wx"]
    assert found.messages == (Message("user", (Text("Hi"),)),)


def test_calls_of_a_history_find_their_tools() -> None:
    first = {**CALL, "namespace": "a"}
    second = {**CALL, "call_id": "call_2"}
    third = {**CALL, "call_id": "call_3", "namespace": "gone", "name": "old"}
    (turn,) = read(first, second, third, tools=[WX, space("a", WX)]).messages
    names = [part.name for part in turn.parts if isinstance(part, ToolCall)]
    assert names == ["a__wx", "wx", "old"]


@pytest.mark.parametrize(
    ("choice", "neutral"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ({"type": "function", "name": "wx"}, ToolChoice("one", ("wx",))),
        ({"type": "custom", "name": "patch"}, ToolChoice("one", ("patch",))),
        ({"type": "function", "name": "wx", "namespace": "a"}, ToolChoice("one", ("a__wx",))),
        ({"type": "web_search"}, ToolChoice("one", ("web_search",))),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "wx"}, {"type": "web_search"}],
            },
            ToolChoice("subset", ("wx",), subset_required=True),
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]},
            ToolChoice("none"),
        ),
        (None, None),
    ],
)
def test_the_choice(choice: Json, neutral: ToolChoice | None) -> None:
    tools: list[Json] = [WX, PATCH, space("a", WX), SEARCH]
    assert read(tools=tools, tool_choice=choice).tool_choice == neutral


def test_there_is_no_choice_without_tools() -> None:
    assert read(tool_choice="auto").tool_choice is None
    with pytest.raises(BadRequest) as caught:
        read(tool_choice="required")
    assert caught.value.path == "tool_choice"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"tool_choice": "maybe", "tools": [WX]}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "x"}, "tools": [WX]}, "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "x"}}, "tool_choice.mode"),
        (
            {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}},
            "tool_choice.tools",
        ),
        ({"tools": [{"name": "x"}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "name": ""}]}, "tools[0].name"),
        ({"tools": [{**WX, "parameters": []}]}, "tools[0].parameters"),
        ({"tools": [space("", WX)]}, "tools[0].name"),
        ({"tools": [space("a", SEARCH)]}, "tools[0].tools[0].type"),
        ({"input": [additional({"type": "custom"})]}, "input[0].tools[0].name"),
    ],
)
def test_wrong_tools_are_named_by_their_place(fields: JsonObject, path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**fields)
    assert caught.value.path == path


# --- the vendor's own tools -------------------------------------------------------------------


@pytest.mark.parametrize("target", [MESSAGES, CHAT], ids=["messages", "chat"])
def test_a_vendors_tool_is_left_out_where_only_its_vendor_knows_it(target: object) -> None:
    dialect = MESSAGES if target is MESSAGES else CHAT
    wanted = read(tools=[SEARCH, WX], tool_choice="auto")
    encoded = dialect.encode_request(wanted, CLAUDE)
    assert "tools.web_search" in encoded.dropped
    tools = encoded.payload["tools"]
    assert isinstance(tools, list)
    assert len(tools) == 1
    assert "web_search" not in str(encoded.payload)


@pytest.mark.parametrize(
    ("choice", "tools"),
    [
        ({"type": "web_search"}, [SEARCH, WX]),
        ("required", [SEARCH]),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]},
            [SEARCH, WX],
        ),
    ],
)
def test_a_vendors_tool_that_must_be_called_is_not(choice: Json, tools: list[Json]) -> None:
    with pytest.raises(Unrepresentable) as caught:
        CHAT.encode_request(read(tools=tools, tool_choice=choice), CLAUDE)
    assert caught.value.path == "tools[0]"


@pytest.mark.parametrize(
    "kind", ["file_search", "code_interpreter", "mcp", "computer", "computer_use_preview"]
)
def test_a_vendors_tool_that_is_relied_on_is_not(kind: str) -> None:
    with pytest.raises(Unrepresentable) as caught:
        CHAT.encode_request(read(tools=[WX, {"type": kind}], tool_choice="auto"), CLAUDE)
    assert caught.value.path == "tools[1]"


def test_tools_as_a_coding_agent_sends_them() -> None:
    """Everything at once: an item with a namespace of both kinds, and calls that refer to it."""
    shell = {**WX, "name": "exec"}
    found = read(
        additional(space("work", shell, PATCH)),
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "S"}]},
        USER,
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "name": "patch",
         "namespace": "work", "input": "*** Begin", "status": "completed"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "Done"},
        tools=[SEARCH],
        tool_choice="auto",
    )  # fmt: skip
    assert found.system == (Text("S"),)
    assert [tool.name for tool in found.tools] == ["web_search", "exec", "patch"]
    assert isinstance(found.tools[0], Tool)
    assert found.tools[0].optional
    assert found.messages[1:] == (
        Message("assistant", (ToolCall("c1", "patch", '{"input":"*** Begin"}'),)),
        Message("user", (ToolResult("c1", (Text("Done"),)),)),
    )
