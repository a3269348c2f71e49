"""Events, written as a Messages stream."""

import anthropic
import httpx2
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.anthropic import MESSAGES
from dialects.anthropic.errors import encode_stream_error
from dialects.sse import Parser
from models.chat import FinishReason
from models.content import Inline, Media, Opaque, Reasoning, Refusal, Text, ToolCall
from models.errors import ErrorKind, UpstreamError
from models.events import (
    Delta,
    Event,
    Failed,
    Finish,
    PartEnd,
    PartStart,
    Progress,
    Start,
    check,
    collect,
)
from models.json_types import Json, JsonObject
from models.usage import Usage
from tests.dialects.anthropic.support import block, context, decode, encode, stream
from tests.dialects.anthropic.test_stream_read import TEXT, THINKING, TOOL

ASKED: JsonObject = {"type": "adaptive"}


def told(raw: bytes) -> list[JsonObject]:
    """Return the payloads of a written stream; event names must agree with them."""
    found: list[JsonObject] = []
    for name, data in Parser().feed(raw):
        payload = orjson.loads(data)
        assert payload["type"] == name.decode()
        found.append(payload)
    return found


def answered(*events: Event, finish: Finish | None = None) -> list[Event]:
    return check(
        [
            Start("chatcmpl-1", "gpt-x", 1, Usage(input_tokens=9)),
            *events,
            finish or Finish(FinishReason.STOP, None, Usage(output_tokens=4)),
        ]
    )


@pytest.mark.parametrize("blocks", [[TEXT], [THINKING, TOOL], []])
def test_what_was_read_is_written_again(blocks: list[list[JsonObject]]) -> None:
    events = decode([stream(*blocks)])
    again = decode([encode(events, context(thinking=ASKED))])
    assert collect(again) == collect(events)


def test_the_whole_written_stream() -> None:
    events = answered(
        PartStart(Reasoning("", origin="glm")),
        Delta("hm"),
        PartEnd(),
        Progress(Usage(cache_read_tokens=3)),
        PartStart(Text("")),
        Delta("Hel"),
        Delta('lo "you"\n'),
        PartEnd(),
        PartStart(ToolCall("call_1", "f", "")),
        Delta('{"a"'),
        Delta(":1}"),
        PartEnd(),
        PartStart(ToolCall("call_2", "g", "")),
        PartEnd(),
    )
    assert told(encode(events, context(thinking=ASKED))) == [
        {
            "type": "message_start",
            "message": {
                "id": "msg_" + "r" * 24,
                "type": "message",
                "role": "assistant",
                "model": "gpt-x",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {
                    "input_tokens": 9,
                    "cache_creation_input_tokens": 0,
                    "cache_read_input_tokens": 0,
                    "output_tokens": 0,
                },
            },
        },
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "hm"},
        ),
        *block(
            1,
            {"type": "text", "text": ""},
            {"type": "text_delta", "text": "Hel"},
            {"type": "text_delta", "text": 'lo "you"\n'},
        ),
        *block(
            2,
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"a"'},
            {"type": "input_json_delta", "partial_json": ":1}"},
        ),
        *block(3, {"type": "tool_use", "id": "call_2", "name": "g", "input": {}}),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {
                "input_tokens": 9,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 3,
                "output_tokens": 4,
            },
        },
        {"type": "message_stop"},
    ]


def test_message_start_is_sent_at_once() -> None:
    encoder = MESSAGES.encoder(context())
    assert encoder.encode(Start("", "")).startswith(b"event: message_start\n")
    assert encoder.encode(PartStart(Text(""))) == b""
    assert encoder.encode(Progress()) == b""


