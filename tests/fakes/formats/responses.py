"""OpenAI's Responses as a provider writes it: whole answers, the full sequence of events."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.fakes.formats import chat
from tests.fakes.scenarios import Call, Scenario, compact, sign

Event = dict[str, Any]

_INCOMPLETE = {"length": "max_output_tokens", "refusal": "content_filter"}


def response_json(scenario: Scenario, payload: Mapping[str, Any]) -> dict[str, Any]:
    """A whole answer of `POST /responses`."""
    return {**_response(scenario, payload, _status(scenario), _items(scenario, payload))} | dict(
        scenario.extra
    )


def response_stream(scenario: Scenario, payload: Mapping[str, Any]) -> Iterator[bytes]:
    """The events of a streamed answer, numbered from 0."""
    for number, event in enumerate(_events(scenario, payload)):
        numbered = {"type": event["type"], "sequence_number": number, **event}
        yield f"event: {event['type']}\ndata: {compact(numbered)}\n\n".encode()


def count_json(scenario: Scenario) -> dict[str, Any]:
    """The answer of `POST /responses/input_tokens`."""
    return {"object": "response.input_tokens", "input_tokens": scenario.prompt_tokens}


def stream_error(status: int, message: str) -> bytes:
    """An error as the last event of a stream."""
    codes = {429: "rate_limit_exceeded", 503: "server_is_overloaded", 529: "server_is_overloaded"}
    told = {
        "type": "error",
        "sequence_number": 0,
        "code": codes.get(status, "server_error"),
        "message": message,
        "param": None,
    }
    return f"event: error\ndata: {compact(told)}\n\n".encode()


error = chat.error


def encrypted_for(key: str) -> str:
    """Return reasoning as the key's organisation reads it; keys name theirs behind an @."""
    return sign("openai", "reasoning" + key.partition("@")[2])


def _response(
    scenario: Scenario, payload: Mapping[str, Any], status: str, items: list[dict[str, Any]]
) -> dict[str, Any]:
    is_over = status != "in_progress"
    reason = _INCOMPLETE.get(scenario.stop) if is_over else None
    return {
        "id": "resp_fake01",
        "object": "response",
        "created_at": 1_760_000_000,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": payload.get("instructions"),
        "max_output_tokens": payload.get("max_output_tokens"),
        "metadata": payload.get("metadata") or {},
        "model": scenario.model,
        "output": items,
        "parallel_tool_calls": payload.get("parallel_tool_calls", True),
        "previous_response_id": payload.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None, **(payload.get("reasoning") or {})},
        "store": payload.get("store", True),
        "temperature": payload.get("temperature", 1.0),
        "text": payload.get("text") or {"format": {"type": "text"}},
        "tool_choice": payload.get("tool_choice", "auto"),
        "tools": payload.get("tools") or [],
        "top_p": payload.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": _usage(scenario) if is_over else None,
        "user": None,
    }


def _status(scenario: Scenario) -> str:
    return "incomplete" if scenario.stop in _INCOMPLETE else "completed"


def _usage(scenario: Scenario) -> dict[str, Any]:
    return {
        "input_tokens": scenario.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": scenario.cache_read_tokens,
            "cache_write_tokens": scenario.cache_write_tokens,
        },
        "output_tokens": scenario.output_tokens,
        "output_tokens_details": {"reasoning_tokens": scenario.reasoning_tokens},
        "total_tokens": scenario.prompt_tokens + scenario.output_tokens,
    }


# --- items --------------------------------------------------------------------------------------


