"""Settings of a Responses request, read."""

import pytest

from models.chat import OutputFormat, Sampling, Thinking
from models.errors import BadRequest
from models.json_types import Json, JsonObject
from tests.dialects.responses.support import read

SCHEMA: JsonObject = {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("reasoning", "thinking"),
    [
        (None, Thinking()),
        ({}, Thinking()),
        ({"effort": None, "summary": None}, Thinking()),
        ({"effort": "none"}, Thinking("off")),
        ({"effort": "minimal"}, Thinking("effort", effort="minimal")),
        ({"effort": "max"}, Thinking("effort", effort="max")),
        ({"summary": "auto"}, Thinking(display="summarized", shown=True)),
        (
            {"effort": "high", "summary": "detailed"},
            Thinking("effort", effort="high", display="summarized", shown=True),
        ),
        (
            {"effort": "low", "generate_summary": "concise"},
            Thinking("effort", effort="low", display="summarized", shown=True),
        ),
    ],
)
def test_thinking(reasoning: Json, thinking: Thinking) -> None:
    assert read(reasoning=reasoning).thinking == thinking


@pytest.mark.parametrize(
    ("wanted", "output"),
    [
        ({"type": "text"}, OutputFormat()),
        ({"type": "json_object"}, OutputFormat("json_object")),
        (
            {"type": "json_schema", "name": "o", "schema": SCHEMA, "strict": True},
            OutputFormat("json_schema", "o", None, SCHEMA, True),
        ),
        (
            {"type": "json_schema", "name": "o", "description": "d"},
            OutputFormat("json_schema", "o", "d", {"type": "object"}),
        ),
    ],
)
def test_the_shape_of_the_answer(wanted: JsonObject, output: OutputFormat) -> None:
    assert read(text={"format": wanted}).output == output


def test_plain_fields() -> None:
    found = read(
        stream=True,
        max_output_tokens=20,
        temperature=0,
        top_p=0.5,
        parallel_tool_calls=False,
        metadata={"a": "b", "n": 1},
        user="old",
        safety_identifier="new",
        service_tier="flex",
        text={"verbosity": "low"},
        prompt_cache_key="k",
    )
    assert (found.model, found.stream, found.max_tokens) == ("m", True, 20)
    assert found.sampling == Sampling(temperature=0, top_p=0.5)
    assert found.parallel_tools is False
    assert found.metadata == {"a": "b", "n": "1"}
    assert (found.user_id, found.service_tier) == ("new", "flex")
    assert (found.verbosity, found.cache_key) == ("low", "k")
    assert found.extras == {}
    assert read(user="old").user_id == "old"


def test_what_the_answer_repeats_is_kept_as_it_was_written() -> None:
    reasoning: JsonObject = {"effort": "low"}
    found = read(instructions="S", reasoning=reasoning, store=False, temperature=0, top_p=None)
    assert found.echo == {
        "instructions": "S",
        "reasoning": reasoning,
        "store": False,
        "temperature": 0,
    }


@pytest.mark.parametrize(
    ("fields", "lost"),
    [
        ({"truncation": "auto"}, {"truncation": "auto"}),
        ({"truncation": "disabled"}, {}),
        ({"max_tool_calls": 3}, {"max_tool_calls": 3}),
        ({"client_metadata": {"a": "b"}}, {"client_metadata": {"a": "b"}}),
        ({"prompt_cache_retention": "24h"}, {"prompt_cache_retention": "24h"}),
        ({"prompt_cache_retention": "in_memory"}, {}),
        ({"top_logprobs": 2}, {"top_logprobs": 2}),
        ({"include": ["reasoning.encrypted_content"]}, {}),
        (
            {"include": ["message.output_text.logprobs"]},
            {"include": ["message.output_text.logprobs"]},
        ),
        ({"reasoning": {"context": "all_turns"}}, {"reasoning.context": "all_turns"}),
        ({"reasoning": {"context": "auto", "mode": "pro"}}, {"reasoning.mode": "pro"}),
        ({"stream_options": {"include_obfuscation": False}}, {}),
        ({"background": False, "store": True, "moderation": None}, {}),
        ({"brand_new": 1}, {"brand_new": 1}),
    ],
)
def test_what_other_formats_do_not_know_is_remembered(fields: JsonObject, lost: JsonObject) -> None:
    assert read(**fields).extras == ({"responses": lost} if lost else {})


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"model": ""}, "model"),
        ({"model": 7}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"instructions": []}, "instructions"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": "extreme"}}, "reasoning.effort"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": 1}}}, "text.format.schema"),
        ({"text": {"verbosity": 1}}, "text.verbosity"),
        ({"metadata": []}, "metadata"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
    ],
)
def test_wrong_fields_are_named(fields: JsonObject, path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**fields)
    assert caught.value.path == path
