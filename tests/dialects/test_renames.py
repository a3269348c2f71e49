"""What a provider would refuse is renamed on the way there and named again on the way back."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.anthropic import MESSAGES
from dialects.openai_chat import CHAT
from dialects.properties import LEFT_OUT, renamed_arguments, renamed_schema, wire_properties
from dialects.renames import Restorer
from models.chat import ChatResponse, FinishReason
from models.content import Text, ToolCall
from models.events import Delta, Event, Finish, PartEnd, PartStart, Start, check, collect, replay
from models.json_types import Json, JsonObject
from models.profile import Profile

CLAUDE = Profile("m", vendor="anthropic", thinking="adaptive")
NAMES = {"f": {"_top": "$top", "a_b": "a b"}}


def restored(restorer: Restorer, events: list[Event]) -> ChatResponse:
    return collect(check([kept for event in events for kept in restorer.feed(event)]))


def test_tools_get_their_own_names_back() -> None:
    call = ToolCall("c", "a_b", "{}")
    restorer = Restorer({"a_b": "a.b"}, {})
    assert restorer.feed(PartStart(call)) == [PartStart(ToolCall("c", "a.b", "{}"))]
    assert restorer.feed(Delta("x")) == [Delta("x")]
    answer = ChatResponse("i", "m", 0, (Text("t"), call), FinishReason.TOOL_CALLS)
    assert restorer.response(answer).parts == (Text("t"), ToolCall("c", "a.b", "{}"))
    assert Restorer({}, {}).response(answer) is answer


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ('{"_top":5,"z":{"_top":1},"a_b":"é"}', '{"$top":5,"z":{"_top":1},"a b":"é"}'),
        ("{}", "{}"),
        ("", ""),
        ('{"_top":', '{"_top":'),
        ("[1]", "[1]"),
        ('{"_top":123456789012345678901234}', '{"$top":123456789012345678901234}'),
    ],
)
def test_properties_get_their_own_names_back_however_the_arguments_are_cut(
    sent: str, seen: str
) -> None:
    whole = ChatResponse(
        "i", "m", 0, (Text("t"), ToolCall("c", "f", sent)), FinishReason.TOOL_CALLS
    )
    expected = (Text("t"), ToolCall("c", "f", seen))
    assert Restorer({}, NAMES).response(whole).parts == expected
    assert restored(Restorer({}, NAMES), list(replay(whole))).parts == expected
    pieces: list[Event] = [Delta(char) for char in sent]
    events: list[Event] = [Start("i", "m"), PartStart(ToolCall("c", "f", "")), *pieces, PartEnd()]
    events += [PartStart(ToolCall("d", "g", "")), Delta('{"_top"'), Delta(":1}"), PartEnd()]
    told = restored(Restorer({}, NAMES), [*events, Finish(FinishReason.TOOL_CALLS)])
    assert told.parts == (ToolCall("c", "f", seen), ToolCall("d", "g", '{"_top":1}'))


def test_property_names_that_anthropic_refuses_are_renamed_everywhere() -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {
            "$top": {"type": "integer"},
            "_top": {"type": "string"},
            "filter[id]": {"type": "string", "description": "d"},
            "inner": {"type": "object", "properties": {"$skip": {}}},
            "a.b-C_9": {},
            "x" * 65: {},
        },
        "required": ["$top", "inner"],
    }
    call: JsonObject = {"name": "a.f", "arguments": '{"$top":1,"inner":{"$skip":2}}'}
    encoded = MESSAGES.encode_request(
        CHAT.decode_request(
            {
                "model": "m",
                "messages": [
                    {"role": "user", "content": "Hi"},
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [{"id": "c", "type": "function", "function": call}],
                    },
                    {"role": "tool", "tool_call_id": "c", "content": "r"},
                ],
                "tools": [
                    {"type": "function", "function": {"name": "a.f", "parameters": schema}},
                    {"type": "function", "function": {"name": "g"}},
                ],
            }
        ),
        CLAUDE,
    )
    tools, messages = encoded.payload["tools"], encoded.payload["messages"]
    assert isinstance(tools, list)
    assert isinstance(tools[0], dict)
    assert tools[0]["input_schema"] == {
        "type": "object",
        "properties": {
            "_top_2": {"type": "integer", "description": "$top"},
            "_top": {"type": "string"},
            "filter_id_": {"type": "string", "description": "d"},
            "inner": {"type": "object", "properties": {"$skip": {}}},
            "a.b-C_9": {},
            "x" * 64: {"description": "x" * 65},
        },
        "required": ["_top_2", "inner"],
    }
    assert encoded.properties == {
        "a_f": {"_top_2": "$top", "filter_id_": "filter[id]", "x" * 64: "x" * 65}
    }
    assert '"input": {"_top_2": 1, "inner": {"$skip": 2}}' in json.dumps(messages)


names = st.sampled_from(["a", "a b", "a_b", "$a", "_a", "城市", "__", "x" * 70, "x" * 71, ""])


@given(st.dictionaries(names, st.integers()), st.lists(names, unique=True))
def test_renaming_there_and_back_changes_nothing(
    arguments: dict[str, Json], properties: list[str]
) -> None:
    schema: JsonObject = {"properties": {name: {} for name in properties}}
    there = wire_properties(schema)
    sent = renamed_schema(schema, there)["properties"]
    assert isinstance(sent, dict)
    assert len(sent) == len(properties)
    assert wire_properties({"properties": sent}) == {}
    known: JsonObject = {key: arguments[key] for key in arguments if key in properties}
    back = {wire: name for name, wire in there.items()}
    assert renamed_arguments(renamed_arguments(known, there), back) == known


def test_long_lists_of_names_that_fall_together_are_told_apart_quickly() -> None:
    schema: JsonObject = {"properties": {f"é{'é' * at}"[:70]: {} for at in range(64)}}
    many: JsonObject = {
        "properties": {
            "".join(name): {} for name in itertools.islice(itertools.product("äöü", repeat=9), 9000)
        }
    }
    for one in (schema, many):
        names_of = wire_properties(one)
        assert len(set(names_of.values())) == len(names_of)


def test_what_only_the_provider_was_told_of_is_left_out_at_any_depth() -> None:
    names = {"why": LEFT_OUT, "a_b": "a.b"}
    arguments: JsonObject = {"why": "x", "a_b": {"why": "y", "c": [{"why": 1, "d": "why"}]}}
    assert renamed_arguments(arguments, names) == {"a.b": {"c": [{"d": "why"}]}}
    deep: JsonObject = {"a": json.loads('{"a":' * 900 + "1" + "}" * 900)}
    assert renamed_arguments(deep, names) == deep
