"""Builders for the tests of the Responses format."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Final

import orjson

from dialects.base import Encoded, ReplyContext
from dialects.openai_responses import RESPONSES
from models.chat import ChatRequest, FinishReason
from models.content import Part
from models.events import Delta, Event, Finish, PartEnd, PartStart, Start, check
from models.json_types import Json, JsonObject
from models.profile import Profile
from models.usage import Usage
from tests.dialects.official import check_frame

REASONING: Final = Profile(
    "gpt-new",
    vendor="openai",
    efforts=("none", "low", "medium", "high"),
    max_output_tokens=100_000,
    sampling=False,
    max_stops=0,
)
PLAIN: Final = Profile("gpt-old", vendor="openai", reasoning=False, max_output_tokens=4_096)
STRANGER: Final = Profile("llama")
ID: Final = "r" * 30

USER: Final[JsonObject] = {"role": "user", "content": "Hi"}
CALL: Final[JsonObject] = {
    "type": "function_call",
    "call_id": "call_1",
    "name": "wx",
    "arguments": '{"city":"Roma"}',
}
OUTPUT: Final[JsonObject] = {"type": "function_call_output", "call_id": "call_1", "output": "24C"}
WX: Final[JsonObject] = {
    "type": "function",
    "name": "wx",
    "description": "Weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


def request(*items: JsonObject, **fields: Json) -> JsonObject:
    """Return a request with the given items and fields over small defaults."""
    return {"model": "m", "input": [*items] or "Hi", **fields}


def read(*items: JsonObject, **fields: Json) -> ChatRequest:
    return RESPONSES.decode_request(request(*items, **fields))


def write(wanted: ChatRequest, profile: Profile = REASONING) -> Encoded:
    return RESPONSES.encode_request(wanted, profile)


def written_items(wanted: ChatRequest, profile: Profile = REASONING) -> Json:
    return write(wanted, profile).payload["input"]


def context(**fields: Json) -> ReplyContext:
    return ReplyContext(read(**fields), ID, 1_750_000_000)


def told(events: Iterable[Event], **fields: Json) -> list[JsonObject]:
    """Return what a client gets of events, checked: names, numbers, and the SDK's types."""
    encoder = RESPONSES.encoder(context(**fields))
    raw = b"".join(encoder.encode(event) for event in events)
    payloads = [_payload(frame) for frame in raw.split(b"\n\n")[:-1]]
    assert [payload["sequence_number"] for payload in payloads] == list(range(len(payloads)))
    for payload in payloads:
        check_frame("responses", payload)
    return payloads


def _payload(frame: bytes) -> JsonObject:
    name, data = frame.split(b"\n")
    payload: JsonObject = orjson.loads(data.removeprefix(b"data: "))
    assert name == b"event: " + str(payload["type"]).encode()
    return payload


def types(payloads: Iterable[JsonObject]) -> list[str]:
    """Return the types of events, without what they have in common."""
    return [str(payload["type"]).removeprefix("response.") for payload in payloads]


def frames(*payloads: JsonObject) -> bytes:
    """Return payloads as the stream that a provider sends."""
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (str(payload["type"]).encode(), orjson.dumps(payload))
        for payload in payloads
    )


def heard(*chunks: bytes) -> list[Event]:
    """Return what is read of a stream, held to the grammar."""
    decoder = RESPONSES.decoder(REASONING)
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return check([*events, *decoder.end()])


def response(output: Sequence[JsonObject] = (), **fields: Json) -> JsonObject:
    """Return a response object as OpenAI sends it, shortened."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_750_000_000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": "gpt-new-2026",
        "output": [*output],
        "usage": None,
        **fields,
    }


def event(kind: str, **fields: Json) -> JsonObject:
    return {"type": f"response.{kind}", **fields}


CREATED: Final = event("created", response=response(status="in_progress"))
COMPLETED: Final = event("completed", response=response())


def message(*texts: str, **fields: Json) -> JsonObject:
    """Return a message of an answer."""
    content: list[Json] = [
        {"type": "output_text", "text": text, "annotations": []} for text in texts
    ]
    return {"id": "msg_1", "type": "message", "role": "assistant", "content": content, **fields}


# --- answers as events ------------------------------------------------------------------------

BEGUN: Final = Start("up_1", "gpt-new-2026", 1_700_000_000)
DONE: Final = Finish(FinishReason.STOP, usage=Usage(20, 50, 1000, 200, 40))


def part(opened: Part, *pieces: str, signature: str | None = None) -> list[Event]:
    """Return the events of a part that comes in pieces."""
    deltas = [Delta(piece) for piece in pieces]
    ends = [Delta(signature=signature)] if signature else []
    return [PartStart(opened), *deltas, *ends, PartEnd()]


def answer(*parts: list[Event], finish: Finish = DONE, **fields: Json) -> list[JsonObject]:
    """Return what a client that asked with `fields` gets of the parts."""
    return told([BEGUN, *itertools.chain(*parts), finish], **fields)


def final(payloads: list[JsonObject]) -> JsonObject:
    """Return the response object that a stream ends with."""
    whole = payloads[-1]["response"]
    assert isinstance(whole, dict)
    return whole


def output(payloads: list[JsonObject]) -> list[Json]:
    items = final(payloads)["output"]
    assert isinstance(items, list)
    return items
