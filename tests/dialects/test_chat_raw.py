"""The raw path: checks, splices, and the sniffer that looks on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.fields import parse_object
from dialects.openai_chat import CHAT
from models.errors import BadRequest, ErrorKind
from models.usage import NO_USAGE, Usage

USER = b'"messages":[{"role":"user","content":"Hi"}]'


def prepared(body: bytes, model: str = "m", *, ask_usage: bool = True) -> tuple[bytes, bool]:
    return CHAT.prepare_raw(body, parse_object(body), model, ask_usage=ask_usage)


def test_what_is_routed_is_read() -> None:
    body = b'{"model":"m","stream":true,' + USER + b"}"
    inspected = CHAT.inspect(body, parse_object(body))
    assert (inspected.model, inspected.stream) == ("m", True)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"{" + USER + b"}", "model"),
        (b'{"model":"",' + USER + b"}", "model"),
        (b'{"model":5,' + USER + b"}", "model"),
        (b'{"model":"m"}', "messages"),
        (b'{"model":"m","messages":{}}', "messages"),
        (b'{"model":"m","messages":["x"]}', "messages[0]"),
        (b'{"model":"m","stream":1,' + USER + b"}", "stream"),
        (b'{"model":"m","max_tokens":"5",' + USER + b"}", "max_tokens"),
        (b'{"model":"m","max_completion_tokens":1.5,' + USER + b"}", "max_completion_tokens"),
        (b'{"model":"m","model":"n",' + USER + b"}", "model"),
        (b'{"model":"m","stream":false,"str\\u0065am":true,' + USER + b"}", "stream"),
        (b'{"model":"m","max_tokens":5,"max_tokens":6,' + USER + b"}", "max_tokens"),
    ],
)
def test_what_would_be_routed_or_billed_wrongly_is_refused(body: bytes, path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        CHAT.inspect(body, parse_object(body))
    assert caught.value.path == path


def test_a_body_that_needs_nothing_is_the_very_same_object() -> None:
    for rest in (
        b'"stream":false',
        b'"stream":true,"stream_options":{"include_usage":true}',
        b'"stream":true,"stream_options":7',
    ):
        body = b'{"model":"m",' + rest + b"," + USER + b"}"
        same, asked = prepared(body)
        assert same is body
        assert not asked
    streamed = b'{"model":"m","stream":true,' + USER + b"}"
    same, asked = prepared(streamed, ask_usage=False)
    assert same is streamed
    assert not asked


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (b"", b'"stream_options":{"include_usage":true},'),
        (b'"stream_options":null,', b'"stream_options":{"include_usage":true},'),
        (b'"stream_options": {},', b'"stream_options": {"include_usage":true},'),
        (
            b'"stream_options":{"include_obfuscation":false},',
            b'"stream_options":{"include_usage":true,"include_obfuscation":false},',
        ),
        (
            b'"stream_options":{"include_usage": false ,"x":1.50},',
            b'"stream_options":{"include_usage": true ,"x":1.50},',
        ),
    ],
)
def test_usage_is_asked_for_where_the_client_did_not(options: bytes, expected: bytes) -> None:
    body = b"{" + options + b'"model":"m","stream":true,"seed":123456789012345678901,' + USER + b"}"
    spliced, asked = prepared(body)
    assert asked
    assert spliced == b"{" + expected + body[1 + len(options) :]


def test_a_mapped_name_and_the_wish_for_usage_go_together() -> None:
    body = b'{ "model" : "alias", "stream":true, ' + USER + b', "x": 1.50 }'
    spliced, asked = prepared(body, 'real"name')
    assert asked
    assert spliced == (
        b'{"stream_options":{"include_usage":true}, "model" : "real\\"name", "stream":true, '
        + USER
        + b', "x": 1.50 }'
    )


def frame(payload: object) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


ROLE = frame({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
TEXT = frame({"choices": [{"index": 0, "delta": {"content": 'Hi "usage" [DONE]'}}]})
FINISH = frame({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
USAGE = frame({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}})
DONE = b"data: [DONE]\n\n"


def test_the_sniffer_sees_beginning_usage_and_end() -> None:
    sniffer = CHAT.sniffer(hide_usage=False)
    for frames, started, ended in (
        (b": ping\n\n" + ROLE, False, False),
        (TEXT, True, False),
        (FINISH, True, False),
        (USAGE, True, False),
        (DONE, True, True),
    ):
        assert sniffer.feed(frames) is frames
        assert (sniffer.started, sniffer.ended) == (started, ended)
    assert sniffer.usage == Usage(5, 2)
    assert sniffer.error is None


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "x"},
        {"tool_calls": [{"index": 0}]},
        {"function_call": {"name": "f"}},
        {"refusal": "no"},
    ],
)
def test_content_of_every_kind_is_a_beginning(delta: object) -> None:
    sniffer = CHAT.sniffer(hide_usage=False)
    sniffer.feed(frame({"choices": [{"index": 0, "delta": delta}]}))
    assert sniffer.started


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_only_the_usage_frame_that_we_asked_for_is_hidden(newline: bytes) -> None:
    stream = (ROLE + TEXT + FINISH + USAGE + DONE).replace(b"\n", newline)
    hiding = CHAT.sniffer(hide_usage=True)
    assert hiding.feed(stream) == (ROLE + TEXT + FINISH + DONE).replace(b"\n", newline)
    assert hiding.usage == Usage(5, 2)
    assert hiding.ended
    azure = frame({"choices": [], "prompt_filter_results": []})
    on_finish = frame({"choices": [{"delta": {}}], "usage": {"prompt_tokens": 1}})
    for kept in (azure, on_finish):
        assert CHAT.sniffer(hide_usage=True).feed(kept) is kept


def test_an_error_in_the_stream_is_told() -> None:
    sniffer = CHAT.sniffer(hide_usage=True)
    data = b'{"error":{"message":"slow","type":"rate_limit_error"}}'
    sniffer.feed(b"data: " + data + b"\n\n")
    assert sniffer.error is not None
    assert (sniffer.error.kind, sniffer.error.upstream_body) == (ErrorKind.RATE_LIMIT, data)
    assert not sniffer.started
    glm = CHAT.sniffer(hide_usage=False)
    glm.feed(b'data: {"code":1113,"msg":"no money","success":false}\n\n')
    assert glm.error is not None
    assert glm.error.vendor_code == "1113"


def test_text_about_markers_is_only_text() -> None:
    sniffer = CHAT.sniffer(hide_usage=True)
    sniffer.feed(TEXT)
    content = 'data: {"error":{"message":"x"}} "prompt_tokens" [DONE]'
    fake = frame({"choices": [{"index": 0, "delta": {"content": content}}]})
    assert sniffer.feed(fake) is fake
    assert (sniffer.error, sniffer.ended, sniffer.usage) == (None, False, NO_USAGE)


@given(st.lists(st.binary(max_size=60) | st.sampled_from([ROLE, TEXT, USAGE, DONE]), max_size=6))
def test_the_sniffer_never_raises(pieces: list[bytes]) -> None:
    sniffer = CHAT.sniffer(hide_usage=True)
    for piece in pieces:
        sniffer.feed(piece + b"\n\n")
