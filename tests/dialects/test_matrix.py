"""Every scenario of an answer between the two formats, both ways: what a client sees of it."""

import json
from dataclasses import replace

import pytest

from dialects.anthropic import MESSAGES
from dialects.base import Dialect, ReplyContext
from dialects.openai_chat import CHAT
from models.errors import UpstreamError
from models.events import Event, check, collect, replay
from models.json_types import JsonObject
from models.profile import Profile
from tests.dialects.answers import (
    Answer,
    Call,
    View,
    chat_stream,
    chat_whole,
    messages_stream,
    messages_whole,
    seen_in_chat_stream,
    seen_in_completion,
    seen_in_message,
    seen_in_messages_stream,
)

CLAUDE = Profile(
    "claude", vendor="anthropic", thinking="adaptive", efforts=("low", "medium", "high")
)
GPT = Profile("gpt", vendor="openai", efforts=("low", "medium", "high"))

WX = Call("call_1", "wx", ('{"city"', ":", '"Città"}'))
OSLO = Call("call_2", "wx", ('{"city":"Oslo"}',))
NOW = Call("call_3", "now")

MESSAGES_USAGE: JsonObject = {
    "input_tokens": 20,
    "cache_creation_input_tokens": 200,
    "cache_read_input_tokens": 1000,
    "output_tokens": 50,
}
CHAT_USAGE: JsonObject = {
    "prompt_tokens": 1220,
    "completion_tokens": 50,
    "total_tokens": 1270,
    "prompt_tokens_details": {"cached_tokens": 1000},
    "completion_tokens_details": {"reasoning_tokens": 40},
}
MESSAGES_CONTEXT = ReplyContext(
    MESSAGES.decode_request(
        {
            "model": "m",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "Hi"}],
            "thinking": {"type": "adaptive"},
        }
    ),
    "r" * 29,
    1_750_000_000,
)
CHAT_CONTEXT = ReplyContext(
    CHAT.decode_request(
        {
            "model": "m",
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ),
    "r" * 29,
    1_750_000_000,
)


def decoded(upstream: Dialect, chunks: list[bytes]) -> list[Event]:
    decoder = upstream.decoder(GPT if upstream is CHAT else CLAUDE)
    events: list[Event] = []
    for chunk in chunks:
        events.extend(decoder.feed(chunk))
    events.extend(decoder.end())
    return check(events)


def streamed(upstream: Dialect, client: Dialect, chunks: list[bytes]) -> bytes:
    encoder = client.encoder(MESSAGES_CONTEXT if client is MESSAGES else CHAT_CONTEXT)
    return b"".join([encoder.encode(event) for event in decoded(upstream, chunks)])


# --- answers: Messages provider, Chat client -------------------------------------------------

TO_CHAT = [
    pytest.param(
        Answer(("Hel", "lo"), stop="end_turn"), View(text="Hello", stop="stop"), id="text"
    ),
    pytest.param(
        Answer(("Grüße ", "\U0001f600", "\u2028\n\n"), stop="end_turn"),
        View(text="Grüße \U0001f600\u2028\n\n", stop="stop"),
        id="unicode",
    ),
    pytest.param(Answer(stop="end_turn"), View(stop="stop"), id="empty answer"),
    pytest.param(
        Answer(("Par",), ("h", "m"), stop="max_tokens"),
        View(text="Par", thinking="hm", stop="length"),
        id="thinking and length",
    ),
    pytest.param(
        Answer(calls=(WX,), stop="tool_use"),
        View(calls=(("call_1", "wx", '{"city": "Citt\\u00e0"}'),), stop="tool_calls"),
        id="one tool",
    ),
    pytest.param(
        Answer(("Ok",), ("hm",), (WX, OSLO, NOW), stop="tool_use"),
        View(
            text="Ok",
            thinking="hm",
            calls=(
                ("call_1", "wx", '{"city": "Citt\\u00e0"}'),
                ("call_2", "wx", '{"city": "Oslo"}'),
                ("call_3", "now", "{}"),
            ),
            stop="tool_calls",
        ),
        id="parallel tools",
    ),
    pytest.param(
        Answer(("a",), stop="stop_sequence", stop_sequence="END"),
        View(text="a", stop="stop"),
        id="stop sequence",
    ),
    pytest.param(
        Answer(('{"x":', '"1"}'), stop="end_turn"),
        View(text='{"x":"1"}', stop="stop"),
        id="structured output",
    ),
    pytest.param(Answer(("No",), stop="refusal"), View(text="No", stop="content_filter"), id="no"),
    pytest.param(Answer(stop="model_context_window_exceeded"), View(stop="length"), id="full"),
    pytest.param(Answer(("a",), stop="pause_turn"), View(text="a", stop="stop"), id="pause"),
    pytest.param(Answer(("a",), stop="tool_use"), View(text="a", stop="stop"), id="no call made"),
]
SEEN_CHAT_USAGE: JsonObject = {
    "prompt_tokens": 1220,
    "completion_tokens": 50,
    "total_tokens": 1270,
    "prompt_tokens_details": {"cached_tokens": 1000},
}


@pytest.mark.parametrize(("answer", "view"), TO_CHAT)
def test_a_chat_client_sees_the_answer_of_a_messages_provider(answer: Answer, view: View) -> None:
    answer = replace(answer, usage=MESSAGES_USAGE)
    view = replace(view, usage=SEEN_CHAT_USAGE)
    whole = MESSAGES.decode_response(messages_whole(answer))
    assert seen_in_completion(CHAT.encode_response(whole, CHAT_CONTEXT)) == view
    chunks = messages_stream(answer)
    assert seen_in_chat_stream(streamed(MESSAGES, CHAT, chunks)) == view
    assert seen_in_chat_stream(told_again(MESSAGES, CHAT, chunks)) == view


# --- answers: Chat provider, Messages client -------------------------------------------------

TO_MESSAGES = [
    pytest.param(
        Answer(("Hel", "lo"), stop="stop"), View(text="Hello", stop="end_turn"), id="text"
    ),
    pytest.param(
        Answer(("Grüße ", "\U0001f600", "\u2028\n\n")),
        View(text="Grüße \U0001f600\u2028\n\n", stop="end_turn"),
        id="unicode",
    ),
    pytest.param(Answer(), View(stop="end_turn"), id="empty answer"),
    pytest.param(
        Answer(("Par",), ("h", "m"), stop="length"),
        View(text="Par", thinking="hm", stop="max_tokens"),
        id="thinking and length",
    ),
    pytest.param(
        Answer(calls=(WX,), stop="tool_calls"),
        View(calls=(("call_1", "wx", '{"city": "Citt\\u00e0"}'),), stop="tool_use"),
        id="one tool",
    ),
    pytest.param(
        Answer(("Ok",), ("hm",), (WX, OSLO, NOW), stop="tool_calls"),
        View(
            text="Ok",
            thinking="hm",
            calls=(
                ("call_1", "wx", '{"city": "Citt\\u00e0"}'),
                ("call_2", "wx", '{"city": "Oslo"}'),
                ("call_3", "now", "{}"),
            ),
            stop="tool_use",
        ),
        id="parallel tools",
    ),
    pytest.param(
        Answer(('{"x":', '"1"}')), View(text='{"x":"1"}', stop="end_turn"), id="structured output"
    ),
    pytest.param(
        Answer(refusal=("I ", "can't")),
        View(text="I can't", refusal="I can't", stop="refusal"),
        id="refusal",
    ),
    pytest.param(Answer(("a",), stop="content_filter"), View("a", stop="refusal"), id="filtered"),
    pytest.param(
        Answer(calls=(OSLO,), stop="stop"),
        View(calls=(("call_2", "wx", '{"city": "Oslo"}'),), stop="tool_use"),
        id="careless finish reason",
    ),
    pytest.param(Answer(("a",), stop="tool_calls"), View("a", stop="end_turn"), id="no call made"),
]
SEEN_MESSAGES_USAGE: JsonObject = {
    "input_tokens": 220,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 1000,
    "output_tokens": 50,
    "output_tokens_details": {"thinking_tokens": 40},
}


@pytest.mark.parametrize(("answer", "view"), TO_MESSAGES)
def test_a_messages_client_sees_the_answer_of_a_chat_provider(answer: Answer, view: View) -> None:
    answer = replace(answer, usage=CHAT_USAGE)
    view = replace(view, usage=SEEN_MESSAGES_USAGE)
    whole = CHAT.decode_response(chat_whole(answer))
    assert seen_in_message(MESSAGES.encode_response(whole, MESSAGES_CONTEXT)) == view
    chunks = chat_stream(answer)
    assert seen_in_messages_stream(streamed(CHAT, MESSAGES, chunks)) == view
    assert seen_in_messages_stream(told_again(CHAT, MESSAGES, chunks)) == view


def told_again(upstream: Dialect, client: Dialect, chunks: list[bytes]) -> bytes:
    """Collect a stream to a whole answer and tell that as a stream: nothing may change."""
    encoder = client.encoder(MESSAGES_CONTEXT if client is MESSAGES else CHAT_CONTEXT)
    events = check(replay(collect(decoded(upstream, chunks))))
    return b"".join([encoder.encode(event) for event in events])


# --- streams: any cut, breaks and errors -----------------------------------------------------

FULL_MESSAGES = messages_stream(Answer(("é",), ("h",), (WX, OSLO), stop="tool_use"))
FULL_CHAT = chat_stream(Answer(("é",), ("h",), (WX, OSLO), stop="tool_calls", usage=CHAT_USAGE))
WAYS = [
    pytest.param(MESSAGES, CHAT, FULL_MESSAGES, id="messages to chat"),
    pytest.param(CHAT, MESSAGES, FULL_CHAT, id="chat to messages"),
]


@pytest.mark.parametrize(("upstream", "client", "frames"), WAYS)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_client_sees_the_same_however_the_stream_is_cut(
    upstream: Dialect, client: Dialect, frames: list[bytes], line_end: bytes
) -> None:
    raw = b"".join(frames).replace(b"\n", line_end)
    expected = streamed(upstream, client, frames)
    for cut in range(0, len(raw) + 1, 3):
        assert streamed(upstream, client, [raw[:cut], raw[cut:]]) == expected
    assert streamed(upstream, client, [bytes([byte]) for byte in raw]) == expected


@pytest.mark.parametrize(("upstream", "client", "frames"), WAYS)
def test_a_stream_that_breaks_off_ends_in_an_error(
    upstream: Dialect, client: Dialect, frames: list[bytes]
) -> None:
    see = seen_in_chat_stream if client is CHAT else seen_in_messages_stream
    # The last three frames are the stop reason, usage or end: after the reason it is whole.
    for length in range(len(frames) - 3):
        view = see(streamed(upstream, client, frames[:length]))
        assert not view.ended
        assert view.error is not None
        assert "ended before" in str(view.error["message"])


ERRORS = [
    pytest.param(
        MESSAGES,
        CHAT,
        FULL_MESSAGES,
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
        b'"message":"Overloaded"}}\n\n',
        {"message": "Overloaded", "type": "service_unavailable_error"},
        id="messages to chat",
    ),
    pytest.param(
        CHAT,
        MESSAGES,
        FULL_CHAT,
        b'data: {"error":{"message":"Overloaded","type":"server_error",'
        b'"code":"server_is_overloaded"}}\n\n',
        {"message": "Overloaded", "type": "overloaded_error"},
        id="chat to messages",
    ),
]


@pytest.mark.parametrize(("upstream", "client", "frames", "error", "told"), ERRORS)
@pytest.mark.parametrize("before", [0, 1, 4])
def test_an_error_inside_a_stream_is_told_in_the_clients_words(
    upstream: Dialect,
    client: Dialect,
    frames: list[bytes],
    error: bytes,
    told: dict[str, str],
    before: int,
) -> None:
    raw = streamed(upstream, client, [*frames[:before], error, *frames[before:]])
    view = (seen_in_chat_stream if client is CHAT else seen_in_messages_stream)(raw)
    assert view.error is not None
    assert {key: view.error[key] for key in told} == told
    assert b"[DONE]" not in raw
    assert b"message_stop" not in raw


@pytest.mark.parametrize(
    ("upstream", "body", "client", "message"),
    [
        (
            MESSAGES,
            {"type": "error", "error": {"type": "api_error", "message": "Broken"}},
            CHAT,
            "Broken",
        ),
        (CHAT, {"error": {"message": "Broken", "type": "server_error"}}, MESSAGES, "Broken"),
    ],
)
def test_an_error_in_a_whole_answer_is_told_in_the_clients_words(
    upstream: Dialect, body: JsonObject, client: Dialect, message: str
) -> None:
    with pytest.raises(UpstreamError) as caught:
        upstream.decode_response(body)
    written = client.encode_error(caught.value, "req_1")
    assert written.status == 502
    assert json.loads(written.body)["error"]["message"] == message


def test_arguments_cut_by_the_limit_are_shown_as_far_as_they_came() -> None:
    cut = Answer(calls=(Call("call_1", "wx", ('{"city":"Ro',)),), stop="length")
    view = seen_in_messages_stream(streamed(CHAT, MESSAGES, chat_stream(cut)))
    assert view.stop == "max_tokens"
    assert view.calls == (("call_1", "wx", json.dumps({"cut": '{"city":"Ro'})),)
    whole = CHAT.decode_response(chat_whole(cut))
    view = seen_in_message(MESSAGES.encode_response(whole, MESSAGES_CONTEXT))
    assert view.calls == (("call_1", "wx", '{"city": "Ro"}'),)
