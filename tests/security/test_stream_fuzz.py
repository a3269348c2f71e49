"""Streams of a provider that are cut, damaged or nonsense: no exception, always an end."""

import json
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects import DIALECTS
from dialects.base import ReplyContext
from dialects.sse import Parser
from models.chat import ChatRequest
from models.content import Message, Text
from models.errors import StreamBroken
from models.profile import Profile
from services.relay import RawRelay, Relay, TranslatedRelay
from tests.fakes.formats.chat import chat_stream
from tests.fakes.formats.gemini import as_events, generate_chunks
from tests.fakes.formats.messages import messages_stream
from tests.fakes.formats.openai_more import completion_stream
from tests.fakes.formats.responses import response_stream
from tests.fakes.scenarios import Call, Scenario
from tests.security.test_request_fuzz import ANY_JSON

REQUEST = ChatRequest("m", True, (Message("user", (Text("x"),)),))
SCENARIOS = [
    Scenario(),
    Scenario(
        text=("Hé", "\U0001f600", "llo"),
        thinking=("hm", "hm"),
        calls=(Call("c1", "wx", {"a": 1}), Call("c2", "wx", {"b": "\u2028\r\n"})),
        stop="tools",
    ),
    Scenario(text=(), calls=(Call("c", "f", {}),), stop="tools"),
    Scenario(stop="length", output_tokens=0),
]
ASKED = {
    "include": ["reasoning.encrypted_content"],
    "reasoning": {"summary": "auto"},
    "tools": [],
}
STREAMS = {
    "messages": [b"".join(messages_stream(scenario)) for scenario in SCENARIOS],
    "chat": [
        b"".join(chat_stream(scenario, include_usage=usage))
        for scenario in SCENARIOS
        for usage in (False, True)
    ],
    "responses": [b"".join(response_stream(scenario, ASKED)) for scenario in SCENARIOS],
    "gemini": [
        b"".join(as_events(generate_chunks(scenario, "gemini-3-pro", thoughts=True)))
        for scenario in SCENARIOS
    ],
    "completions": [
        b"".join(completion_stream(scenario, include_usage=True)) for scenario in SCENARIOS[:1]
    ],
}
FORMATS = ("messages", "chat", "responses", "gemini")


def raw(upstream: str, _client: str) -> Relay:
    dialect = DIALECTS[upstream]
    return RawRelay(dialect, dialect.sniffer(hide_usage=True), "rid")


def translated(upstream: str, client: str) -> Relay:
    context = ReplyContext(REQUEST, "0" * 32, 1_760_000_000)
    decoder = DIALECTS[upstream].decoder(Profile("m"))
    return TranslatedRelay(decoder, DIALECTS[client].encoder(context))


WAYS = [
    *(pytest.param(raw, name, name, id=f"{name} raw") for name in STREAMS),
    *(pytest.param(translated, name, name, id=f"{name} filtered") for name in FORMATS),
    *(
        pytest.param(translated, upstream, client, id=f"{upstream} to {client}")
        for upstream, client in [
            ("messages", "chat"),
            ("chat", "messages"),
            ("messages", "gemini"),
            ("gemini", "messages"),
            ("chat", "responses"),
            ("responses", "chat"),
            ("gemini", "responses"),
            ("responses", "gemini"),
            ("chat", "completions"),
        ]
    ),
]
_ENDS = ("message_stop", "response.completed", "response.incomplete")

Make = Callable[[str, str], Relay]


def relayed(relay: Relay, pieces: list[bytes]) -> bytes:
    """Do with a stream what the gateway does, up to its end."""
    sent = []
    for piece in pieces:
        if relay.ended:
            break
        sent.append(relay.feed(piece))
    if not relay.ended:
        sent.append(relay.finish())
    assert relay.ended
    return b"".join(sent)


def last_event(stream: bytes) -> str:
    """Return what the last event of a stream is: `end`, `error` or something else."""
    parser = Parser()
    events = [*parser.feed(stream), *parser.end()]
    name, data = events[-1]
    if data == b"[DONE]":
        return "end"
    payload = json.loads(data)
    if name == b"error" or "error" in payload:
        assert payload["error"]
        return "error"
    if payload.get("type") in _ENDS:
        return "end"
    if payload.get("type") == "response.failed":
        assert payload["response"]["error"]
        return "error"
    if any(candidate.get("finishReason") for candidate in payload.get("candidates", [])):
        return "end"
    # Some servers leave `[DONE]` out: then the finish is the end.
    finished = any(choice.get("finish_reason") for choice in payload.get("choices", []))
    return "end" if finished or payload.get("usage") else "something else"


def check(way: Make, upstream: str, client: str, pieces: list[bytes]) -> None:
    relay = way(upstream, client)
    sent = relayed(relay, pieces)
    if way is translated:
        assert last_event(sent) == ("end" if relay.error is None else "error")
    elif relay.error is not None and isinstance(relay.error, StreamBroken):
        assert last_event(sent) == "error"
    usage = relay.usage
    for count in (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens):
        assert count is None or count >= 0


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


