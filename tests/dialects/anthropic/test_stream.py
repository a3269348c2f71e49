import itertools
import json

import anthropic
import httpx2
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.anthropic import MESSAGES
from dialects.anthropic.errors import encode_stream_error
from dialects.fields import dumps
from dialects.sse import Parser
from models.chat import FinishReason
from models.content import Inline, Media, Opaque, Reasoning, Refusal, Text, ToolCall
from models.errors import ErrorKind, StreamBroken, UpstreamError
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
from tests.dialects.anthropic.strategies import told_events
from tests.dialects.anthropic.support import block, context, decode, encode, frames, stream

TEXT = block(
    0,
    {"type": "text", "text": ""},
    {"type": "text_delta", "text": "Grüße "},
    {"type": "text_delta", "text": "\U0001f600"},
)
THINKING = block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "hm"},
    {"type": "signature_delta", "signature": "EqQB"},
)
TOOL = block(
    1,
    {"type": "tool_use", "id": "toolu_1", "name": "wx", "input": {}},
    {"type": "input_json_delta", "partial_json": ""},
    {"type": "input_json_delta", "partial_json": '{"city": "Ro'},
    {"type": "input_json_delta", "partial_json": 'ma"}'},
)
WHOLE = stream(THINKING, TOOL, stop_reason="tool_use")
USAGE = Usage(25, 40, 100, 7)
ASKED: JsonObject = {"type": "adaptive"}


# --- reading ----------------------------------------------------------------------------------


def test_a_stream_is_read_as_events() -> None:
    assert decode([WHOLE]) == [
        Start("msg_a", "claude-x", usage=Usage(25, 1, 100, 7)),
        PartStart(Reasoning("", origin="anthropic")),
        Delta("hm"),
        Delta(signature="EqQB"),
        PartEnd(),
        PartStart(ToolCall("toolu_1", "wx", "")),
        Delta('{"city": "Ro'),
        Delta('ma"}'),
        PartEnd(),
        Progress(Usage(output_tokens=40)),
        Finish(FinishReason.TOOL_CALLS, None, USAGE),
    ]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_same_events_for_a_split_at_every_byte(line_end: bytes) -> None:
    raw = stream(TEXT).replace(b"\n", line_end)
    expected = decode([raw])
    assert collect(expected).parts == (Text("Grüße \U0001f600"),)
    for cut in range(len(raw) + 1):
        assert decode([raw[:cut], raw[cut:]]) == expected


@given(st.lists(st.integers(0, len(WHOLE)), max_size=8))
def test_events_do_not_depend_on_the_chunks(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(WHOLE)]
    chunks = [WHOLE[start:end] for start, end in itertools.pairwise(edges)]
    assert decode(chunks) == decode([WHOLE])


@pytest.mark.parametrize(
    ("told", "part"),
    [
        pytest.param(
            block(0, {"type": "text", "text": "at once"}), Text("at once"), id="text at start"
        ),
        pytest.param(
            block(0, {"type": "redacted_thinking", "data": "xyz"}),
            Reasoning("", origin="anthropic", redacted="xyz"),
            id="redacted thinking",
        ),
        pytest.param(
            block(
                0,
                {"type": "text", "text": ""},
                {"type": "text_delta", "text": "x"},
                {"type": "citations_delta", "citation": {"cited_text": "y"}},
            ),
            Text("x", citations=({"cited_text": "y"},)),
            id="citation",
        ),
        pytest.param(
            block(0, {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}),
            ToolCall("t", "f", '{"a":1}'),
            id="whole input at start",
        ),
        pytest.param(
            block(
                0,
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
                {"type": "input_json_delta", "partial_json": '{"a":1}'},
            ),
            ToolCall("t", "f", '{"a":1}'),
            id="whole input twice",
        ),
        pytest.param(
            block(0, {"type": "tool_use", "input": {}}),
            ToolCall("toolu_0", "tool_0", ""),
            id="call without id and name",
        ),
        pytest.param(
            block(
                0,
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                {"type": "input_json_delta", "partial_json": '{"q":'},
                {"type": "input_json_delta", "partial_json": '"x"}'},
            ),
            Opaque(
                "messages",
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "x"}},
            ),
            id="server tool",
        ),
        pytest.param(
            block(0, {"type": "new_block", "x": 1}, {"type": "new_delta"}),
            Opaque("messages", {"type": "new_block", "x": 1}),
            id="unknown block",
        ),
        pytest.param(
            [
                {
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": {"type": "text_delta", "text": "x"},
                }
            ],
            Text("x"),
            id="delta without start and stop",
        ),
    ],
)
def test_blocks(told: list[JsonObject], part: Text | Reasoning | ToolCall | Opaque) -> None:
    assert collect(decode([stream(told)])).parts == (part,)


