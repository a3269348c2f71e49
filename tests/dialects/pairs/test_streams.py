"""Between any two formats: a stream says what the whole answer says, and never more than came."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from dialects.base import Dialect
from models.chat import ChatResponse, FinishReason
from models.content import Reasoning, Text, ToolCall
from models.events import Failed, Finish, collect
from models.usage import Usage
from services.relay import TranslatedRelay
from tests.dialects.official import check_answer, check_frame
from tests.dialects.pairs.formats import (
    CONTEXTS,
    each_format,
    each_pair,
    heard,
    in_order,
    payloads,
    profile,
    seen,
    streamed,
)
from tests.dialects.pairs.strategies import answers, told

chances = st.randoms(use_true_random=False)
FEW = settings(max_examples=25)
"""Of each pair: there are many pairs."""


@each_format
@given(answer=answers(), chance=chances)
def test_a_client_sees_the_same_in_a_stream_and_in_a_whole_answer(
    client: Dialect, answer: ChatResponse, chance: random.Random
) -> None:
    raw = b"".join(streamed(client, told(answer, chance)))
    whole = client.encode_response(answer, CONTEXTS[client.name])
    for payload in payloads(raw):
        check_frame(client.name, payload)
    check_answer(client.name, whole)
    in_stream, at_once = collect(heard(client, [raw])), client.decode_response(whole)
    assert seen(in_stream) == seen(at_once)
    assert client.name == "chat" or in_order(in_stream) == in_order(at_once)
    assert in_stream.finish == at_once.finish
    assert in_stream.usage == at_once.usage


@each_pair
@FEW
@given(answer=answers(), chance=chances)
def test_what_a_provider_streams_reaches_the_client_as_its_whole_answer_does(
    provider: Dialect, client: Dialect, answer: ChatResponse, chance: random.Random
) -> None:
    received = collect(heard(provider, streamed(provider, told(answer, chance))))
    written = provider.encode_response(answer, CONTEXTS[provider.name])
    assert seen(received) == seen(provider.decode_response(written))
    in_stream = collect(heard(client, streamed(client, told(received, chance))))
    whole = client.encode_response(received, CONTEXTS[client.name])
    check_answer(client.name, whole)
    at_once = client.decode_response(whole)
    assert seen(in_stream) == seen(at_once)
    assert in_stream.finish == at_once.finish
    # What every format has room for arrives as it was.
    assert _calls(at_once) == _calls(received) == _calls(answer)
    assert all(text in "".join(_texts(at_once)) for text in _texts(received))


def _calls(answer: ChatResponse) -> list[tuple[str, ...]]:
    return [call[:2] for call in seen(answer).get("ToolCall", ())]


def _texts(answer: ChatResponse) -> list[str]:
    return [part.text for part in answer.parts if isinstance(part, Text)]


ANSWER = ChatResponse(
    "u",
    "m",
    5,
    (
        Reasoning("I think, so", origin="gemini"),
        Text("Grüße, it is "),
        ToolCall("call_1", "wx", '{"city":"Roma"}'),
        ToolCall("call_2", "wx", '{"city":"Oslo"}'),
    ),
    FinishReason.TOOL_CALLS,
    usage=Usage(20, 10),
)


@each_pair
def test_a_provider_that_stops_too_soon_never_leaves_a_finished_answer(
    provider: Dialect, client: Dialect
) -> None:
    frames = streamed(provider, told(ANSWER, random.Random(1)))
    full = seen(collect(heard(provider, frames)))
    whole_from = None
    for length in range(len(frames) + 1):
        relay = TranslatedRelay(
            provider.decoder(profile(provider)),
            client.encoder(CONTEXTS[client.name]),
        )
        out = b"".join(relay.feed(frame) for frame in frames[:length]) + relay.finish()
        events = heard(client, [out])
        assert relay.ended
        match events[-1]:
            case Finish():
                # The reason came, only the end marker is missing: nothing of the answer is.
                assert seen(collect(heard(provider, frames[:length]))) == full
                whole_from = whole_from or length
            case Failed(error):
                assert whole_from is None
                assert "ended before" in error.message
            case event:
                raise AssertionError(event)
    assert whole_from is not None
