"""Builders for the tests of the Gemini format, and Google's SDK as the judge of what is written."""

from collections.abc import Iterable

import orjson
from google.genai import types

from dialects.base import Encoded, ReplyContext
from dialects.gemini import GEMINI
from models.chat import ChatRequest, Thinking
from models.content import Message, Part, Text
from models.events import Event, check
from models.json_types import Json, JsonObject
from models.profile import Profile

NEW = Profile(
    "gemini-3-pro",
    vendor="gemini",
    thinking="level",
    efforts=("low", "medium", "high"),
    can_disable_thinking=False,
    signed_calls=True,
    max_output_tokens=65_536,
)
MIDDLE = Profile(
    "gemini-2.5-flash",
    vendor="gemini",
    thinking="budget",
    thinking_budgets=(1, 24_576),
    media_in_results=False,
    output_with_tools=False,
)
OLD = Profile("gemini-2.0", vendor="gemini", reasoning=False, tool_schema="openapi")
CLAUDE = Profile(
    "claude-x-thinking",
    vendor="claude-ca",
    thinking="budget",
    thinking_budgets=(1024, 32_000),
    signed_thoughts=True,
    tool_schema="claude",
    validated_tools=True,
    structured_output=False,
    rare_sampling=False,
)


def request(**fields: Json) -> JsonObject:
    """Return a request with the given fields over the smallest one."""
    return {"contents": [content("user", {"text": "Hi"})], **fields}


def content(role: str, *parts: JsonObject) -> JsonObject:
    return {"role": role, "parts": [*parts]}


def read(**fields: Json) -> ChatRequest:
    return GEMINI.decode_request(request(**fields))


def read_parts(*parts: JsonObject, role: str = "model") -> tuple[Part, ...]:
    """Return the parts of one content after a user's."""
    told = read(contents=[content("user", {"text": "Hi"}), content(role, *parts)])
    return told.messages[1].parts


def asked(*messages: Message, **fields: object) -> ChatRequest:
    """Return a neutral request."""
    told = messages or (Message("user", (Text("Hi"),)),)
    return ChatRequest("m", False, told, **fields)  # type: ignore[arg-type]  # fields by name


def write(wanted: ChatRequest, profile: Profile = NEW) -> Encoded:
    """Write a request and hold it to the types of Google's SDK."""
    encoded = GEMINI.encode_request(wanted, profile)
    fits_google(encoded.payload)
    return encoded


def written(wanted: ChatRequest, profile: Profile = NEW) -> JsonObject:
    return write(wanted, profile).payload


def fits_google(payload: JsonObject) -> None:
    """Hold a request to Google's types: every value fits, every key is known."""
    assert payload.keys() <= {
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
        "serviceTier",
        "safetySettings",
        "cachedContent",
    }
    for told in entries(payload, "contents"):
        types.Content.model_validate(told)
        assert told["parts"]
    if "systemInstruction" in payload:
        types.Content.model_validate(payload["systemInstruction"])
    for tool in entries(payload, "tools"):
        types.Tool.model_validate(tool)
    if "toolConfig" in payload:
        types.ToolConfig.model_validate(payload["toolConfig"])
    if "generationConfig" in payload:
        types.GenerationConfig.model_validate(payload["generationConfig"])


def entries(payload: JsonObject, key: str) -> list[JsonObject]:
    """Return a list of objects, empty where there is none."""
    value = payload.get(key, [])
    assert isinstance(value, list)
    found = []
    for one in value:
        assert isinstance(one, dict)
        found.append(one)
    return found


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


# --- answers ----------------------------------------------------------------------------------


def context(*, shown: bool | None = True) -> ReplyContext:
    return ReplyContext(asked(thinking=Thinking(shown=shown)), "r" * 30, 1_700_000_000)


def answer(*parts: JsonObject, **fields: Json) -> JsonObject:
    """Return a chunk, or with a `finishReason` a whole answer."""
    finish: JsonObject = {
        key: fields.pop(key) for key in ("finishReason", "finishMessage") if key in fields
    }
    candidate: JsonObject = {"content": content("model", *parts), **finish, "index": 0}
    return {"candidates": [candidate], "modelVersion": "gm", "responseId": "r1", **fields}


def usage(**counts: int) -> JsonObject:
    return {"usageMetadata": {**counts}}


def stream(*payloads: Json) -> bytes:
    """Return payloads as the stream that Google sends."""
    return b"".join(b"data: %b\r\n\r\n" % orjson.dumps(payload) for payload in payloads)


def decode(chunks: Iterable[bytes], profile: Profile = NEW) -> list[Event]:
    """Return the events of a stream, their grammar checked."""
    decoder = GEMINI.decoder(profile)
    events: list[Event] = []
    for chunk in chunks:
        events.extend(decoder.feed(chunk))
    events.extend(decoder.end())
    return check(events)


def encode(events: Iterable[Event], reply: ReplyContext) -> bytes:
    encoder = GEMINI.encoder(reply)
    return b"".join([encoder.encode(event) for event in events])


def frames(data: bytes) -> list[JsonObject]:
    """Read a stream the way Google's SDK does: by lines, each with `data: ` in front."""
    found = []
    for line in data.decode().splitlines():
        if line:
            assert line.startswith("data: ")
            found.append(orjson.loads(line.removeprefix("data: ")))
    return found


def shown_parts(payloads: Iterable[JsonObject]) -> list[JsonObject]:
    """Return all parts of a stream's chunks, each chunk held to Google's type."""
    found: list[JsonObject] = []
    for payload in payloads:
        types.GenerateContentResponse.model_validate(payload)
        parts = dig(payload, "candidates", 0, "content").get("parts", [])  # type: ignore[union-attr]  # an object, just validated
        assert isinstance(parts, list)
        found += [part for part in parts if isinstance(part, dict)]
    return found
