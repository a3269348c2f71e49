"""Every rule about streams."""

import json

import orjson
import pytest

from dialects.anthropic import MESSAGES
from dialects.base import Dialect, ReplyContext
from dialects.openai_chat import CHAT
from models.chat import FinishReason
from models.content import Media, Opaque, Part, Remote
from models.events import (
    Event,
    Finish,
    PartEnd,
    PartStart,
    Progress,
    Start,
    check,
)
from models.json_types import Json, JsonObject
from models.profile import Profile
from models.usage import Usage
from tests.dialects.answers import (
    View,
    seen_in_chat_stream,
)
from tests.dialects.anthropic.support import block, stream
from tests.dialects.routes import HI
from tests.dialects.test_rules_response import context


def payloads(raw: bytes) -> list[JsonObject]:
    """Return what the frames of a stream hold, its end marker left out."""
    datas = [frame.partition(b"data: ")[2] for frame in raw.split(b"\n\n")]
    return [orjson.loads(data) for data in datas if data and data != b"[DONE]"]


def encoded(client: Dialect, events: list[Event], how: ReplyContext) -> bytes:
    encoder = client.encoder(how)
    return b"".join([encoder.encode(event) for event in check(events)])


def decoded(upstream: Dialect, raw: bytes) -> list[Event]:
    decoder = upstream.decoder(Profile("m", vendor="glm"))
    return check([*decoder.feed(raw), *decoder.end()])


THINKS: JsonObject = {"thinking": {"type": "adaptive"}}


def to_messages(*chunks: JsonObject, **fields: Json) -> list[JsonObject]:
    """Return the events that a Messages client gets of a Chat provider's deltas."""
    frames = [
        {"id": "u", "model": "m", "choices": [{"index": 0, "delta": chunk, "finish_reason": None}]}
        for chunk in chunks
    ]
    frames.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    raw = b"".join(b"data: %b\n\n" % json.dumps(frame).encode() for frame in frames)
    return payloads(
        encoded(MESSAGES, decoded(CHAT, raw + b"data: [DONE]\n\n"), context(MESSAGES, **fields))
    )


def to_chat(*blocks: list[JsonObject], stop: str = "end_turn") -> list[JsonObject]:
    """Return the deltas that a Chat client gets of a Messages provider's blocks."""
    raw = encoded(CHAT, decoded(MESSAGES, stream(*blocks, stop_reason=stop)), context(CHAT))
    deltas: list[JsonObject] = []
    for chunk in payloads(raw):
        choices = chunk["choices"]
        assert isinstance(choices, list)
        deltas += [choice["delta"] for choice in choices if isinstance(choice, dict)]  # type: ignore[misc]  # a delta is an object
    return deltas


def tool(index: int | None, call_id: str | None, name: str, arguments: Json) -> JsonObject:
    entry: JsonObject = {"function": {"name": name, "arguments": arguments}}
    entry |= {} if index is None else {"index": index}
    return {"tool_calls": [entry | ({} if call_id is None else {"id": call_id})]}


def shape(events: list[JsonObject]) -> list[str]:
    """Tell a Messages stream in short: each block's type, its deltas' text, its end."""
    told = []
    for event in events:
        match event:
            case {"type": "content_block_start", "content_block": {"type": kind}}:
                told.append(f"[{kind}")
            case {"type": "content_block_delta", "delta": dict(delta)}:
                told.append("=" + "".join(str(delta[key]) for key in delta if key != "type"))
            case {"type": "content_block_stop"}:
                told.append("]")
            case _:
                pass
    return told


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        pytest.param(
            [{"role": "assistant", "content": ""}, {"content": "a"}, {"content": None}],
            ["[text", "=a", "]"], id="text",
        ),
        pytest.param([{"content": "a"}], ["[text", "=a", "]"], id="no role"),
        pytest.param(
            [{"reasoning_content": "t", "content": ""}, {"content": "a", "reasoning_content": ""}],
            ["[thinking", "=t", "]", "[text", "=a", "]"], id="thinking ends where text begins",
        ),
        pytest.param(
            [{"reasoning": "t"}, {"reasoning_details": [{"text": "u"}]}],
            ["[thinking", "=t", "=u", "]"], id="other names of thinking",
        ),
        pytest.param([{"refusal": "no"}], ["[text", "=no", "]"], id="refusal"),
        pytest.param(
            [tool(0, "c", "f", ""), tool(0, None, "", '{"a"'), tool(0, "c", "f", ":1}")],
            ["[tool_use", '={"a"', "=:1}", "]"], id="id and name repeated",
        ),
        pytest.param([tool(0, "c", "f", "")], ["[tool_use", "]"], id="no arguments"),
        pytest.param(
            [tool(0, "c", "f", {"b": 1, "a": "é"})],
            ["[tool_use", '={"b":1,"a":"é"}', "]"], id="arguments as an object",
        ),
        pytest.param(
            [tool(0, "c", "f", "{"), {"content": "a"}, tool(0, None, "", "}")],
            ["[tool_use", "={", "=}", "]", "[text", "=a", "]"], id="text in between",
        ),
        pytest.param(
            [tool(0, "c", "f", "{"), tool(1, "d", "g", "{}"), tool(0, None, "", "}")],
            ["[tool_use", "={", "=}", "]", "[tool_use", "={}", "]"], id="calls take turns",
        ),
        pytest.param(
            [{"content": "a"}, tool(0, "c", "f", "{}"), {"content": "b"}],
            ["[text", "=a", "]", "[tool_use", "={}", "]", "[text", "=b", "]"],
            id="text after a call is new text",
        ),
        pytest.param(
            [tool(0, "c", "f", "{}"), tool(0, "d", "f", "{}")],
            ["[tool_use", "={}", "]", "[tool_use", "={}", "]"], id="a new id is a new call",
        ),
        pytest.param(
            [{"content": "a\ud83d"}, {"content": "\ude00b"}],
            ["[text", "=a", "=\U0001f600b", "]"], id="a pair cut in two",
        ),
        pytest.param(
            [{"content": "a\ud83d"}], ["[text", "=a", "=\ufffd", "]"], id="half a pair"
        ),
        pytest.param(
            [{"function_call": {"name": "f", "arguments": "{}"}}],
            ["[tool_use", "={}", "]"], id="legacy call",
        ),
    ],
)  # fmt: skip
def test_blocks_of_a_messages_client(chunks: list[JsonObject], expected: list[str]) -> None:
    events = to_messages(*chunks, **THINKS)
    assert shape(events) == expected
    indexes = [event["index"] for event in events if event["type"] == "content_block_start"]
    assert indexes == list(range(len(indexes)))
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]


