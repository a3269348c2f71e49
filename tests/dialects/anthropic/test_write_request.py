"""Requests of the Messages format: what stays, and their knobs."""

from dataclasses import replace

import pytest

from dialects.anthropic import MESSAGES
from models.chat import (
    OutputFormat,
    Sampling,
    Thinking,
)
from models.content import (
    Text,
)
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject
from models.profile import Profile
from tests.dialects.anthropic.neutral import (
    SCHEMA,
    chat,
)
from tests.dialects.anthropic.support import ADAPTIVE, MANUAL, PLAIN, read, request, write


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(request(), id="small"),
        pytest.param(
            request(
                stream=True,
                system=[
                    {"type": "text", "text": "S1", "cache_control": {"type": "ephemeral"}},
                    {"type": "text", "text": "S2"},
                ],
                stop_sequences=["END"],
                temperature=0.5,
                top_k=4,
                metadata={"user_id": "u"},
                service_tier="auto",
                tools=[
                    {
                        "name": "f",
                        "description": "d",
                        "input_schema": {"type": "object", "properties": {}},
                        "strict": True,
                        "cache_control": {"type": "ephemeral"},
                        "defer_loading": True,
                    },
                    {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
                ],
                tool_choice={"type": "any", "disable_parallel_tool_use": True},
                output_config={
                    "task_budget": 3,
                    "format": {"type": "json_schema", "schema": SCHEMA},
                },
            ),
            id="knobs",
        ),
        pytest.param(
            request(
                max_tokens=9000,
                thinking={"type": "enabled", "budget_tokens": 2000, "display": "omitted"},
                messages=[
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "Look"},
                            {"type": "image", "source": {"type": "url", "url": "https://x.test/"}},
                            {
                                "type": "document",
                                "source": {
                                    "type": "base64",
                                    "media_type": "application/pdf",
                                    "data": "QUJD",
                                },
                                "title": "T",
                                "context": "C",
                                "cache_control": {"type": "ephemeral"},
                            },
                            {"type": "container_upload", "file_id": "f_1"},
                        ],
                    },
                    {
                        "role": "assistant",
                        "content": [
                            {"type": "thinking", "thinking": "t", "signature": "sig"},
                            {"type": "redacted_thinking", "data": "d"},
                            {"type": "text", "text": "Ok", "citations": [{"type": "x"}]},
                            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
                            {"type": "tool_use", "id": "toolu_2", "name": "f", "input": {}},
                        ],
                    },
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "tool_result",
                                "tool_use_id": "toolu_1",
                                "content": [
                                    {"type": "text", "text": "map"},
                                    {
                                        "type": "image",
                                        "source": {
                                            "type": "base64",
                                            "media_type": "image/png",
                                            "data": "QUJD",
                                        },
                                    },
                                ],
                            },
                            {
                                "type": "tool_result",
                                "tool_use_id": "toolu_2",
                                "content": "timeout",
                                "is_error": True,
                            },
                            {"type": "text", "text": "Go on"},
                        ],
                    },
                ],
            ),
            id="tool loop with thinking",
        ),
    ],
)
def test_reading_and_writing_again_changes_nothing(body: JsonObject) -> None:
    written = write(MESSAGES.decode_request(body), replace(MANUAL, model="m"))
    assert written.payload == body
    assert (written.dropped, written.stops, written.tool_names) == ((), (), {})


@pytest.mark.parametrize(
    ("limit", "profile", "said"),
    [(7, MANUAL, 7), (None, MANUAL, 32_000), (None, Profile("m"), 4096)],
)
def test_max_tokens_is_always_said(limit: int | None, profile: Profile, said: int) -> None:
    assert write(chat(max_tokens=limit), profile).payload["max_tokens"] == said


def test_a_limit_beyond_the_model_is_lowered_and_told() -> None:
    written = write(chat(max_tokens=40_000), MANUAL)
    assert written.payload["max_tokens"] == 32_000
    assert written.dropped == ("max_tokens",)


