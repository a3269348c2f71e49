"""`openai`: Responses."""

import json
from collections.abc import Mapping
from typing import Any

import openai

from tests.e2e.harness import Rig
from tests.e2e.sdks.asking import SCHEMA, Ask, Got, StreamFailed
from tests.e2e.sdks.openai_chat import ERRORS, openai_client


class OpenAIResponses:
    """Responses, with nothing kept between the calls."""

    finishes: Mapping[str, str] = {
        "end": "completed",
        "stop_sequence": "completed",
        "length": "incomplete max_output_tokens",
        "tools": "completed",
        "refusal": "incomplete content_filter",
    }
    errors = ERRORS
    stream_errors: tuple[type[Exception], ...] = (StreamFailed, openai.APIError)

    async def ask(self, rig: Rig, model: str, ask: Ask, *, stream: bool) -> Got:
        async with openai_client(rig) as client:
            create: Any = client.responses.create
            if not stream:
                return _got(await create(model=model, **_params(ask)))
            events = await create(model=model, stream=True, **_params(ask))
            return _streamed([event async for event in events])

    async def count(self, rig: Rig, model: str, ask: Ask) -> int:
        async with openai_client(rig) as client:
            counted: Any = client.responses.input_tokens.count
            params = {name: _params(ask).get(name) for name in ("input", "instructions", "tools")}
            given = {name: value for name, value in params.items() if value is not None}
            found: int = (await counted(model=model, **given)).input_tokens
            return found

    async def models(self, rig: Rig) -> set[str]:
        async with openai_client(rig) as client:
            return {model.id async for model in client.models.list()}


def _params(ask: Ask) -> dict[str, Any]:
    params: dict[str, Any] = {"input": _input(ask), "store": False}
    if ask.system is not None:
        params["instructions"] = ask.system
    if ask.tools:
        params["tools"] = [
            {"type": "function", "name": name, "parameters": SCHEMA, "strict": False}
            for name in ask.tools
        ]
    if ask.must_call:
        params["tool_choice"] = "required"
    if ask.schema:
        form = {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}
        params["text"] = {"format": form}
    if ask.thinks:
        params["reasoning"] = {"effort": "medium", "summary": "auto"}
        params["include"] = ["reasoning.encrypted_content"]
    if ask.max_tokens is not None:
        params["max_output_tokens"] = ask.max_tokens
    return params


def _input(ask: Ask) -> list[Any]:
    content: list[Any] = [{"type": "input_text", "text": ask.text}]
    if ask.image is not None:
        url = f"data:image/png;base64,{ask.image}"
        content.append({"type": "input_image", "image_url": url})
    items: list[Any] = [{"role": "user", "content": content}]
    if ask.after is not None:
        items += ask.after.turn
        for index, (call_id, _, _) in enumerate(ask.after.calls):
            result = ask.results[str(index)]
            items.append({"type": "function_call_output", "call_id": call_id, "output": result})
    if ask.then is not None:
        items.append({"role": "user", "content": ask.then})
    return items


def _streamed(events: list[Any]) -> Got:
    """Read the last event; the others must add up to it."""
    last = events[-1]
    if last.type in ("error", "response.failed"):
        raise StreamFailed(last.to_json())
    assert last.type in ("response.completed", "response.incomplete"), last
    assert [event.sequence_number for event in events] == list(range(len(events)))
    got = _got(last.response)
    assert _sum(events, "response.output_text.delta") == got.text
    assert _sum(events, "response.reasoning_summary_text.delta") == got.thinking
    added = [event.item.id for event in events if event.type == "response.output_item.added"]
    assert added == [item.id for item in last.response.output]
    return got


def _sum(events: list[Any], name: str) -> str:
    return "".join(event.delta for event in events if event.type == name)


def _got(answer: Any) -> Got:  # noqa: ANN401 - SDK types read loosely
    calls, thinking, refusal = [], "", ""
    for item in answer.output:
        if item.type == "function_call":
            calls.append((item.call_id, item.name, json.loads(item.arguments)))
        elif item.type == "reasoning":
            thinking += "".join(part.text for part in item.summary)
        else:
            refusal += "".join(p.refusal for p in item.content if p.type == "refusal")
    details, usage = answer.incomplete_details, answer.usage
    reason = f" {details.reason}" if details is not None else ""
    # What is not stored cannot be found by its id, so items go back without them; reasoning that
    # was not asked for in its encrypted form is nothing but its id.
    items = [item.model_dump(exclude_none=True, exclude={"id"}) for item in answer.output]
    turn = [item for item in items if item["type"] != "reasoning" or "encrypted_content" in item]
    return Got(
        text=answer.output_text,
        thinking=thinking,
        refusal=refusal,
        calls=tuple(calls),
        finish=answer.status + reason,
        prompt=usage.input_tokens,
        cached=usage.input_tokens_details.cached_tokens,
        output=usage.output_tokens,
        turn=turn,
    )
