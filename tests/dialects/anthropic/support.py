"""Builders for the tests of the Messages format."""

import itertools
from collections.abc import Iterable, Sequence

import orjson

from dialects.anthropic import MESSAGES
from dialects.base import Encoded, ReplyContext
from models.chat import ChatRequest
from models.events import Event, check
from models.json_types import Json, JsonObject
from models.profile import Profile

ADAPTIVE = Profile(
    "claude-new",
    vendor="anthropic",
    thinking="adaptive",
    efforts=("low", "medium", "high", "max"),
    max_output_tokens=64_000,
    sampling=False,
    prefill=False,
    system_in_messages=True,
)
MANUAL = Profile("claude-old", vendor="anthropic", thinking="manual", max_output_tokens=32_000)
PLAIN = Profile("claude-older", vendor="anthropic", thinking="none", structured_output=False)


def request(**fields: Json) -> JsonObject:
    """Return a request with the given fields over small defaults."""
    messages: list[Json] = [{"role": "user", "content": "Hi"}]
    return {"model": "m", "max_tokens": 100, "messages": messages, **fields}


def read(**fields: Json) -> ChatRequest:
    return MESSAGES.decode_request(request(**fields))


def write(wanted: ChatRequest, profile: Profile = MANUAL) -> Encoded:
    return MESSAGES.encode_request(wanted, profile)


def context(**fields: Json) -> ReplyContext:
    return ReplyContext(read(**fields), "r" * 30, 1_700_000_000)


def frames(*payloads: JsonObject) -> bytes:
    """Return payloads as the stream that a provider sends."""
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (str(payload["type"]).encode(), orjson.dumps(payload))
        for payload in payloads
    )


def block(index: int, start: JsonObject, *deltas: JsonObject) -> list[JsonObject]:
    """Return the events of one content block."""
    told: list[JsonObject] = [
        {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
    ]
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *told,
        {"type": "content_block_stop", "index": index},
    ]


def stream(*blocks: Sequence[JsonObject], stop_reason: str = "end_turn") -> bytes:
    """Return a whole stream around the given blocks."""
    start: JsonObject = {
        "type": "message_start",
        "message": {
            "id": "msg_a",
            "type": "message",
            "role": "assistant",
            "model": "claude-x",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {
                "input_tokens": 25,
                "cache_creation_input_tokens": 7,
                "cache_read_input_tokens": 100,
                "output_tokens": 1,
            },
        },
    }
    delta: JsonObject = {"stop_reason": stop_reason, "stop_sequence": None}
    end: list[JsonObject] = [
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 40}},
        {"type": "message_stop"},
    ]
    return frames(start, *itertools.chain.from_iterable(blocks), *end)


def decode(chunks: Iterable[bytes]) -> list[Event]:
    """Return the events of a stream, their grammar checked."""
    decoder = MESSAGES.decoder(ADAPTIVE)
    events: list[Event] = []
    for chunk in chunks:
        events.extend(decoder.feed(chunk))
    events.extend(decoder.end())
    return check(events)


def encode(events: Iterable[Event], reply: ReplyContext) -> bytes:
    encoder = MESSAGES.encoder(reply)
    return b"".join([encoder.encode(event) for event in events])


def dig(value: Json, *path: str | int) -> Json:
    """Return what stands at `path` in parsed JSON."""
    for step in path:
        if isinstance(step, int):
            assert isinstance(value, list)
            value = value[step]
        else:
            assert isinstance(value, dict)
            value = value[step]
    return value