def call_block(index: int, *pieces: str, given: JsonObject | None = None) -> list[JsonObject]:
    start: JsonObject = {"type": "tool_use", "id": f"t{index}", "name": "f", "input": given or {}}
    deltas: list[JsonObject] = [
        {"type": "input_json_delta", "partial_json": piece} for piece in pieces
    ]
    return block(index, start, *deltas)


def opened(index: int, at: int) -> JsonObject:
    function: JsonObject = {"name": "f", "arguments": ""}
    call: JsonObject = {
        "index": index, "id": f"t{at}", "type": "function", "function": function
    }  # fmt: skip
    return {"tool_calls": [call]}


def more(index: int, arguments: str) -> JsonObject:
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}


WEB: JsonObject = {"type": "web_search_result_location", "url": "https://x.test", "title": "T"}
THINKING: JsonObject = {"type": "thinking", "thinking": "", "signature": ""}


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        pytest.param(
            [block(0, {"type": "text", "text": "a"}), call_block(1, "", '{"a":1}')],
            [{"content": "a"}, opened(0, 1), more(0, '{"a":1}')],
            id="calls count from 0, whatever stands before them",
        ),
        pytest.param([call_block(0), call_block(1)],
                     [opened(0, 0), more(0, "{}"), opened(1, 1), more(1, "{}")],
                     id="no arguments"),
        pytest.param([call_block(0, given={"a": 1})], [opened(0, 0), more(0, '{"a":1}')],
                     id="the whole input at the start"),
        pytest.param(
            [block(0, THINKING, {"type": "thinking_delta", "thinking": "t"},
                   {"type": "signature_delta", "signature": "s"})],
            [{"reasoning_content": "t"}], id="thinking, its signature has no place",
        ),
        pytest.param([block(0, {"type": "redacted_thinking", "data": "d"})], [], id="sealed"),
        pytest.param(
            [block(0, {"type": "text", "text": "é1 "}),
             block(1, {"type": "text", "text": ""}, {"type": "citations_delta", "citation": WEB},
                   {"type": "text_delta", "text": "two"})],
            [{"content": "é1 "}, {"content": "two"}, {"annotations": [
                {"type": "url_citation", "url_citation": {
                    "url": "https://x.test", "title": "T", "start_index": 3, "end_index": 6}}]}],
            id="citations of web pages",
        ),
        pytest.param(
            [block(0, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                   {"type": "input_json_delta", "partial_json": "{}"})],
            [], id="what only Anthropic knows",
        ),
        pytest.param(
            [block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "a"})],
            [{"content": "a"}], id="text",
        ),
    ],
)  # fmt: skip
def test_deltas_of_a_chat_client(blocks: list[list[JsonObject]], expected: list[Json]) -> None:
    deltas = to_chat(*blocks)
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert deltas[1:-1] == expected
    assert deltas[-1] == {}


def test_a_messages_client_learns_its_tokens_at_the_end() -> None:
    told: list[Event] = [
        Start("u", "m"),
        Progress(Usage(input_tokens=5, cache_read_tokens=7)),
        Finish(FinishReason.STOP, usage=Usage(output_tokens=3)),
    ]
    first, last, _ = payloads(encoded(MESSAGES, told, context(MESSAGES)))
    assert isinstance(first["message"], dict)
    assert first["message"]["usage"] == {
        "input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 0,
    }
    assert last["usage"] == {
        "input_tokens": 5,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 7,
        "output_tokens": 3,
    }


def test_usage_is_a_chunk_of_its_own_for_who_asked() -> None:
    told: list[Event] = [Start("u", "m"), Finish(FinishReason.STOP, usage=Usage(5, 3))]
    chunks = payloads(encoded(CHAT, told, context(CHAT)))
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None, None]
    assert (chunks[-1]["choices"], chunks[-1]["usage"]) == (
        [],
        {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
    )
    quiet = ReplyContext(CHAT.decode_request({"model": "m", "messages": [HI]}), "r" * 29, 1)
    assert all("usage" not in chunk for chunk in payloads(encoded(CHAT, told, quiet)))


def test_what_has_no_place_leaves_the_rest_whole() -> None:
    parts: list[Part] = [
        Media("image", Remote("https://x.test/a.png")),
        Opaque("messages", {"type": "x", "y": 1}),
        Opaque("other", {"type": "z"}),
    ]
    events: list[Event] = [Start("u", "m")]
    for part in parts:
        events += [PartStart(part), PartEnd()]
    events.append(Finish(FinishReason.STOP))
    assert shape(payloads(encoded(MESSAGES, events, context(MESSAGES)))) == [
        "[text", "=![image](https://x.test/a.png)", "]", "[x", "]",
    ]  # fmt: skip
    assert seen_in_chat_stream(encoded(CHAT, events, context(CHAT))) == View(
        text="![image](https://x.test/a.png)", stop="stop"
    )
