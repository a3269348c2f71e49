"""Answers as providers of each format send them, and as clients of each format see them.

Nothing here uses the codecs under test: providers' bytes are written out by hand, clients'
bytes are put together the way their documentation says.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.json_types import Json, JsonObject


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call, its arguments in the pieces that a stream brings."""

    id: str
    name: str
    pieces: tuple[str, ...] = ()

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answers; texts in the pieces that a stream brings."""

    text: tuple[str, ...] = ()
    thinking: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    refusal: tuple[str, ...] = ()
    stop: str = "stop"
    stop_sequence: str | None = None
    usage: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class View:
    """What a client makes of an answer."""

    text: str = ""
    thinking: str = ""
    calls: tuple[tuple[str, str, str], ...] = ()
    """id, name and arguments (JSON text, normalised)."""
    refusal: str | None = None
    stop: str | None = None
    stop_sequence: str | None = None
    usage: JsonObject | None = None
    error: JsonObject | None = None
    ended: bool = True


def normal(arguments: str) -> str:
    """Return JSON text in one spelling; text that is no JSON stays."""
    try:
        return json.dumps(json.loads(arguments or "{}"))
    except ValueError:
        return arguments


# --- Messages, as a provider sends it ---------------------------------------------------------


def _messages_blocks(answer: Answer) -> list[tuple[JsonObject, list[JsonObject]]]:
    """Return each block as it opens, with its deltas."""
    blocks: list[tuple[JsonObject, list[JsonObject]]] = []
    if answer.thinking:
        deltas: list[JsonObject] = [
            {"type": "thinking_delta", "thinking": piece} for piece in answer.thinking
        ]
        deltas.append({"type": "signature_delta", "signature": "EqQB"})
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, deltas))
    if answer.text:
        deltas = [{"type": "text_delta", "text": piece} for piece in answer.text]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for call in answer.calls:
        opened: JsonObject = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in call.pieces]
        blocks.append((opened, deltas))
    return blocks


def messages_whole(answer: Answer) -> JsonObject:
    content: list[Json] = []
    if answer.thinking:
        thinking = "".join(answer.thinking)
        content.append({"type": "thinking", "thinking": thinking, "signature": "EqQB"})
    if answer.text:
        content.append({"type": "text", "text": "".join(answer.text)})
    for call in answer.calls:
        given: Json = json.loads(call.arguments or "{}")
        content.append({"type": "tool_use", "id": call.id, "name": call.name, "input": given})
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "upstream-model",
        "content": content,
        "stop_reason": answer.stop,
        "stop_sequence": answer.stop_sequence,
        "usage": answer.usage,
    }


def messages_stream(answer: Answer) -> list[bytes]:
    """Return the frames of a stream."""
    begun = {key: count for key, count in answer.usage.items() if key != "output_tokens"}
    message = messages_whole(Answer())
    message.update({"stop_reason": None, "usage": {**begun, "output_tokens": 1}})
    payloads: list[JsonObject] = [{"type": "message_start", "message": message}]
    for index, (opened, deltas) in enumerate(_messages_blocks(answer)):
        payloads.append({"type": "content_block_start", "index": index, "content_block": opened})
        payloads += [
            {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
        ]
        payloads.append({"type": "content_block_stop", "index": index})
    delta: JsonObject = {"stop_reason": answer.stop, "stop_sequence": answer.stop_sequence}
    counted = {"output_tokens": answer.usage.get("output_tokens", 0)}
    payloads.append({"type": "message_delta", "delta": delta, "usage": {**counted}})
    payloads.append({"type": "message_stop"})
    return [
        f"event: {payload['type']}\ndata: {json.dumps(payload, ensure_ascii=False)}\n\n".encode()
        for payload in payloads
    ]


# --- Chat, as a provider sends it -------------------------------------------------------------


def chat_whole(answer: Answer) -> JsonObject:
    message: JsonObject = {
        "role": "assistant",
        "content": "".join(answer.text) if answer.text or not answer.calls else None,
        "refusal": "".join(answer.refusal) or None,
    }
    if answer.thinking:
        message["reasoning_content"] = "".join(answer.thinking)
    if answer.calls:
        message["tool_calls"] = [_chat_call(call) for call in answer.calls]
    choice: JsonObject = {"index": 0, "message": message, "finish_reason": answer.stop}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": "upstream-model",
        "choices": [choice],
        "usage": answer.usage,
    }


def _chat_call(call: Call) -> JsonObject:
    function: JsonObject = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def chat_stream(answer: Answer) -> list[bytes]:
    """Return the frames of a stream."""
    deltas: list[JsonObject] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in answer.thinking]
    deltas += [{"content": piece} for piece in answer.text]
    deltas += [{"refusal": piece} for piece in answer.refusal]
    for index, call in enumerate(answer.calls):
        opened = _chat_call(Call(call.id, call.name))
        deltas.append({"tool_calls": [{"index": index, **opened}]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
            for piece in call.pieces
        ]
    chunks = [_chunk(delta, None) for delta in deltas]
    chunks.append(_chunk({}, answer.stop))
    if answer.usage:
        chunks.append({**_chunk({}, None), "choices": [], "usage": answer.usage})
    frames = [f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode() for chunk in chunks]
    return [*frames, b"data: [DONE]\n\n"]


def _chunk(delta: JsonObject, finish: str | None) -> JsonObject:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_750_000_000,
        "model": "upstream-model",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


# --- what a Messages client sees --------------------------------------------------------------


def seen_in_message(message: JsonObject) -> View:
    """Read a whole Messages answer as a client does."""
    content, usage = message["content"], message["usage"]
    assert isinstance(content, list)
    assert isinstance(usage, dict)
    assert message["type"] == "message"
    assert message["role"] == "assistant"
    blocks = [block for block in content if isinstance(block, dict)]
    details = message.get("stop_details")
    explanation = details.get("explanation") if isinstance(details, dict) else None
    return View(
        text="".join(str(block["text"]) for block in blocks if block["type"] == "text"),
        thinking="".join(str(block["thinking"]) for block in blocks if block["type"] == "thinking"),
        calls=tuple(
            (str(block["id"]), str(block["name"]), json.dumps(block["input"]))
            for block in blocks
            if block["type"] == "tool_use"
        ),
        refusal=str(explanation) if explanation else None,
        stop=_word(message["stop_reason"]),
        stop_sequence=_word(message["stop_sequence"]),
        usage=usage,
    )


def seen_in_messages_stream(raw: bytes) -> View:
    """Accumulate a Messages stream as Anthropic's client does, and hold it to its grammar."""
    message: JsonObject = {}
    blocks: list[JsonObject] = []
    open_index, inputs, ended = None, "", False
    for frame in raw.decode().split("\n\n")[:-1]:
        name, _, data = frame.partition("\n")
        payload = json.loads(data.removeprefix("data: "))
        assert name == f"event: {payload['type']}"
        assert not ended
        match payload["type"]:
            case "message_start":
                assert not message
                message = payload["message"]
            case "content_block_start":
                assert open_index is None
                assert payload["index"] == len(blocks)
                open_index, inputs = payload["index"], ""
                blocks.append(payload["content_block"])
            case "content_block_delta":
                assert payload["index"] == open_index
                inputs = _extend(blocks[-1], payload["delta"], inputs)
            case "content_block_stop":
                assert payload["index"] == open_index
                open_index = None
                if blocks[-1]["type"] == "tool_use":
                    blocks[-1]["input"] = _parsed(inputs)
            case "message_delta":
                assert open_index is None
                message.update(payload["delta"])
                message["usage"] = {**_object(message["usage"]), **payload["usage"]}
            case "message_stop":
                ended = True
            case "error":
                return View(error=payload["error"], ended=False)
            case kind:
                assert kind == "ping"
    message["content"] = [*blocks]
    assert ended
    return seen_in_message(message)


