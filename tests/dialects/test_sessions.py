"""What a request's body says of its conversation, in every format."""

import json

import pytest

from dialects import DIALECTS
from dialects.openings import MAX_CHARS
from models.json_types import Json, JsonObject
from models.session import Session

CACHED: JsonObject = {"cache_control": {"type": "ephemeral"}}
UUID = "5f0c1d52-3c44-4a5e-9a61-0d2f9a3c1b77"


def text(said: str, **marks: Json) -> JsonObject:
    return {"type": "text", "text": said, **marks}


def says(role: str, content: Json) -> JsonObject:
    return {"role": role, "content": content}


def gemini(role: str, *said: str) -> JsonObject:
    return {"role": role, "parts": [{"text": piece} for piece in said]}


def item(role: str, content: Json) -> JsonObject:
    return {"type": "message", **says(role, content)}


FIRST_TURNS: dict[str, tuple[str, JsonObject]] = {
    "messages": ("messages", {"system": "Be brief.", "messages": [says("user", "Why is it so?")]}),
    "messages in parts": (
        "messages",
        {
            "system": [text("Be "), text("brief.")],
            "messages": [says("user", [text("Why is "), text("it so?")])],
        },
    ),
    "messages with a system turn": (
        "messages",
        {"messages": [says("user", "Why is it so?"), says("system", "Be brief.")]},
    ),
    "chat": (
        "chat",
        {"messages": [says("system", "Be brief."), says("user", "Why is it so?")]},
    ),
    "chat for reasoners": (
        "chat",
        {"messages": [says("developer", [text("Be brief.")]), says("user", "Why is it so?")]},
    ),
    "responses": ("responses", {"instructions": "Be brief.", "input": "Why is it so?"}),
    "responses in items": (
        "responses",
        {
            "input": [
                {"type": "additional_tools", "role": "developer", "tools": []},
                item("developer", [{"type": "input_text", "text": "Be brief."}]),
                item("user", [{"type": "input_text", "text": "Why is it so?"}]),
            ]
        },
    ),
    "gemini": (
        "gemini",
        {
            "systemInstruction": gemini("user", "Be brief."),
            "contents": [gemini("user", "Why is it so?")],
        },
    ),
    "gemini in other spellings": (
        "gemini",
        {
            "system_instruction": {"parts": [{"text": "Be brief."}]},
            "contents": {"parts": [{"text": "Why is it so?"}]},
        },
    ),
}

LATER: dict[str, list[JsonObject]] = {
    "messages": [says("assistant", [text("So.")]), says("user", [text("And now?", **CACHED)])],
    "chat": [says("assistant", "So."), says("user", "And now?")],
    "responses": [
        item("assistant", [{"type": "output_text", "text": "So."}]),
        item("user", [{"type": "input_text", "text": "And now?"}]),
    ],
    "gemini": [gemini("model", "So."), gemini("user", "And now?")],
}
TURNS = {"messages": "messages", "chat": "messages", "responses": "input", "gemini": "contents"}


@pytest.mark.parametrize(("dialect", "payload"), FIRST_TURNS.values(), ids=FIRST_TURNS.keys())
def test_the_beginning_is_the_same_however_it_is_written(dialect: str, payload: JsonObject) -> None:
    found = DIALECTS[dialect].session(payload)
    assert found == Session(None, has_history=False, system="Be brief.", opening="Why is it so?")


@pytest.mark.parametrize(("dialect", "payload"), FIRST_TURNS.values(), ids=FIRST_TURNS.keys())
def test_a_later_turn_begins_as_the_first_did(dialect: str, payload: JsonObject) -> None:
    turns = payload[TURNS[dialect]]
    if isinstance(turns, str):
        turns = [item("user", turns)]
    if isinstance(turns, dict):
        turns = [turns]
    assert isinstance(turns, list)
    later = {**payload, TURNS[dialect]: [*turns, *LATER[dialect]]}
    found = DIALECTS[dialect].session(later)
    assert found == Session(None, has_history=True, system="Be brief.", opening="Why is it so?")


