"""Whole answers of the Chat format, both directions."""

from collections.abc import Iterable

from dialects.base import ReplyContext
from dialects.citations import annotations
from dialects.custom_tools import custom_names
from dialects.fields import dumps, mended
from dialects.media_text import media_text
from dialects.openai_chat.calls import answered_call, called
from dialects.openai_chat.errors import network_error, stream_failure
from dialects.openai_chat.finish import NETWORK_ERROR, read_finish, write_finish
from dialects.openai_chat.runs import Runs, first_answer, read_start
from dialects.openai_chat.tool_deltas import Call
from dialects.openai_chat.usage import encode_usage, read_usage
from models.chat import ChatRequest, ChatResponse
from models.content import Media, Part, Reasoning, Refusal, Text, ToolCall
from models.errors import BadRequest, UpstreamError
from models.events import Start
from models.json_types import Json, JsonObject


def read_response(payload: JsonObject) -> ChatResponse:
    """Read a provider's answer. Raises UpstreamError for garbage or an error in it."""
    _check(payload)
    runs = Runs()
    for choice in first_answer(payload):
        if choice.get("finish_reason") == NETWORK_ERROR:
            raise network_error()
        runs.add(choice)
    start = read_start(payload)
    parts = _parts(runs, start)
    return ChatResponse(
        start.id,
        start.model,
        start.created,
        parts,
        read_finish(runs.finish, [*map(type, parts)]),
        usage=read_usage(payload),
    )


def _check(payload: JsonObject) -> None:
    """Raise the error that stands in place of an answer, or beside one."""
    choices = payload.get("choices")
    is_answer = isinstance(choices, list) and dict in map(type, choices)
    if is_answer and payload.get("error") is None:
        return
    data = _bytes(payload)
    if (failure := stream_failure(payload, data)) is not None:
        raise failure
    if not is_answer:
        raise UpstreamError("the provider's answer has no choices", upstream_body=data)


def _parts(runs: Runs, start: Start) -> tuple[Part, ...]:
    parts: list[Part] = []
    for run in runs.queue:
        if isinstance(run, Call):
            parts.append(runs.calls.made(run, len(parts), start, mended(run.take())))
        elif run.kind is Text:
            parts.append(Text(mended("".join(run.waiting)), None, tuple(run.cited)))
        else:
            parts.append(run.kind(mended("".join(run.waiting))))
    return tuple(parts)


def write_response(response: ChatResponse, context: ReplyContext) -> JsonObject:
    """Write an answer for a client."""
    message = _message(response, context.request)
    finish = write_finish(
        response.finish,
        is_legacy=context.request.legacy_functions,
        has_calls=any(isinstance(part, ToolCall) for part in response.parts),
        has_refusal=message["refusal"] is not None,
    )
    written: JsonObject = {
        "id": f"chatcmpl-{context.reply_id}",
        "object": "chat.completion",
        "created": response.created or context.created,
        "model": response.model or context.request.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
    }
    if response.usage.is_reported:
        written["usage"] = encode_usage(response.usage)
    return written


def _message(response: ChatResponse, request: ChatRequest) -> JsonObject:
    texts = [_text(part) for part in response.parts if isinstance(part, Text | Media)]
    refusal = "".join(part.text for part in response.parts if isinstance(part, Refusal)) or None
    thoughts = [part.text for part in response.parts if isinstance(part, Reasoning)]
    calls = [part for part in response.parts if isinstance(part, ToolCall)]
    content = "".join(texts)
    message: JsonObject = {
        "role": "assistant",
        "content": None if not content and (calls or refusal) else content,
        "refusal": refusal,
    }
    if "".join(thoughts):
        message["reasoning_content"] = "".join(thoughts)
    cited = _annotations(response)
    if cited:
        message["annotations"] = cited
    if calls and request.legacy_functions:
        message["function_call"] = called(calls[0])
    elif calls:
        customs = custom_names(request.tools)
        message["tool_calls"] = [answered_call(call, customs) for call in calls]
    return message


def _text(part: Text | Media) -> str:
    return part.text if isinstance(part, Text) else media_text(part)


def _annotations(response: ChatResponse) -> list[Json]:
    found: list[Json] = []
    at = 0
    for part in response.parts:
        if isinstance(part, Text | Media):
            end = at + len(_text(part))
            found += nested_annotations(part.citations, at, end) if isinstance(part, Text) else []
            at = end
    return found


def nested_annotations(citations: Iterable[JsonObject], start: int, end: int) -> list[Json]:
    """Return citations of web pages as this format has them; their text stands at `start:end`."""
    return [
        {"type": kind, "url_citation": page}
        for note in annotations(citations, start, end)
        for kind, page in ((note["type"], {key: note[key] for key in note if key != "type"}),)
    ]


def _bytes(payload: JsonObject) -> bytes:
    try:
        return dumps(payload)
    except BadRequest:
        return mended(str(payload.get("error"))[:2000]).encode()
