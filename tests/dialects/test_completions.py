"""Legacy text completions: for clients only, served raw or by a chat model."""

from collections.abc import Iterable

import orjson
import pytest
from openai.types import Completion

from dialects.anthropic import MESSAGES
from dialects.base import Encoded, ReplyContext
from dialects.openai_chat import CHAT
from dialects.openai_completions import COMPLETIONS
from models.chat import ChatResponse, FinishReason, Sampling
from models.content import Message, Part, Reasoning, Refusal, Text
from models.errors import BadRequest, ErrorKind, Unrepresentable, UpstreamError
from models.events import Event, Failed, replay
from models.json_types import Json, JsonObject
from models.profile import Profile
from models.usage import Usage

CLAUDE = Profile("claude", vendor="anthropic")


def body(**fields: Json) -> JsonObject:
    return {"model": "m", "prompt": "Say", **fields}


def context(**fields: Json) -> ReplyContext:
    return ReplyContext(COMPLETIONS.decode_request(body(**fields)), "r" * 24, 1_750_000_000)


def sent(**fields: Json) -> Encoded:
    """Return what Anthropic would get."""
    return MESSAGES.encode_request(COMPLETIONS.decode_request(body(**fields)), CLAUDE)


def answer(*parts: Part, finish: FinishReason = FinishReason.STOP) -> ChatResponse:
    return ChatResponse("u", "up", 7, parts, finish, usage=Usage(3, 2))


def written(events: Iterable[Event], how: ReplyContext) -> bytes:
    encoder = COMPLETIONS.encoder(how)
    return b"".join([encoder.encode(event) for event in events])


# --- requests ---


@pytest.mark.parametrize("prompt", ["Say", ["Say"]])
def test_a_prompt_is_what_the_user_says(prompt: Json) -> None:
    request = COMPLETIONS.decode_request(body(prompt=prompt))
    assert request.messages == (Message("user", (Text("Say"),)),)
    assert (request.model, request.stream, request.max_tokens) == ("m", False, 16)