def _extend(block: JsonObject, delta: dict[str, str], inputs: str) -> str:
    match delta["type"]:
        case "text_delta":
            block["text"] = str(block["text"]) + delta["text"]
        case "thinking_delta":
            block["thinking"] = str(block["thinking"]) + delta["thinking"]
        case "signature_delta":
            assert not block["signature"]
            block["signature"] = delta["signature"]
        case kind:
            assert kind == "input_json_delta"
            inputs += delta["partial_json"]
    return inputs


def _parsed(inputs: str) -> Json:
    try:
        given: Json = json.loads(inputs or "{}")
    except ValueError:
        return {"cut": inputs}
    return given


# --- what a Chat client sees ------------------------------------------------------------------


def seen_in_completion(completion: JsonObject) -> View:
    """Read a whole Chat answer as a client does."""
    assert completion["object"] == "chat.completion"
    choices, usage = completion["choices"], completion.get("usage")
    assert isinstance(choices, list)
    choice = choices[0]
    assert isinstance(choice, dict)
    message = choice["message"]
    assert isinstance(message, dict)
    assert usage is None or isinstance(usage, dict)
    return View(
        text=_word(message["content"]) or "",
        thinking=_word(message.get("reasoning_content")) or "",
        calls=_seen_calls(message.get("tool_calls")),
        refusal=_word(message["refusal"]),
        stop=_word(choice["finish_reason"]),
        usage=usage,
    )


