"""What becomes of an answer on its way to a client, found by telling it there and reading it."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from dialects.base import Dialect, ReplyContext
from dialects.fields import dumps
from dialects.signatures import PREFIX
from models.chat import ChatResponse, FinishReason
from models.content import Inline, Media, Part, Reasoning, Refusal, Text, ToolCall
from models.json_types import Json, JsonObject
from models.usage import Usage
from tests.losses.feature import BASE, MARK, MARK_BASE64

VENDOR: Final[Mapping[str, str]] = {
    "messages": "anthropic",
    "chat": "glm",
    "responses": "openai",
    "gemini": "gemini",
}
"""Whose signatures a provider of this format makes."""

_CURIOUS: Final[Mapping[str, JsonObject]] = {
    "messages": {"thinking": {"type": "adaptive", "display": "summarized"}},
    "chat": {"stream": True, "stream_options": {"include_usage": True}},
    "responses": {
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    },
    "gemini": {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
}


_USED: Final = Usage(20, 10)


@dataclass(frozen=True, slots=True)
class Told:
    """Something that an answer may hold."""

    name: str
    parts: Callable[[str], tuple[Part, ...]]
    """Makes the parts of an answer from the vendor's name."""
    seen: Callable[[ChatResponse], object]
    """Finds it in an answer; something empty when it is not there."""
    usage: Usage = _USED


def _plain(_: str) -> tuple[Part, ...]:
    return (Text("Ok"),)


def _calls(answer: ChatResponse) -> list[ToolCall]:
    return [part for part in answer.parts if isinstance(part, ToolCall)]


def _thoughts(answer: ChatResponse) -> list[Reasoning]:
    return [part for part in answer.parts if isinstance(part, Reasoning)]


_CITATION: Final[JsonObject] = {
    "type": "web_search_result_location",
    "url": f"https://x.test/{MARK}",
    "title": "t",
    "cited_text": "Ok",
    "encrypted_index": "e",
}

TOLD: Final = (
    Told(
        "text",
        lambda _: (Text(MARK),),
        lambda answer: "".join(part.text for part in answer.parts if isinstance(part, Text)),
    ),
    Told(
        "thoughts",
        lambda vendor: (Reasoning(MARK, origin=vendor), Text("Ok")),
        lambda answer: "".join(thought.text for thought in _thoughts(answer)),
    ),
    Told(
        "signatures of thoughts",
        lambda vendor: (Reasoning("hm", MARK_BASE64, vendor), Text("Ok")),
        lambda answer: [one.signature for one in _thoughts(answer) if one.signature],
    ),
    Told(
        "hidden thoughts",
        lambda vendor: (
            (Reasoning("", origin=vendor, redacted=MARK_BASE64), Text("Ok"))
            if vendor == "anthropic"
            else ()
        ),
        lambda answer: [one.redacted for one in _thoughts(answer) if one.redacted],
    ),
    Told(
        "tool calls",
        lambda _: (ToolCall("call_1", "wx", '{"city":"Roma"}'), ToolCall("call_2", "wx", "{}")),
        lambda answer: [(call.name, json.loads(call.arguments or "{}")) for call in _calls(answer)],
    ),
    Told(
        "signatures of calls",
        lambda vendor: (
            (ToolCall("call_1", "wx", "{}", None, MARK_BASE64, vendor),)
            if vendor == "gemini"
            else ()
        ),
        lambda answer: [call.signature for call in _calls(answer) if call.signature],
    ),
    Told(
        "a refusal",
        lambda _: (Refusal(MARK),),
        lambda answer: "".join(part.text for part in answer.parts if isinstance(part, Refusal)),
    ),
    Told(
        "citations of web pages",
        lambda _: (Text("Ok", citations=(_CITATION,)),),
        lambda answer: [
            citation.get("url")
            for part in answer.parts
            if isinstance(part, Text)
            for citation in part.citations
        ],
    ),
    Told(
        "images",
        lambda _: (Media("image", Inline("image/png", MARK_BASE64)),),
        lambda answer: [part.source for part in answer.parts if isinstance(part, Media)],
    ),
    Told(
        "tokens in and out",
        _plain,
        lambda answer: (answer.usage.input_tokens, answer.usage.output_tokens),
    ),
    Told(
        "tokens read from a cache",
        _plain,
        lambda answer: answer.usage.cache_read_tokens,
        Usage(20, 10, cache_read_tokens=5),
    ),
    Told(
        "tokens written to a cache",
        _plain,
        lambda answer: answer.usage.cache_write_tokens,
        Usage(20, 10, cache_write_tokens=5),
    ),
    Told(
        "tokens of thoughts",
        _plain,
        lambda answer: answer.usage.reasoning_tokens,
        Usage(20, 10, reasoning_tokens=5),
    ),
)


