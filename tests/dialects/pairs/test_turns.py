"""Turns of Responses' and Gemini's clients, in the order that each provider demands."""

import pytest

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.gemini import GEMINI
from dialects.openai_responses import RESPONSES
from models.errors import BadRequest
from models.json_types import Json, JsonObject
from tests.dialects.pairs.routes import (
    ADAPTIVE,
    BUDGETS,
    GLM,
    GPT,
    GUEST,
    LEVELS,
    MANUAL,
    part,
    sent,
)

HI: JsonObject = {"role": "user", "content": "Hi"}
LOST = "[tool call was not executed]"


def item(call_id: str, name: str) -> Json:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": "{}"}


def output(call_id: str, told: Json) -> Json:
    return {"type": "function_call_output", "call_id": call_id, "output": told}


def user(*parts: Json) -> Json:
    return {"role": "user", "parts": [*parts]}


def model(*parts: Json) -> Json:
    return {"role": "model", "parts": [*parts]}


def call(name: str) -> Json:
    return {"functionCall": {"name": name, "args": {}}}


def response(name: str, told: Json) -> Json:
    return {"functionResponse": {"name": name, "response": told}}


ASKED = user({"text": "Hi"})
TWISTED: list[tuple[Dialect, JsonObject]] = [
    (
        RESPONSES,
        {"input": [HI, item("call_0", "f"), item("call_1", "g"), output("call_1", "2"),
                   output("call_0", "old"), output("call_0", "1")]},
    ),
    (
        GEMINI,
        {"contents": [ASKED, model(call("f"), call("g")),
                      user(response("g", {"output": "2"}), response("f", {"output": "1"}))]},
    ),
]  # fmt: skip
UNANSWERED: list[tuple[Dialect, JsonObject]] = [
    (RESPONSES, {"input": [HI, item("call_0", "f"), HI]}),
    (GEMINI, {"contents": [ASKED, model(call("f")), ASKED]}),
]


def told(client: Dialect, name: str, fields: JsonObject) -> list[tuple[str, ...]]:
    """Return calls and results as the provider gets them, in their order."""
    payload = sent(client, name, fields).payload
    turns = payload.get("messages", payload.get("input", payload.get("contents")))
    assert isinstance(turns, list)
    found: list[tuple[str, ...]] = []
    for turn in turns:
        assert isinstance(turn, dict)
        pieces: list[Json] = [turn]
        for key in ("content", "parts", "tool_calls"):
            inside = turn.get(key)
            pieces += inside if isinstance(inside, list) else []
        found += [one for piece in pieces if isinstance(piece, dict) for one in _tool(piece)]
    return found


def _tool(piece: JsonObject) -> list[tuple[str, ...]]:
    match piece:
        case {"type": "tool_use", "id": str(made)} | {"type": "function", "id": str(made)}:
            return [("call", made)]
        case {"type": "function_call", "call_id": str(made)}:
            return [("call", made)]
        case {"functionCall": {"id": str(made)}}:
            return [("call", made)]
        case {"tool_use_id": str(made), "content": str(text)}:
            return [("result", made, text)]
        case {"tool_call_id": str(made), "content": str(text)}:
            return [("result", made, text)]
        case {"type": "function_call_output", "call_id": str(made), "output": str(text)}:
            return [("result", made, text)]
        case {"functionResponse": {"id": str(made), "response": dict(text)}}:
            return [("result", made, *map(str, text.values()))]
        case _:
            return []


PLACES = {
    RESPONSES: [ADAPTIVE, GPT, LEVELS, GUEST, GLM],
    GEMINI: [ADAPTIVE, GPT, GUEST, GLM],
}


def ways(cases: list[tuple[Dialect, JsonObject]]) -> list[object]:
    return [
        pytest.param(client, fields, name, id=f"{client.name} to {name}")
        for client, fields in cases
        for name in PLACES[client]
    ]


@pytest.mark.parametrize(("client", "fields", "name"), ways(TWISTED))
def test_results_follow_in_the_order_of_the_calls_and_the_last_one_counts(
    client: Dialect, fields: JsonObject, name: str
) -> None:
    assert told(client, name, fields) == [
        ("call", "call_0"), ("call", "call_1"), ("result", "call_0", "1"), ("result", "call_1", "2")
    ]  # fmt: skip


@pytest.mark.parametrize(("client", "fields", "name"), ways(UNANSWERED))
def test_a_call_that_nobody_answered_is_answered(
    client: Dialect, fields: JsonObject, name: str
) -> None:
    answered = told(client, name, fields)
    assert [one[:2] for one in answered] == [("call", "call_0"), ("result", "call_0")]
    assert LOST in answered[1][2]


@pytest.mark.parametrize(
    ("client", "fields"),
    [
        (RESPONSES, {"input": [HI, output("x", "1")]}),
        (GEMINI, {"contents": [ASKED, user(response("f", {"output": "1"}))]}),
    ],
)
def test_a_result_that_answers_nothing_is_refused(client: Dialect, fields: JsonObject) -> None:
    for name in PLACES[client]:
        with pytest.raises(BadRequest):
            sent(client, name, fields)


# --- what a tool said -------------------------------------------------------------------------