def seen_in_chat_stream(raw: bytes) -> View:
    """Accumulate a Chat stream as OpenAI's client does: strings are concatenated."""
    message: JsonObject = {"content": "", "refusal": None}
    calls: list[JsonObject] = []
    stop: Json = None
    usage: JsonObject | None = None
    heads: set[tuple[str, ...]] = set()
    frames = raw.decode().split("\n\n")[:-1]
    for frame in frames:
        data = frame.removeprefix("data: ")
        if data == "[DONE]":
            assert frame is frames[-1]
            break
        chunk = json.loads(data)
        if chunk.get("error"):
            assert frame is frames[-1]
            return View(error=chunk["error"], ended=False)
        heads.add((chunk["id"], chunk["model"], str(chunk["created"]), chunk["object"]))
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            _concatenate(message, calls, choice["delta"])
            stop = choice["finish_reason"] or stop
    else:
        raise AssertionError("no [DONE]")
    assert len(heads) == 1
    return View(
        text=str(message["content"]),
        thinking=str(message.get("reasoning_content", "")),
        calls=_seen_calls([*calls]),
        refusal=_word(message["refusal"]),
        stop=_word(stop),
        usage=usage,
    )


def _concatenate(message: JsonObject, calls: list[JsonObject], delta: JsonObject) -> None:
    for key, value in delta.items():
        if key == "tool_calls":
            assert isinstance(value, list)
            for entry in value:
                assert isinstance(entry, dict)
                _concatenate_call(calls, entry)
        elif isinstance(value, str) and key != "role":
            message[key] = (_word(message.get(key)) or "") + value


def _concatenate_call(calls: list[JsonObject], entry: JsonObject) -> None:
    assert entry["index"] in (len(calls), len(calls) - 1)
    if entry["index"] == len(calls):
        calls.append({"id": "", "function": {"name": "", "arguments": ""}})
    known, more = calls[-1]["function"], entry["function"]
    assert isinstance(known, dict)
    assert isinstance(more, dict)
    calls[-1]["id"] = str(calls[-1]["id"]) + str(entry.get("id", ""))
    for key in ("name", "arguments"):
        known[key] = str(known[key]) + str(more.get(key, ""))


def _seen_calls(calls: Json) -> tuple[tuple[str, str, str], ...]:
    found = []
    for call in calls if isinstance(calls, Sequence) and not isinstance(calls, str) else ():
        assert isinstance(call, dict)
        function = call["function"]
        assert isinstance(function, dict)
        arguments = str(function["arguments"])
        found.append((str(call["id"]), str(function["name"]), normal(arguments)))
    return tuple(found)


def _object(value: Json) -> JsonObject:
    assert isinstance(value, dict)
    return value


def _word(value: Json) -> str | None:
    return value if isinstance(value, str) else None
