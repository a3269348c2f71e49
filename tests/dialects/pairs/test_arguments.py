"""Arguments of a tool, whole or broken, from every provider to every client, whole and streamed."""

import json

import pytest

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.gemini import GEMINI
from dialects.openai_chat import CHAT
from dialects.openai_responses import RESPONSES
from models.chat import ChatResponse, FinishReason
from models.content import Text, ToolCall
from models.events import Event, collect, replay
from models.json_types import Json, JsonObject
from tests.dialects.pairs.formats import CONTEXTS, heard, payloads, streamed
from tests.dialects.pairs.routes import part

CALLS, CUT = FinishReason.TOOL_CALLS, FinishReason.LENGTH
HALF = '{"city":"Ro'


def told(arguments: str, reason: FinishReason) -> list[Event]:
    call = ToolCall("call_1", "wx", arguments)
    return [*replay(ChatResponse("u", "m", 1, (Text("Ok"), call), reason))]


def whole(client: Dialect, events: list[Event]) -> JsonObject:
    return client.encode_response(collect(events), CONTEXTS[client.name])


def pieces(client: Dialect, events: list[Event], path: str) -> list[str]:
    frames = payloads(b"".join(streamed(client, events)))
    found = [part(frame, path) for frame in frames]
    return [one for one in found if isinstance(one, str)]


IN_CHAT = "choices.0.delta.tool_calls.0.function.arguments"


def in_responses(events: list[Event]) -> list[str]:
    frames = payloads(b"".join(streamed(RESPONSES, events)))
    kind = "response.function_call_arguments.delta"
    return [str(frame["delta"]) for frame in frames if frame["type"] == kind]


@pytest.mark.parametrize(
    ("arguments", "reason", "fragments", "given", "args", "end"),
    [
        pytest.param('{"city":"Città"}', CALLS, '{"city":"Città"}', {"city": "Città"},
                     {"city": "Città"}, "STOP", id="whole"),
        pytest.param("", CALLS, "", {}, {}, "STOP", id="none"),
        pytest.param(HALF, CALLS, HALF, {"_raw": HALF}, None, "MALFORMED_FUNCTION_CALL",
                     id="no JSON"),
        pytest.param(HALF, CUT, HALF, {"city": "Ro"}, None, "MAX_TOKENS", id="cut by the limit"),
        pytest.param("nonsense", CUT, "nonsense", {"_raw": "nonsense"}, None, "MAX_TOKENS",
                     id="cut beyond repair"),
        pytest.param("[1]", CALLS, "[1]", {"_raw": "[1]"}, {"_raw": "[1]"}, "STOP",
                     id="no object"),
    ],
)  # fmt: skip
def test_arguments_are_shown_as_each_client_can_read_them(
    arguments: str,
    reason: FinishReason,
    fragments: str,
    given: JsonObject,
    args: JsonObject | None,
    end: str,
) -> None:
    events = told(arguments, reason)
    said = fragments or "{}"
    # Messages: fragments as they are, an object in a whole answer.
    assert "".join(pieces(MESSAGES, events, "delta.partial_json")) == fragments
    assert part(whole(MESSAGES, events), "content.1.input") == given
    # Chat and Responses: text, of which the sum is what the whole answer says.
    assert "".join(pieces(CHAT, events, IN_CHAT)) == said
    message = "choices.0.message.tool_calls.0.function.arguments"
    assert part(whole(CHAT, events), message) == said
    assert "".join(in_responses(events)) == said
    item = part(whole(RESPONSES, events), "output.1")
    assert isinstance(item, dict)
    assert (item["arguments"], item["status"]) == (
        said,
        "incomplete" if reason is CUT else "completed",
    )
    # Gemini: an object, or no call at all.
    assert [one.get("args") for one in _calls(events)] == ([] if args is None else [args])
    assert part(whole(GEMINI, events), "candidates.0.finishReason") == end


def _calls(events: list[Event]) -> list[JsonObject]:
    """Return the calls that a Gemini client gets, the same in a stream and at once."""
    frames = payloads(b"".join(streamed(GEMINI, events)))
    found = [
        [one["functionCall"] for one in _parts(payload) if "functionCall" in one]
        for payload in ([*frames], [whole(GEMINI, events)])
    ]
    assert found[0] == found[1]
    return [call for call in found[0] if isinstance(call, dict)]


def _parts(frames: list[JsonObject]) -> list[JsonObject]:
    found: list[JsonObject] = []
    for frame in frames:
        parts = part(frame, "candidates.0.content.parts")
        found += [one for one in parts if isinstance(one, dict)] if isinstance(parts, list) else []
    return found


# --- providers that tell arguments as an object -----------------------------------------------

OBJECT: JsonObject = {"z": 1, "city": "Città", "a": [True, None]}
TEXT = '{"z":1,"city":"Città","a":[true,null]}'


def provided() -> list[tuple[Dialect, JsonObject]]:
    function: Json = {"name": "wx", "arguments": OBJECT}
    calls: Json = [{"id": "call_1", "type": "function", "function": function}]
    made: Json = {"functionCall": {"id": "call_1", "name": "wx", "args": OBJECT}}
    content: Json = {"role": "model", "parts": [made]}
    use: Json = {"type": "tool_use", "id": "call_1", "name": "wx", "input": OBJECT}
    item: Json = {"type": "function_call", "call_id": "call_1", "name": "wx", "arguments": OBJECT}
    return [
        (CHAT, {"id": "u", "choices": [{"message": {"content": None, "tool_calls": calls}}]}),
        (GEMINI, {"candidates": [{"content": content, "finishReason": "STOP"}]}),
        (MESSAGES, {"id": "msg_1", "content": [use], "stop_reason": "tool_use"}),
        (RESPONSES, {"id": "resp_1", "status": "completed", "output": [item]}),
    ]


@pytest.mark.parametrize(
    ("provider", "answer"), provided(), ids=lambda one: getattr(one, "name", "")
)
def test_an_object_comes_as_one_piece_in_its_own_order(
    provider: Dialect, answer: JsonObject
) -> None:
    events = [*replay(provider.decode_response(answer))]
    assert pieces(MESSAGES, events, "delta.partial_json") == [TEXT]
    assert pieces(CHAT, events, IN_CHAT) == ["", TEXT]
    assert in_responses(events) == [TEXT]
    assert [json.dumps(one["args"], ensure_ascii=False) for one in _calls(events)] == [
        json.dumps(OBJECT, ensure_ascii=False)
    ]


def test_a_chunk_with_an_object_is_read_as_its_text() -> None:
    """GLM and others stream a whole call as one chunk."""
    entry: Json = {"index": 0, "id": "call_1", "function": {"name": "wx", "arguments": OBJECT}}
    chunk = {"id": "u", "choices": [{"index": 0, "delta": {"tool_calls": [entry]}}]}
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    frames = [b"data: %b\n\n" % json.dumps(one).encode() for one in (chunk, end)]
    events = heard(CHAT, [*frames, b"data: [DONE]\n\n"])
    assert in_responses(events) == [TEXT]
    assert [one["args"] for one in _calls(events)] == [OBJECT]
