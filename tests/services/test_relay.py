"""What a client gets of a provider's stream, however it arrives."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects import DIALECTS
from dialects.base import ReplyContext
from models.chat import ChatRequest
from models.content import Message, Text
from models.errors import ErrorKind
from models.profile import Profile
from models.usage import Usage
from services.relay import RawRelay, Relay, TranslatedRelay
from tests.fakes.formats.chat import chat_stream
from tests.fakes.formats.gemini import as_events, generate_chunks
from tests.fakes.formats.messages import messages_stream
from tests.fakes.formats.responses import response_stream
from tests.fakes.scenarios import Call, Scenario

MESSAGES, CHAT = DIALECTS["messages"], DIALECTS["chat"]
SCENARIO = Scenario(
    text=("Hé", "llo"), thinking=("hm",), calls=(Call("c", "wx", {"a": 1}),), stop="tools"
)
PIECES = {
    "messages": list(messages_stream(SCENARIO)),
    "chat": list(chat_stream(SCENARIO, include_usage=True)),
    "responses": list(response_stream(SCENARIO, {"reasoning": {"summary": "auto"}})),
    "gemini": list(as_events(generate_chunks(SCENARIO, "gemini-3-pro", thoughts=True))),
}
STREAMS = {name: b"".join(pieces) for name, pieces in PIECES.items()}
NAMES = list(STREAMS)
FINISHES = {
    "messages": b"event: message_delta",
    "chat": b'"finish_reason":"',
    "responses": b"event: response.completed",
    "gemini": b'"finishReason":"',
}
"""How the event begins that tells of the finish."""
PAIRS = [
    ("messages", "chat"),
    ("chat", "messages"),
    ("responses", "gemini"),
    ("gemini", "responses"),
]
REQUEST = ChatRequest("m", True, (Message("user", (Text("x"),)),))


def raw(name: str, *, hide_usage: bool = False) -> RawRelay:
    dialect = DIALECTS[name]
    return RawRelay(dialect, dialect.sniffer(hide_usage=hide_usage), "rid")


def translated(upstream: str, client: str) -> TranslatedRelay:
    context = ReplyContext(REQUEST, "0" * 32, 1_760_000_000)
    decoder = DIALECTS[upstream].decoder(Profile("m"))
    return TranslatedRelay(decoder, DIALECTS[client].encoder(context))


def fed(relay: Relay, pieces: list[bytes]) -> bytes:
    """What a client gets; after the end the executor passes the rest as it is."""
    sent = b"".join([piece if relay.ended else relay.feed(piece) for piece in pieces])
    return sent if relay.ended else sent + relay.finish()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % len(data) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@pytest.mark.parametrize("name", NAMES)
@given(places=st.lists(st.integers(0, 10_000), max_size=12))
def test_a_raw_stream_is_passed_byte_for_byte_however_it_is_cut(
    name: str, places: list[int]
) -> None:
    relay = raw(name)
    assert fed(relay, cut(STREAMS[name], places)) == STREAMS[name]
    assert relay.error is None
    assert relay.usage.output_tokens == 7


@pytest.mark.parametrize("ending", [b"\r\n", b"\r"])
def test_other_line_ends_pass_too(ending: bytes) -> None:
    data = STREAMS["messages"].replace(b"\n", ending)
    relay = raw("messages")
    assert fed(relay, [data[at : at + 1] for at in range(len(data))]) == data
    assert relay.ended
    assert relay.error is None


@pytest.mark.parametrize("name", NAMES)
@given(places=st.lists(st.integers(0, 10_000), max_size=12))
def test_only_whole_frames_are_forwarded_so_a_ping_may_come_at_any_time(
    name: str, places: list[int]
) -> None:
    relay = raw(name)
    for piece in cut(STREAMS[name], places):
        sent = relay.feed(piece)
        # A line that ends with CR has ended; the LF that may follow is an empty one more.
        assert sent == b"" or sent.endswith((b"\n\n", b"\r\n\r\n", b"\r\n\r"))


@given(places=st.lists(st.integers(0, 10_000), max_size=6))
def test_the_usage_frame_that_only_we_asked_for_is_dropped(places: list[int]) -> None:
    relay = raw("chat", hide_usage=True)
    sent = fed(relay, cut(STREAMS["chat"], places))
    assert b'"choices":[]' not in sent
    assert sent.endswith(b"data: [DONE]\n\n")
    assert relay.usage == Usage(11, 7, 0, 0, 0)


@pytest.mark.parametrize("name", NAMES)
@given(place=st.integers(1, 10_000))
def test_a_raw_stream_without_its_end_tells_the_error_and_nothing_after(
    name: str, place: int
) -> None:
    data = STREAMS[name]
    finish = data.index(FINISHES[name])
    relay = raw(name)
    sent = fed(relay, [data[: place % finish]])
    assert relay.error is not None
    assert relay.error.kind is ErrorKind.TRUNCATED
    assert b'"error"' in sent.rstrip().replace(b"\r", b"").rpartition(b"\n\n")[2]
    assert b"[DONE]" not in sent


@pytest.mark.parametrize("name", ["messages", "chat"])
def test_an_answer_that_told_its_finish_is_whole_without_its_end_marker(name: str) -> None:
    data = STREAMS[name]
    cut_off = data[: data.rindex(b"event: message_stop" if name == "messages" else b"data: [DONE]")]
    relay = raw(name)
    assert fed(relay, [cut_off]) == cut_off
    assert relay.ended
    assert relay.error is None


def test_an_end_marker_without_its_blank_line_is_an_end() -> None:
    relay = raw("chat")
    data = STREAMS["chat"].rstrip(b"\n")
    assert fed(relay, [data]) == data
    assert relay.error is None


def test_what_follows_the_end_marker_keeps_its_order() -> None:
    relay = raw("chat")
    data = STREAMS["chat"] + b": half a com"
    assert fed(relay, [data[:100], data[100:], b"ment\n\n"]) == data + b"ment\n\n"


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
@given(places=st.lists(st.integers(0, 10_000), max_size=12))
def test_a_translated_stream_does_not_depend_on_how_it_is_cut(
    upstream: str, client: str, places: list[int]
) -> None:
    whole, pieces = translated(upstream, client), translated(upstream, client)
    assert fed(pieces, cut(STREAMS[upstream], places)) == fed(whole, [STREAMS[upstream]])
    assert pieces.error is None
    assert pieces.usage.output_tokens == 7


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
def test_a_translated_stream_that_breaks_says_so(upstream: str, client: str) -> None:
    relay = translated(upstream, client)
    sent = fed(relay, [STREAMS[upstream][:400]])
    assert relay.error is not None
    for end in (b"message_stop", b"[DONE]", b"response.completed", b"finishReason"):
        assert end not in sent
    assert b'"error"' in sent


@pytest.mark.parametrize("name", ["messages", "chat", "responses"])
def test_nothing_has_started_before_the_first_content(name: str) -> None:
    frames = PIECES[name]
    relay = raw(name)
    relay.feed(frames[0])
    assert not relay.started
    for frame in frames[1:4]:
        relay.feed(frame)
    assert relay.started


def test_gemini_s_first_frame_has_content() -> None:
    relay = raw("gemini")
    relay.feed(PIECES["gemini"][0])
    assert relay.started


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        (
            "messages",
            b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
            b'"message":"Overloaded"}}\n\n',
        ),
        ("chat", b'data: {"error":{"message":"busy","type":"server_error","code":null}}\n\n'),
        ("responses", b'data: {"type":"error","code":"server_error","message":"busy"}\n\n'),
        (
            "responses",
            b'data: {"type":"response.failed","response":{"status":"failed",'
            b'"error":{"code":"server_error","message":"busy"}}}\n\n',
        ),
        ("gemini", b'data: {"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}\r\n\r\n'),
    ],
)
def test_an_error_that_opens_a_stream_is_found_before_anything_started(
    name: str, frame: bytes
) -> None:
    for relay in (raw(name), translated(name, "chat" if name == "messages" else "messages")):
        relay.feed(frame)
        assert relay.error is not None
        assert relay.ended
        assert not relay.started