@pytest.mark.parametrize(
    ("sampling", "profile", "said", "dropped"),
    [
        (Sampling(temperature=0, top_k=0), MANUAL, {"temperature": 0, "top_k": 0}, ()),
        (Sampling(temperature=1.7), MANUAL, {"temperature": 1}, ("temperature",)),
        (Sampling(temperature=1, top_p=0.5), MANUAL, {"temperature": 1}, ("top_p",)),
        (Sampling(top_p=0.5), MANUAL, {"top_p": 0.5}, ()),
        (
            Sampling(temperature=0.2, top_p=0.9, top_k=4),
            ADAPTIVE,
            {},
            ("temperature", "top_p", "top_k"),
        ),
        (
            Sampling(
                frequency_penalty=1,
                presence_penalty=0,
                seed=0,
                logit_bias={"1": 1},
                logprobs=True,
                top_logprobs=2,
                n=1,
            ),
            MANUAL,
            {},
            ("frequency_penalty", "seed", "logit_bias", "logprobs", "top_logprobs"),
        ),
    ],
)
def test_sampling(
    sampling: Sampling, profile: Profile, said: JsonObject, dropped: tuple[str, ...]
) -> None:
    written = write(chat(sampling=sampling), profile)
    knobs = ("temperature", "top_p", "top_k")
    assert {key: written.payload[key] for key in knobs if key in written.payload} == said
    assert written.dropped == dropped


def test_while_thinking_only_the_default_sampling_is_allowed() -> None:
    knobs = Sampling(temperature=0.2, top_p=0.97, top_k=4)
    written = write(chat(sampling=knobs, thinking=Thinking("auto"), max_tokens=9000), MANUAL)
    assert "temperature" not in written.payload
    assert written.payload["top_p"] == 0.97
    assert written.dropped == ("temperature", "top_k")


def test_more_than_one_answer_is_refused() -> None:
    with pytest.raises(Unrepresentable, match=r"^n:"):
        write(chat(sampling=Sampling(n=2)))


@pytest.mark.parametrize(
    ("profile", "native", "emulated"),
    [
        (MANUAL, ["END", "STOP"], ("\n\n", " ")),
        (replace(MANUAL, max_stops=1), ["END"], ("\n\n", "STOP", " ")),
        (replace(MANUAL, max_stops=0), None, ("END", "\n\n", "STOP", " ")),
    ],
)
def test_stops_that_the_model_refuses_are_left_to_the_gateway(
    profile: Profile, native: Json, emulated: tuple[str, ...]
) -> None:
    written = write(chat(stop=("END", "", "\n\n", "STOP", " ", "END")), profile)
    assert written.payload.get("stop_sequences") == native
    assert written.stops == emulated


def test_a_schema_is_said_natively() -> None:
    wanted = chat(output=OutputFormat("json_schema", name="o", schema=SCHEMA, strict=True))
    written = write(wanted, ADAPTIVE)
    assert written.payload["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert written.dropped == ()


@pytest.mark.parametrize(
    ("output", "profile", "words"),
    [
        pytest.param(OutputFormat("json_object"), ADAPTIVE, "JSON object", id="any object"),
        pytest.param(
            OutputFormat("json_schema", schema=SCHEMA), PLAIN, '"x":{"type":"string"}', id="old"
        ),
        pytest.param(
            OutputFormat("json_schema", schema={"type": "object"}),
            ADAPTIVE,
            '{"type":"object"}',
            id="free keys",
        ),
    ],
)
def test_elsewhere_the_shape_becomes_an_instruction(
    output: OutputFormat, profile: Profile, words: str
) -> None:
    written = write(chat(output=output, system=(Text("S"),)), profile)
    system = written.payload["system"]
    assert isinstance(system, list)
    assert system[0] == {"type": "text", "text": "S"}
    assert words in str(system[1])
    assert "output_config" not in written.payload
    assert written.dropped == ("response_format",)


def test_what_only_others_know_is_dropped_by_name() -> None:
    written = write(
        chat(
            user_id="u",
            metadata={"k": "v"},
            service_tier="flex",
            verbosity="low",
            cache_key="k",
            extras={"chat": {"store": True, "modalities": ["text"]}},
        )
    )
    assert written.payload["metadata"] == {"user_id": "u"}
    assert written.dropped == (
        "service_tier",
        "metadata",
        "verbosity",
        "prompt_cache_key",
        "store",
        "modalities",
    )
    assert write(chat(user_id="u" * 300)).dropped == ("user",)


@pytest.mark.parametrize(
    "extras", [{"modalities": ["text", "audio"]}, {"web_search_options": {"a": 1}}]
)
def test_what_would_change_the_answer_is_refused(extras: JsonObject) -> None:
    with pytest.raises(Unrepresentable):
        write(chat(extras={"chat": extras}))


def test_a_cached_part_from_anthropic_keeps_its_mark() -> None:
    mark: JsonObject = {"type": "ephemeral"}
    content: Json = [{"type": "text", "text": "x", "cache_control": mark}]
    written = write(read(messages=[{"role": "user", "content": content}]))
    assert written.payload["messages"] == [{"role": "user", "content": content}]
