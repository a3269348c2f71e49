"""What OpenAI's host serves besides Chat and Responses: embeddings and legacy completions."""

from collections.abc import Iterator
from typing import Any

from tests.fakes.scenarios import Scenario, compact

_STOPS = {"length": "length", "refusal": "content_filter"}


def embeddings_json(scenario: Scenario, payload: dict[str, Any]) -> dict[str, Any]:
    """The answer of `POST /embeddings`: one short vector for each input."""
    given = payload["input"]
    count = len(given) if isinstance(given, list) and isinstance(given[0], str | list) else 1
    data = [
        {"object": "embedding", "index": index, "embedding": [0.25, -0.5, float(index)]}
        for index in range(count)
    ]
    usage = {"prompt_tokens": scenario.prompt_tokens, "total_tokens": scenario.prompt_tokens}
    return {"object": "list", "data": data, "model": scenario.model, "usage": usage}


def completion_json(scenario: Scenario) -> dict[str, Any]:
    """The answer of `POST /completions`."""
    finish = _STOPS.get(scenario.stop, "stop")
    return {**_completion(scenario, scenario.whole_text, finish), "usage": _usage(scenario)}


def completion_stream(scenario: Scenario, *, include_usage: bool) -> Iterator[bytes]:
    """The chunks of the same."""
    for piece in scenario.text:
        yield f"data: {compact(_completion(scenario, piece, None))}\n\n".encode()
    finish = _STOPS.get(scenario.stop, "stop")
    yield f"data: {compact(_completion(scenario, '', finish))}\n\n".encode()
    if include_usage:
        last = {**_completion(scenario, "", None), "choices": [], "usage": _usage(scenario)}
        yield f"data: {compact(last)}\n\n".encode()
    yield b"data: [DONE]\n\n"


def _completion(scenario: Scenario, text: str, finish: str | None) -> dict[str, Any]:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
    return {
        "id": "cmpl-fake01",
        "object": "text_completion",
        "created": 1_760_000_000,
        "model": scenario.model,
        "choices": [choice],
    }


def _usage(scenario: Scenario) -> dict[str, int]:
    return {
        "prompt_tokens": scenario.prompt_tokens,
        "completion_tokens": scenario.output_tokens,
        "total_tokens": scenario.prompt_tokens + scenario.output_tokens,
    }