def context(dialect: Dialect) -> ReplyContext:
    """Return what an encoder must know; the client asked to see thoughts."""
    body = {**BASE[dialect.name], **_CURIOUS[dialect.name]}
    return ReplyContext(dialect.decode_request(body), "r" * 32, 1_750_000_000)


def answer(told: Told, provider: Dialect) -> ChatResponse | None:
    """Return an answer as the provider tells it; None where its format has no room for it."""
    parts = told.parts(VENDOR[provider.name])
    finish = FinishReason.TOOL_CALLS if _has_call(parts) else FinishReason.STOP
    whole = ChatResponse("answer_1", "m", 1_750_000_000, parts, finish, None, told.usage)
    heard = provider.decode_response(provider.encode_response(whole, context(provider)))
    return heard if told.seen(whole) and told.seen(heard) == told.seen(whole) else None


def fate(told: Told, heard: ChatResponse, client: Dialect) -> str:
    """Say what a client sees of what a provider told."""
    written = client.encode_response(heard, context(client))
    read = client.decode_response(written)
    if told.seen(read) == told.seen(heard):
        return "carried"
    if any(_is_marked(part.text) for part in read.parts if isinstance(part, Text)):
        return "as text"
    # A field that only clients read.
    return "carried" if _is_marked(dumps(written).decode()) else "left out"


def _has_call(parts: tuple[Part, ...]) -> bool:
    return any(isinstance(part, ToolCall) for part in parts)


_TAGS: Final = (PREFIX, base64.b64encode(PREFIX.encode())[:-1].rstrip(b"=").decode())
"""How a signature of another vendor begins, and how it does where it is base64 once more."""


def _is_marked(text: str) -> bool:
    return any(mark in text for mark in (MARK, MARK_BASE64, *_TAGS))


# --- why an answer ends -----------------------------------------------------------------------


def finish_word(reason: FinishReason, client: Dialect) -> str:
    """Return the word that a client of this format reads."""
    call = ToolCall("call_1", "wx", "{}")
    parts: tuple[Part, ...] = (call,) if reason is FinishReason.TOOL_CALLS else (Text("Ok"),)
    sequence = "END" if reason is FinishReason.STOP_SEQUENCE else None
    whole = ChatResponse("answer_1", "m", 1_750_000_000, parts, reason, sequence, _USED)
    return _WORDS[client.name](client.encode_response(whole, context(client)))


def _first(payload: JsonObject, key: str) -> JsonObject:
    entries = payload[key]
    assert isinstance(entries, list)
    assert isinstance(entries[0], dict)
    return entries[0]


def _responses_word(payload: JsonObject) -> str:
    details: Json = payload.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return f"{payload['status']}, {reason}" if reason else str(payload["status"])


_WORDS: Final[Mapping[str, Callable[[JsonObject], str]]] = {
    "messages": lambda payload: str(payload["stop_reason"]),
    "chat": lambda payload: str(_first(payload, "choices")["finish_reason"]),
    "responses": _responses_word,
    "gemini": lambda payload: str(_first(payload, "candidates")["finishReason"]),
}
