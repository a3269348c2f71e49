"""Streams of the Messages format, read as events."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.anthropic import MESSAGES
from dialects.fields import dumps
from models.chat import FinishReason
from models.content import Opaque, Reasoning, Text, ToolCall
from models.errors import ErrorKind, StreamBroken, UpstreamError
from models.events import (
    Delta,
    Failed,
    Finish,
    PartEnd,
    PartStart,
    Progress,
    Start,
    collect,
)
from models.json_types import JsonObject
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
    assert isinstance(error, UpstreamError)
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