def test_fields_mean_what_they_mean_in_chat() -> None:
    request = COMPLETIONS.decode_request(
        body(
            max_tokens=5,
            temperature=0,
            top_p=0.5,
            stop=["a", "b"],
            seed=1,
            user="u",
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert request.sampling == Sampling(temperature=0, top_p=0.5, seed=1)
    assert (request.max_tokens, request.stop, request.user_id) == (5, ("a", "b"), "u")
    assert (request.stream, request.include_usage) == (True, True)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"suffix": "end"}, "suffix"),
        ({"echo": True}, "echo"),
        ({"n": 2}, "n"),
    ],
)
def test_what_no_chat_model_can_do_is_refused(fields: JsonObject, path: str) -> None:
    with pytest.raises(Unrepresentable) as caught:
        COMPLETIONS.decode_request(body(**fields))
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": {}}, "prompt"),
        ({"prompt": True}, "prompt"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"model": ""}, "model"),
    ],
)
def test_what_is_wrong_is_named(fields: JsonObject, path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        COMPLETIONS.decode_request(body(**fields))
    assert caught.value.path == path
    assert not isinstance(caught.value, Unrepresentable)


def test_what_is_lost_is_told() -> None:
    request = sent(best_of=3, logprobs=2, hologram=1)
    assert set(request.dropped) == {"best_of", "logprobs", "hologram"}
    assert sent(best_of=1, logprobs=None, echo=False, suffix="").dropped == ()


def test_a_chat_provider_gets_nothing_it_does_not_know() -> None:
    request = COMPLETIONS.decode_request(body(best_of=3, logprobs=2, hologram=1))
    encoded = CHAT.encode_request(request, Profile("m"))
    assert encoded.payload == {
        "model": "m",
        "messages": [{"role": "user", "content": "Say"}],
        "max_completion_tokens": 16,
    }


def test_nobody_is_spoken_to_in_it() -> None:
    with pytest.raises(Unrepresentable):
        COMPLETIONS.encode_request(COMPLETIONS.decode_request(body()), Profile("m"))


# --- answers ---


@pytest.mark.parametrize(
    ("finish", "word"),
    [
        (FinishReason.STOP, "stop"),
        (FinishReason.LENGTH, "length"),
        (FinishReason.CONTENT_FILTER, "content_filter"),
        (FinishReason.REFUSAL, "content_filter"),
        (FinishReason.TOOL_CALLS, "stop"),
    ],
)
def test_a_whole_answer(finish: FinishReason, word: str) -> None:
    made = answer(Reasoning("hm"), Text("a"), Text("b"), Refusal("c"), finish=finish)
    whole = COMPLETIONS.encode_response(made, context())
    assert whole == {
        "id": "cmpl-" + "r" * 24,
        "object": "text_completion",
        "created": 7,
        "model": "up",
        "choices": [{"text": "abc", "index": 0, "logprobs": None, "finish_reason": word}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    Completion.model_validate(whole)


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_streamed_answer(include_usage: bool) -> None:
    made = answer(Reasoning("hm"), Text("a\u2028"), Text("b"))
    how = context(stream=True, stream_options={"include_usage": include_usage})
    raw = written(replay(made), how)
    assert raw.endswith(b"data: [DONE]\n\n")
    frames = [orjson.loads(frame[6:]) for frame in raw.split(b"\n\n")[:-2]]
    texts = [choice["text"] for frame in frames for choice in frame["choices"]]
    ends = [choice["finish_reason"] for frame in frames for choice in frame["choices"]]
    assert (texts, ends) == (["a\u2028", "b", ""], [None, None, "stop"])
    heads = {tuple(frame[key] for key in ("id", "object", "created", "model")) for frame in frames}
    assert heads == {("cmpl-" + "r" * 24, "text_completion", 7, "up")}
    told = [frame.get("usage", "none") for frame in frames]
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert told == ([None, None, None, usage] if include_usage else ["none"] * 3)


def test_a_stream_that_fails_has_no_end_marker() -> None:
    error = UpstreamError("Overloaded", kind=ErrorKind.OVERLOADED)
    begun = list(replay(answer(Text("a"))))[:3]
    raw = written([*begun, Failed(error), *replay(answer())], context(stream=True))
    last = orjson.loads(raw.split(b"\n\n")[-2][6:])
    assert last["error"]["code"] == "server_is_overloaded"
    assert b"[DONE]" not in raw


# --- raw ---


def test_the_raw_way_changes_the_models_name_and_asks_for_usage() -> None:
    raw = b'{"model":"a/m","prompt":["x","y"],"echo":true,"stream":true}'
    payload = orjson.loads(raw)
    asked = COMPLETIONS.inspect(raw, payload)
    assert (asked.model, asked.stream) == ("a/m", True)
    prepared, hides = COMPLETIONS.prepare_raw(raw, payload, "m", ask_usage=True)
    assert orjson.loads(prepared) == {
        **payload,
        "model": "m",
        "stream_options": {"include_usage": True},
    }
    assert hides


@pytest.mark.parametrize(
    "raw",
    [b'{"prompt":"x"}', b'{"model":"m","model":"n"}', b'{"model":"m","prompt":"x","prompt":"y"}'],
)
def test_the_raw_way_refuses_what_cannot_be_routed(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        COMPLETIONS.inspect(raw, orjson.loads(raw))


def _chunk(text: str, finish: str | None = None, **fields: Json) -> bytes:
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
    return b"data: %b\n\n" % orjson.dumps({"id": "u", "choices": [choice], **fields})


USAGE: JsonObject = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
TAIL = b"data: %b\n\n" % orjson.dumps({"id": "u", "choices": [], "usage": USAGE})


def test_a_raw_stream_is_watched() -> None:
    sniffer = COMPLETIONS.sniffer(hide_usage=True)
    seen = []
    for frames in (_chunk(""), _chunk("a"), _chunk("", "stop") + TAIL, b"data: [DONE]\n\n"):
        assert sniffer.feed(frames) == frames.removesuffix(TAIL)
        seen.append((sniffer.started, sniffer.finished, sniffer.ended))
    assert seen == [
        (False, False, False),
        (True, False, False),
        (True, True, False),
        (True, True, True),
    ]
    assert sniffer.usage == Usage(3, 2)


def test_a_whole_answer_where_a_stream_was_asked_for_and_the_other_way_round() -> None:
    whole: JsonObject = {
        "id": "u",
        "object": "text_completion",
        "created": 7,
        "model": "up",
        "choices": [{"text": "ab", "index": 0, "logprobs": None, "finish_reason": "length"}],
        "usage": USAGE,
    }
    read = COMPLETIONS.decode_response(whole)
    assert (read.parts, read.finish) == ((Text("ab"),), FinishReason.LENGTH)
    decoder = COMPLETIONS.decoder(Profile("m"))
    events = decoder.feed(_chunk("a") + _chunk("b", "length") + TAIL + b"data: [DONE]\n\n")
    assert written(events, context()).count(b'"text":"a"') == 1
    assert COMPLETIONS.read_usage(whole) == Usage(3, 2)
