"""Gemini's format as Google writes it: whole answers, chunks, both forms of a stream."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tests.fakes.scenarios import Call, Scenario, compact, sign

Chunk = dict[str, Any]

_STOPS = {
    "end": "STOP",
    "length": "MAX_TOKENS",
    "stop_sequence": "STOP",
    "tools": "STOP",
    "refusal": "SAFETY",
}
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}


def is_gemini_3(model: str) -> bool:
    """Say whether the model's calls have ids and must come back signed."""
    found = re.search(r"gemini-(\d+)", model)
    return found is not None and int(found[1]) >= 3


def is_claude(model: str) -> bool:
    """Say whether it is a Claude model behind Code Assist."""
    return model.startswith("claude-")


def generate_json(scenario: Scenario, model: str, *, thoughts: bool) -> Chunk:
    """A whole answer of `:generateContent`. `thoughts`: the request wants to see them."""
    parts = [part for chunk in _parts(scenario, model, thoughts) for part in chunk]
    answer = _chunk(scenario, _joined(parts), finish=_STOPS[scenario.stop])
    return {**answer, "usageMetadata": _usage(scenario), **scenario.extra}


def generate_chunks(scenario: Scenario, model: str, *, thoughts: bool) -> Iterator[Chunk]:
    """The objects of a streamed answer. Usage grows; the last of it counts."""
    early = {
        "promptTokenCount": scenario.prompt_tokens,
        "totalTokenCount": scenario.prompt_tokens,
    }
    for parts in _parts(scenario, model, thoughts):
        yield {**_chunk(scenario, parts), "usageMetadata": early}
    last = _chunk(scenario, [{"text": ""}], finish=_STOPS[scenario.stop])
    yield {**last, "usageMetadata": _usage(scenario)}


def as_events(chunks: Iterable[Chunk]) -> Iterator[bytes]:
    """The stream of `alt=sse`: lines end as Google ends them, nothing marks the end."""
    for chunk in chunks:
        yield f"data: {compact(chunk)}\r\n\r\n".encode()


def as_array(chunks: Iterable[Chunk]) -> Iterator[bytes]:
    """The stream without it: one JSON array."""
    head = "["
    for chunk in chunks:
        yield f"{head}{json.dumps(chunk, ensure_ascii=False, indent=2)}".encode()
        head = "\n,\r\n"
    yield b"]"


def count_json(scenario: Scenario) -> dict[str, Any]:
    """The answer of `:countTokens`."""
    details = [{"modality": "TEXT", "tokenCount": scenario.prompt_tokens}]
    return {"totalTokens": scenario.prompt_tokens, "promptTokensDetails": details}


def models_json(names: Sequence[str]) -> dict[str, Any]:
    """The list of `GET /v1beta/models`."""
    models = [
        {
            "name": f"models/{name}",
            "version": "001",
            "displayName": name,
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        }
        for name in names
    ]
    return {"models": models}


def error(status: int, message: str) -> bytes:
    """An error's body."""
    name = _STATUSES.get(status, "INTERNAL")
    told = {"code": status, "message": message, "status": name}
    return json.dumps({"error": told}, indent=2).encode()


def stream_error(status: int, message: str) -> bytes:
    """The same as the last event of a stream."""
    return b"data: " + compact(json.loads(error(status, message))).encode() + b"\r\n\r\n"


def _parts(scenario: Scenario, model: str, thoughts: bool) -> Iterator[list[dict[str, Any]]]:
    """The parts of one chunk after the other."""
    vendor = "claude-ca" if is_claude(model) else "gemini"
    if thoughts:
        for piece in scenario.thinking:
            yield [{"text": piece, "thought": True}]
        if scenario.thinking and vendor == "claude-ca":
            yield [{"text": "", "thought": True, "thoughtSignature": scenario.signed(vendor)}]
    for piece in scenario.text:
        yield [{"text": piece}]
    signs = vendor == "gemini" and (bool(scenario.thinking) or is_gemini_3(model))
    if scenario.calls:
        # Parallel calls of one step have one signature, on the first.
        calls = [_call(call, model) for call in scenario.calls]
        if signs:
            name = scenario.calls[0].name
            calls[0]["thoughtSignature"] = scenario.signature or sign(vendor, name)
        yield from ([call] for call in calls)
    elif scenario.thinking and signs:
        yield [{"text": "", "thoughtSignature": scenario.signature or sign(vendor, "text")}]


def _call(call: Call, model: str) -> dict[str, Any]:
    named = {"name": call.name, "args": dict(call.arguments)}
    has_id = is_claude(model) or is_gemini_3(model)
    return {"functionCall": {"id": call.id, **named} if has_id else named}


def _joined(parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Whole answers have one part where a stream has several of a kind."""
    joined: list[dict[str, Any]] = []
    for part in parts:
        last = joined[-1] if joined else {}
        kind = (part.get("thought"), "functionCall" in part)
        if "text" in last and kind == (last.get("thought"), False) and not _is_signed(last):
            joined[-1] = {**last, **part, "text": last["text"] + part["text"]}
        else:
            joined.append(part)
    return joined


def _is_signed(part: dict[str, Any]) -> bool:
    return "thoughtSignature" in part


def _chunk(scenario: Scenario, parts: list[dict[str, Any]], finish: str | None = None) -> Chunk:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}}
    if finish is not None:
        candidate["finishReason"] = finish
    named = {"modelVersion": scenario.model, "responseId": "fakeResponse01"}
    return {"candidates": [candidate], **named}


def _usage(scenario: Scenario) -> dict[str, int]:
    """Google leaves out what is zero."""
    visible = scenario.output_tokens - scenario.reasoning_tokens
    counts = {
        "promptTokenCount": scenario.prompt_tokens,
        "cachedContentTokenCount": scenario.cache_read_tokens,
        "candidatesTokenCount": visible,
        "thoughtsTokenCount": scenario.reasoning_tokens,
        "totalTokenCount": scenario.prompt_tokens + scenario.output_tokens,
    }
    return {name: count for name, count in counts.items() if count}