@pytest.mark.parametrize(
    ("events", "blocks"),
    [
        pytest.param([PartStart(Text("")), PartEnd()], [], id="empty text"),
        pytest.param([PartStart(Text("")), Delta(""), PartEnd()], [], id="empty delta"),
        pytest.param(
            [PartStart(Refusal("")), Delta("No."), PartEnd()],
            block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "No."}),
            id="refusal",
        ),
        pytest.param(
            [PartStart(Media("image", Inline("image/png", "QUJD"))), PartEnd()],
            block(
                0,
                {"type": "text", "text": ""},
                {"type": "text_delta", "text": "![image](data:image/png;base64,QUJD)"},
            ),
            id="picture",
        ),
        pytest.param(
            [PartStart(Media("audio", Inline("audio/wav", "QUJD"))), PartEnd()],
            block(
                0,
                {"type": "text", "text": ""},
                {"type": "text_delta", "text": "[audio of type audio/wav left out]"},
            ),
            id="sound",
        ),
        pytest.param([PartStart(Opaque("chat", {"a": 1})), PartEnd()], [], id="foreign block"),
        pytest.param(
            [PartStart(Opaque("messages", {"type": "x"})), PartEnd()],
            block(0, {"type": "x"}),
            id="own block",
        ),
        pytest.param(
            [PartStart(Reasoning("", origin="anthropic", redacted="d")), PartEnd()],
            block(0, {"type": "redacted_thinking", "data": "d"}),
            id="redacted thinking",
        ),
        pytest.param(
            [PartStart(Text("", citations=({"a": 1},))), Delta("x"), PartEnd()],
            block(
                0,
                {"type": "text", "text": ""},
                {"type": "citations_delta", "citation": {"a": 1}},
                {"type": "text_delta", "text": "x"},
            ),
            id="citation known from the start",
        ),
        pytest.param(
            [PartStart(Text("")), Delta("x"), Delta(citation={"a": 1}), PartEnd()],
            block(
                0,
                {"type": "text", "text": ""},
                {"type": "text_delta", "text": "x"},
                {"type": "citations_delta", "citation": {"a": 1}},
            ),
            id="citation",
        ),
    ],
)
def test_written_parts(events: list[Event], blocks: list[JsonObject]) -> None:
    assert told(encode(answered(*events), context()))[1:-2] == blocks


SIGNED: list[Event] = [
    PartStart(Reasoning("", origin="openai")),
    Delta("a"),
    Delta("b", "blob"),
    PartEnd(),
]


def test_unsigned_thinking_is_shown_only_to_clients_that_asked() -> None:
    unsigned = answered(PartStart(Reasoning("")), Delta("hm"), PartEnd())
    assert told(encode(unsigned, context()))[1:-2] == []
    omitted: JsonObject = {"type": "adaptive", "display": "omitted"}
    assert told(encode(unsigned, context(thinking=omitted)))[1:-2] == []
    assert len(told(encode(unsigned, context(thinking=ASKED)))[1:-2]) == 3


def test_thinking_that_stayed_hidden_never_joins_the_next() -> None:
    events = answered(
        PartStart(Reasoning("")), Delta("secret"), PartEnd(),
        PartStart(Reasoning("", origin="anthropic")), Delta("shown", "sig"), PartEnd(),
    )  # fmt: skip
    raw = encode(events, context())
    assert b"secret" not in raw
    assert b"shown" in raw


@pytest.mark.parametrize("asked", [None, ASKED])
def test_signed_thinking_always_travels_and_finds_its_vendor_again(asked: Json) -> None:
    raw = encode(answered(*SIGNED), context(thinking=asked))
    signatures = [
        delta["signature"]
        for payload in told(raw)
        if isinstance(delta := payload.get("delta"), dict) and "signature" in delta
    ]
    assert len(signatures) == 1
    assert str(signatures[0]).startswith("gw1.openai.")
    thinking: JsonObject = {"type": "thinking", "thinking": "ab", "signature": signatures[0]}
    wanted = MESSAGES.decode_request(
        {"model": "m", "messages": [{"role": "assistant", "content": [thinking]}]}
    )
    assert wanted.messages[0].parts == (Reasoning("ab", "blob", "openai"),)