def test_unknown_events_pings_and_comments_change_nothing() -> None:
    extra = b': hello\n\nevent: new\ndata: {"type":"new"}\n\nevent: ping\ndata: {"type":"ping"}\n\n'
    raw = extra.join(piece + b"\n\n" for piece in WHOLE.split(b"\n\n")[:-1])
    assert collect(decode([raw])) == collect(decode([WHOLE]))


def test_data_without_event_lines_is_read_by_its_type() -> None:
    raw = b"\n".join(line for line in WHOLE.split(b"\n") if not line.startswith(b"event:"))
    assert decode([raw]) == decode([WHOLE])


def test_surrogate_pairs_cut_between_deltas_are_joined() -> None:
    raw = (
        stream(TEXT)
        .replace("Grüße ".encode(), b"a\\ud83d")
        .replace("\U0001f600".encode(), b"\\ude00b")
    )
    assert collect(decode([raw])).parts == (Text("a\U0001f600b"),)
    alone = stream(TEXT).replace("\U0001f600".encode(), b"\\ud83d")
    assert collect(decode([alone])).parts == (Text("Grüße \ufffd"),)


@pytest.mark.parametrize("cut", range(len(WHOLE.split(b"\n\n")) - 3))
def test_a_stream_that_breaks_off_fails(cut: int) -> None:
    raw = b"".join(piece + b"\n\n" for piece in WHOLE.split(b"\n\n")[:cut])
    last = decode([raw])[-1]
    assert isinstance(last, Failed)
    assert isinstance(last.error, StreamBroken)
    assert last.error.kind is ErrorKind.TRUNCATED


def test_a_stream_that_ends_after_its_stop_reason_is_complete() -> None:
    raw = WHOLE.removesuffix(frames({"type": "message_stop"}))
    assert decode([raw]) == decode([WHOLE])
    assert decode([WHOLE.removesuffix(b"\n")]) == decode([WHOLE])


@pytest.mark.parametrize(
    ("error_type", "kind"),
    [
        ("overloaded_error", ErrorKind.OVERLOADED),
        ("rate_limit_error", ErrorKind.RATE_LIMIT),
        ("api_error", ErrorKind.UPSTREAM),
        ("new_error", ErrorKind.UPSTREAM),
    ],
)
@pytest.mark.parametrize("after", [0, 1, 3])
def test_an_error_event_ends_the_stream(error_type: str, kind: ErrorKind, after: int) -> None:
    told: JsonObject = {"type": "error", "error": {"type": error_type, "message": "Busy"}}
    before = b"".join(piece + b"\n\n" for piece in WHOLE.split(b"\n\n")[:after])
    events = decode([before + frames(told) + WHOLE])
    assert isinstance(events[-1], Failed)
    error = events[-1].error
    assert (error.kind, error.message, error.vendor_code) == (kind, "Busy", error_type)
    assert error.upstream_body is not None
    assert json.loads(error.upstream_body) == told


@pytest.mark.parametrize(
    "raw",
    [
        b"data: {nonsense}\n\n",
        b"data: [1]\n\n",
        b"event: message_start\ndata: \xff\xfe\n\n",
        b"<html>502 Bad Gateway</html>",
        b"",
        b"data: " + b"x" * (17 * 1024 * 1024),
        b'data: {"type":"content_block_start","content_block":{"type":"tool_use","input":{"a":'
        + b"[" * 1000
        + b"]" * 1000
        + b'}}}\n\ndata: {"type":"content_block_stop"}\n\n',
    ],
)
def test_garbage_becomes_a_failure(raw: bytes) -> None:
    assert isinstance(decode([raw])[-1], Failed)


@given(st.lists(told_events, max_size=8), st.integers(0, 500))
def test_any_events_obey_the_grammar(told: list[JsonObject], cut: int) -> None:
    raw = b"".join(b"event: x\ndata: %b\n\n" % dumps(event) for event in told)
    events = decode([raw[:cut], raw[cut:]])
    assert isinstance(events[-1], Finish | Failed)
    sniffer = MESSAGES.sniffer(hide_usage=False)
    assert sniffer.feed(raw) is raw
    encode(events, context(thinking=ASKED))


# --- writing ----------------------------------------------------------------------------------


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
            [PartStart(Media("audio", Inline("audio/wav", "QUJD"))), PartEnd()], [], id="sound"
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
    assert raw.endswith(encode_stream_error(error, ""))
    assert told(raw)[-1] == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded"},
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