def test_pain_23_cache_markers_that_move_change_nothing() -> None:
    dialect = DIALECTS["messages"]
    plain: JsonObject = {
        "system": "You are a helper.",
        "messages": [says("user", "Long question"), says("assistant", "x"), says("user", "more")],
    }
    marked: JsonObject = {
        "system": [text("You are a helper.", **CACHED)],
        "messages": [
            says("user", [text("Long question", **CACHED)]),
            says("assistant", [text("x")]),
            says("user", [text("more", **CACHED)]),
        ],
    }
    assert dialect.session(plain) == dialect.session(marked)


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "reasoning", "encrypted_content": "x", "summary": []},
        {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"},
        {"type": "custom_tool_call", "name": "f", "input": "", "call_id": "c"},
        {"type": "compaction", "encrypted_content": "x"},
    ],
    ids=lambda entry: str(entry["type"]),
)
def test_what_only_a_model_leaves_behind_is_history(entry: JsonObject) -> None:
    asked: JsonObject = {"input": [item("user", "Why is it so?"), entry]}
    assert DIALECTS["responses"].session(asked).has_history
    answered: JsonObject = {"type": "function_call_output", "call_id": "c", "output": "x"}
    assert (
        not DIALECTS["responses"].session({"input": [item("user", "Why?"), answered]}).has_history
    )


@pytest.mark.parametrize(
    ("user_id", "name"),
    [
        pytest.param(f"user_{'a' * 64}_account__session_{UUID}", UUID, id="without account"),
        pytest.param(
            f"user_{'a' * 64}_account_{UUID[::-1]}_session_{UUID}", UUID, id="with account"
        ),
        pytest.param(
            json.dumps({"device_id": "d", "account_uuid": "", "session_id": UUID}), UUID, id="JSON"
        ),
        pytest.param('{"device_id": "d"}', None, id="JSON without a session"),
        pytest.param('{"session_id": 7}', None, id="JSON with a number"),
        pytest.param('{"session_id"', None, id="no JSON"),
        pytest.param("user-17", None, id="a user has many conversations"),
        pytest.param("user_session_" + "x" * 2000, None, id="too long"),
        pytest.param("", None, id="empty"),
        pytest.param(7, None, id="a number"),
    ],
)
def test_a_messages_client_names_its_session_inside_the_users_id(
    user_id: Json, name: str | None
) -> None:
    payload: JsonObject = {"metadata": {"user_id": user_id}, "messages": []}
    assert DIALECTS["messages"].session(payload).name == name


@pytest.mark.parametrize("dialect", ["chat", "responses"])
@pytest.mark.parametrize(
    ("given", "name"), [("key-1", "key-1"), ("  ", None), (None, None), (5, None)]
)
def test_openais_formats_name_a_cache_key(dialect: str, given: Json, name: str | None) -> None:
    assert DIALECTS[dialect].session({"prompt_cache_key": given}).name == name


def test_only_so_much_is_looked_at() -> None:
    payload: JsonObject = {
        "system": [text("s" * 3000)] * 50,
        "messages": [says("user", "u" * 100_000)] * 50,
    }
    found = DIALECTS["messages"].session(payload)
    assert (found.system, found.opening) == ("s" * MAX_CHARS, "u" * MAX_CHARS)


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@pytest.mark.parametrize(
    "odd", [None, 7, "x", [], [7, None, "x", []], {}, {"role": []}, [{"role": {}}]]
)
def test_a_body_of_odd_shapes_is_no_error(dialect: str, odd: Json) -> None:
    names = ("metadata", "system", "messages", "input", "instructions", "contents")
    payload: JsonObject = dict.fromkeys((*names, "systemInstruction", "prompt_cache_key"), odd)
    DIALECTS[dialect].session(payload)