def _items(scenario: Scenario, payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The finished output."""
    items: list[dict[str, Any]] = []
    if scenario.thinking:
        items.append(_reasoning(scenario, payload))
    if scenario.text or scenario.refusal:
        items.append(_message(scenario))
    tools = dict(_tools(payload))
    return items + [_call(call, tools.get(call.name, {})) for call in scenario.calls]


def _reasoning(scenario: Scenario, payload: Mapping[str, Any]) -> dict[str, Any]:
    # The summary comes only when it was asked for, and so does the encrypted text.
    summary = [{"type": "summary_text", "text": scenario.whole_thinking}]
    item: dict[str, Any] = {
        "id": "rs_fake01",
        "type": "reasoning",
        "summary": summary if shows_summary(payload) else [],
    }
    if "reasoning.encrypted_content" in (payload.get("include") or ()):
        item["encrypted_content"] = scenario.signature or encrypted_for("")
    return item


def shows_summary(payload: Mapping[str, Any]) -> bool:
    return (payload.get("reasoning") or {}).get("summary") is not None


def _message(scenario: Scenario) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if scenario.text:
        content.append(_text_part(scenario.whole_text))
    if scenario.refusal:
        content.append({"type": "refusal", "refusal": "".join(scenario.refusal)})
    status = "incomplete" if scenario.stop == "length" else "completed"
    return {
        "id": "msg_fake01",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _tools(payload: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return every tool by its name, with the `namespace` it is in, if any."""
    given = payload.get("input")
    items = [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []
    for holder in (payload, *items):
        for tool in holder.get("tools") or ():
            if tool["type"] == "namespace":
                place = {"namespace": tool["name"]}
                yield from ((inner["name"], {**inner, **place}) for inner in tool["tools"])
            elif "name" in tool:
                yield tool["name"], tool


def _call(call: Call, tool: Mapping[str, Any]) -> dict[str, Any]:
    head = {"status": "completed", "call_id": call.id, "name": call.name}
    if "namespace" in tool:
        head["namespace"] = tool["namespace"]
    if tool.get("type") == "custom":
        text = call.arguments["input"]
        return {"id": f"ctc_{call.id}", "type": "custom_tool_call", **head, "input": text}
    arguments = compact(dict(call.arguments))
    return {"id": f"fc_{call.id}", "type": "function_call", **head, "arguments": arguments}


# --- events -------------------------------------------------------------------------------------


def _events(scenario: Scenario, payload: Mapping[str, Any]) -> Iterator[Event]:
    started = _response(scenario, payload, "in_progress", [])
    yield {"type": "response.created", "response": started}
    yield {"type": "response.in_progress", "response": started}
    items = _items(scenario, payload)
    for index, item in enumerate(items):
        match item["type"]:
            case "reasoning":
                inside = _reasoning_events(scenario, item)
                opened = {**item, "summary": []}
            case "message":
                inside = _message_events(scenario, item)
                opened = {**item, "status": "in_progress", "content": []}
            case "custom_tool_call":
                inside = _argument_events(item, "input", "response.custom_tool_call_input")
                opened = {**item, "status": "in_progress", "input": ""}
            case _:
                inside = _argument_events(item, "arguments", "response.function_call_arguments")
                opened = {**item, "status": "in_progress", "arguments": ""}
        yield {"type": "response.output_item.added", "output_index": index, "item": opened}
        for event in inside:
            yield {**event, "output_index": index, "item_id": item["id"]}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    status = _status(scenario)
    final = _response(scenario, payload, status, items)
    yield {"type": f"response.{status}", "response": final}


def _reasoning_events(scenario: Scenario, item: dict[str, Any]) -> Iterator[Event]:
    if not item["summary"]:
        return
    place = {"summary_index": 0}
    part, empty = item["summary"][0], {"type": "summary_text", "text": ""}
    yield {"type": "response.reasoning_summary_part.added", **place, "part": empty}
    for piece in scenario.thinking:
        yield {"type": "response.reasoning_summary_text.delta", **place, "delta": piece}
    yield {"type": "response.reasoning_summary_text.done", **place, "text": part["text"]}
    yield {"type": "response.reasoning_summary_part.done", **place, "part": part}


def _message_events(scenario: Scenario, item: dict[str, Any]) -> Iterator[Event]:
    for index, part in enumerate(item["content"]):
        place: Event = {"content_index": index}
        more: Event = {}
        if part["type"] == "refusal":
            deltas, name, field = scenario.refusal, "response.refusal", "refusal"
        else:
            deltas, name, field = scenario.text, "response.output_text", "text"
            more["logprobs"] = []
        empty = {**part, field: ""}
        yield {"type": "response.content_part.added", **place, "part": empty}
        for piece in deltas:
            yield {"type": f"{name}.delta", **place, "delta": piece, **more}
        yield {"type": f"{name}.done", **place, field: part[field], **more}
        yield {"type": "response.content_part.done", **place, "part": part}


def _argument_events(item: dict[str, Any], field: str, name: str) -> Iterator[Event]:
    text = item[field]
    for piece in (text[: len(text) // 2], text[len(text) // 2 :]):
        yield {"type": f"{name}.delta", "delta": piece}
    yield {"type": f"{name}.done", field: text, "name": item["name"]}