PLACES = st.lists(st.integers(0, 10_000), max_size=8)
NOISE = st.sampled_from(
    [
        b"\n\n",
        b"\r\n\r\n",
        b"\r",
        b":\n\n",
        b": ping\n\n",
        b"data:\n\n",
        b"data: \n\n",
        b"data: null\n\n",
        b"data: []\n\n",
        b"data: {}\n\n",
        b"data: {\n\n",
        b"data: [DONE]\n\n",
        b"data\n\n",
        b"event: error\n\n",
        b"event: error\ndata: x\n\n",
        b'data: {"error":null}\n\n',
        b'data: {"error":{"message":7}}\n\n',
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n',
        b'data: {"type":"message_stop"}\n\n',
        b'data: {"type":"content_block_delta","index":99,"delta":{"type":"text_delta"}}\n\n',
        b'data: {"type":"content_block_start","index":-1,"content_block":{"type":"x"}}\n\n',
        b'data: {"choices":[{"delta":{"tool_calls":[{"index":1e9}]}}]}\n\n',
        b'data: {"choices":[{"delta":null,"finish_reason":7}]}\n\n',
        b'data: {"choices":{},"usage":{"prompt_tokens":-1}}\n\n',
        b'data: {"type":"response.failed","response":{"error":7}}\n\n',
        b'data: {"type":"response.completed","response":null}\n\n',
        b'data: {"type":"response.output_item.added","output_index":-1,"item":{"type":"x"}}\n\n',
        b'data: {"type":"response.output_text.delta","output_index":9,"delta":7}\n\n',
        b'data: {"candidates":[{"content":{"parts":[{"functionCall":7}]}}]}\n\n',
        b'data: {"candidates":[{"content":null,"finishReason":7}]}\n\n',
        b'data: {"candidates":{},"usageMetadata":{"promptTokenCount":-1}}\n\n',
        b'data: {"promptFeedback":{"blockReason":"SAFETY"}}\n\n',
        b'data: {"choices":[{"index":5,"delta":{"content":"\\ud800"}}]}\n\n',
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf",
        b"id: 1\nretry: 5\n\n",
        b"<html>502</html>",
    ]
)


@pytest.mark.parametrize(("way", "upstream", "client"), WAYS)
@settings(max_examples=60)
@given(data=st.data())
def test_damaged_streams_end(way: Make, upstream: str, client: str, data: st.DataObject) -> None:
    stream = data.draw(st.sampled_from(STREAMS[upstream]))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(stream)))
        length = data.draw(st.sampled_from([0, 0, 1, 7, 200]))
        noise = data.draw(NOISE | st.binary(max_size=4))
        stream = stream[:at] + noise + stream[at + length :]
    check(way, upstream, client, cut(stream, data.draw(PLACES)))


@pytest.mark.parametrize(("way", "upstream", "client"), WAYS)
@settings(max_examples=60)
@given(data=st.data())
def test_streams_with_changed_values_end(
    way: Make, upstream: str, client: str, data: st.DataObject
) -> None:
    stream = data.draw(st.sampled_from(STREAMS[upstream])).replace(b"\r\n", b"\n")
    frames = stream.split(b"\n\n")[:-1]
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(frames) - 1))
        head, mark, text = frames[place].partition(b"data: ")
        if text.startswith(b"{"):
            payload = json.loads(text)
            spot = payload
            while isinstance(spot, dict) and spot:
                key = data.draw(st.sampled_from(sorted(spot)))
                inner = spot[key]
                if isinstance(inner, list) and inner and isinstance(inner[0], dict):
                    inner = inner[0]
                if not isinstance(inner, dict) or not inner or data.draw(st.booleans()):
                    spot[key] = data.draw(ANY_JSON)
                    break
                spot = inner
            frames[place] = head + mark + json.dumps(payload).encode()
    stream = b"".join(frame + b"\n\n" for frame in frames)
    check(way, upstream, client, cut(stream, data.draw(PLACES)))


@pytest.mark.parametrize(("way", "upstream", "client"), WAYS)
@settings(max_examples=30)
@given(pieces=st.lists(st.binary(max_size=40) | NOISE, max_size=12))
def test_nonsense_ends(way: Make, upstream: str, client: str, pieces: list[bytes]) -> None:
    check(way, upstream, client, pieces)


@pytest.mark.parametrize(("way", "upstream", "client"), WAYS)
def test_a_whole_stream_cut_at_every_byte_is_whole(way: Make, upstream: str, client: str) -> None:
    for stream in STREAMS[upstream]:
        for data in (stream, stream.replace(b"\n", b"\r\n")):
            relay = way(upstream, client)
            sent = relayed(relay, [data[at : at + 1] for at in range(len(data))])
            assert relay.error is None
            assert last_event(sent) == "end"


@pytest.mark.parametrize(("way", "upstream", "client"), WAYS)
def test_a_stream_that_ends_too_soon_ends_with_an_error(
    way: Make, upstream: str, client: str
) -> None:
    stream = STREAMS[upstream][0]
    text = stream.index("ö".encode())
    for at in range(0, text, 5):
        relay = way(upstream, client)
        assert last_event(relayed(relay, [stream[:at]])) == "error"
        assert relay.error is not None