@pytest.mark.parametrize(
    ("finish", "delta"),
    [
        (Finish(FinishReason.LENGTH), {"stop_reason": "max_tokens", "stop_sequence": None}),
        (
            Finish(FinishReason.STOP_SEQUENCE, "END"),
            {"stop_reason": "stop_sequence", "stop_sequence": "END"},
        ),
        (Finish(FinishReason.STOP_SEQUENCE), {"stop_reason": "end_turn", "stop_sequence": None}),
        (Finish(FinishReason.TOOL_CALLS), {"stop_reason": "end_turn", "stop_sequence": None}),
        (
            Finish(FinishReason.CONTENT_FILTER),
            {
                "stop_reason": "refusal",
                "stop_sequence": None,
                "stop_details": {"type": "refusal", "category": None, "explanation": None},
            },
        ),
    ],
)
def test_stop_reasons(finish: Finish, delta: JsonObject) -> None:
    assert told(encode(answered(finish=finish), context()))[-2]["delta"] == delta


def test_a_refusal_is_explained() -> None:
    events = answered(
        PartStart(Refusal("")),
        Delta("I "),
        Delta("can't"),
        PartEnd(),
        finish=Finish(FinishReason.REFUSAL),
    )
    delta = told(encode(events, context()))[-2]["delta"]
    assert isinstance(delta, dict)
    assert delta["stop_details"] == {
        "type": "refusal",
        "category": None,
        "explanation": "I can't",
    }


def test_a_failure_is_the_last_event() -> None:
    encoder = MESSAGES.encoder(context())
    error = UpstreamError("Overloaded", kind=ErrorKind.OVERLOADED)
    raw = encoder.encode(Start("", "")) + encoder.encode(Failed(error))
    assert raw.endswith(encode_stream_error(error, context().reply_id))
    assert told(raw)[-1] == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded"},
        "request_id": context().reply_id,
    }
    assert encoder.encode(Finish(FinishReason.STOP)) == b""
    assert encoder.encode(Failed(error)) == b""


def test_text_can_never_make_an_event_of_its_own() -> None:
    evil = 'x"}\n\nevent: message_stop\ndata: {"type":"message_stop"}\r\n\r\n\u2028'
    events = answered(PartStart(Text("")), Delta(evil), PartEnd())
    payloads = told(encode(events, context()))
    assert [payload["type"] for payload in payloads].count("message_stop") == 1
    assert collect(decode([encode(events, context())])).parts == (Text(evil),)


@given(st.lists(st.text(max_size=5), max_size=5))
def test_any_text_survives(pieces: list[str]) -> None:
    events = answered(PartStart(Text("")), *[Delta(piece) for piece in pieces], PartEnd())
    read = collect(decode([encode(events, context())]))
    assert "".join(part.text for part in read.parts if isinstance(part, Text)) == "".join(pieces)


def test_the_official_sdk_accumulates_what_is_written() -> None:
    events = answered(
        PartStart(Reasoning("", origin="anthropic")),
        Delta("hm"),
        Delta(signature="EqQB"),
        PartEnd(),
        PartStart(Text("")),
        Delta("Hello"),
        PartEnd(),
        PartStart(ToolCall("call_1", "f", "")),
        Delta('{"a":'),
        Delta("1}"),
        PartEnd(),
    )
    raw = encode(events, context(thinking=ASKED))
    message = accumulated(raw)
    assert [item.model_dump(exclude_none=True) for item in message.content] == [
        {"type": "thinking", "thinking": "hm", "signature": "EqQB"},
        {"type": "text", "text": "Hello"},
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}},
    ]
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (9, 4)


def accumulated(raw: bytes) -> anthropic.types.Message:
    """Return what Anthropic's client makes of a stream."""
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=raw)
    )
    with (
        httpx2.Client(transport=transport) as http,
        anthropic.Anthropic(api_key="k", http_client=http, max_retries=0) as client,
        client.messages.stream(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
        ) as events,
    ):
        return events.get_final_message()