PNG: Json = {"type": "input_image", "image_url": "data:image/png;base64,QUJD"}
DRAWN: JsonObject = {
    "input": [HI, item("a", "f"), output("a", [{"type": "input_text", "text": "m"}, PNG])]
}
BLOB: JsonObject = {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}
IMAGE: JsonObject = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"},
}


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        (ADAPTIVE, "messages.2.content.0.content.1", IMAGE),
        (GPT, "messages.2.content", "m\n[image attached below]"),
        (GPT, "messages.3.content.1.image_url.url", "data:image/png;base64,QUJD"),
        (LEVELS, "contents.2.parts.0.functionResponse.parts", [BLOB]),
        (BUDGETS, "contents.2.parts.1", BLOB),
        (GUEST, "contents.2.parts.0.functionResponse.parts", [BLOB]),
        (GLM, "messages.3.content.1.type", "image_url"),
    ],
)
def test_a_picture_that_a_tool_gave_reaches_the_model(name: str, path: str, expected: Json) -> None:
    assert part(sent(RESPONSES, name, DRAWN).payload, path) == expected


FAILED: JsonObject = {"contents": [ASKED, model(call("f")), user(response("f", {"error": "gone"}))]}


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        (ADAPTIVE, "messages.2.content.0.is_error", True),
        (GPT, "input.2.output", '{"error":"gone"}'),
        (GUEST, "contents.2.parts.0.functionResponse.response", {"error": "gone"}),
        (GLM, "messages.2.content", '{"error":"gone"}'),
    ],
)
def test_a_tool_that_failed_has_failed_everywhere(name: str, path: str, expected: Json) -> None:
    assert part(sent(GEMINI, name, FAILED).payload, path) == expected


# --- system text, and conversations without a user --------------------------------------------

SYSTEM: JsonObject = {
    "instructions": "S",
    "input": [{"role": "developer", "content": "D"}, HI, {"role": "system", "content": "mid"}, HI],
}
REMINDER = "<system-reminder>\nmid\n</system-reminder>"


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        (ADAPTIVE, "system", [{"type": "text", "text": "S"}, {"type": "text", "text": "D"}]),
        (ADAPTIVE, "messages.1", {"role": "system", "content": "mid"}),
        (MANUAL, "messages.0.content.1.text", REMINDER),
        (GPT, "messages.0", {"role": "system", "content": "S\n\nD"}),
        (GPT, "messages.2", {"role": "system", "content": "mid"}),
        (LEVELS, "systemInstruction.parts", [{"text": "S"}, {"text": "D"}]),
        (LEVELS, "contents.0.parts.1.text", REMINDER),
        (GUEST, "contents.0.parts.1.text", REMINDER),
        (GLM, "messages.2", {"role": "system", "content": "mid"}),
    ],
)
def test_system_text_of_a_responses_client(name: str, path: str, expected: Json) -> None:
    assert part(sent(RESPONSES, name, SYSTEM).payload, path) == expected


ALONE: JsonObject = {"instructions": "S", "input": []}
BACKWARDS: JsonObject = {"contents": [model({"text": "x"}), ASKED]}


@pytest.mark.parametrize(
    ("client", "fields", "name", "path", "expected"),
    [
        (RESPONSES, ALONE, ADAPTIVE, "messages.0.content", "Continue."),
        (RESPONSES, ALONE, GPT, "messages.1", None),
        (RESPONSES, ALONE, LEVELS, "contents.0.parts.0.text", "Continue."),
        (RESPONSES, ALONE, GUEST, "contents.0.parts.0.text", "Continue."),
        (RESPONSES, ALONE, GLM, "messages.1.content", "Continue."),
        (GEMINI, BACKWARDS, ADAPTIVE, "messages.0.content", "Continue."),
        (GEMINI, BACKWARDS, GPT, "input.0.role", "assistant"),
        (GEMINI, BACKWARDS, GUEST, "contents.0.parts.0.text", "Continue."),
        (GEMINI, BACKWARDS, GLM, "messages.0.role", "assistant"),
    ],
)
def test_who_demands_a_user_gets_one(
    client: Dialect, fields: JsonObject, name: str, path: str, expected: Json
) -> None:
    assert part(sent(client, name, fields).payload, path) == expected


# --- answers to continue ----------------------------------------------------------------------

BEGUN: dict[Dialect, JsonObject] = {
    RESPONSES: {"input": [HI, {"role": "assistant", "content": "ok "}]},
    GEMINI: {"contents": [ASKED, model({"text": "ok "})]},
    MESSAGES: {"messages": [HI, {"role": "assistant", "content": "ok "}]},
}


@pytest.mark.parametrize(
    ("client", "name"),
    [(RESPONSES, ADAPTIVE), (RESPONSES, GUEST), (GEMINI, ADAPTIVE), (GEMINI, GUEST),
     (MESSAGES, GUEST)],
)  # fmt: skip
def test_an_answer_to_continue_is_refused_as_the_model_would(client: Dialect, name: str) -> None:
    with pytest.raises(BadRequest, match="assistant message prefill"):
        sent(client, name, BEGUN[client])


@pytest.mark.parametrize(
    ("client", "name", "path", "expected", "dropped"),
    [
        (RESPONSES, MANUAL, "messages.1.content", "ok", ()),
        (GEMINI, MANUAL, "messages.1.content", "ok", ()),
        (RESPONSES, LEVELS, "contents.1.parts", [{"text": "ok "}], ()),
        (MESSAGES, LEVELS, "contents.1.parts", [{"text": "ok "}], ()),
        (RESPONSES, GPT, "messages.1.content", "ok ", ("prefill",)),
        (GEMINI, GPT, "input.1.content", "ok ", ("prefill",)),
        (RESPONSES, GLM, "messages.1.content", "ok ", ("prefill",)),
    ],
)
def test_an_answer_to_continue_goes_where_that_is_known(
    client: Dialect, name: str, path: str, expected: Json, dropped: tuple[str, ...]
) -> None:
    request = sent(client, name, BEGUN[client])
    assert part(request.payload, path) == expected
    assert request.dropped == dropped
