from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.anthropic import MESSAGES
from dialects.base import Encoded
from dialects.openai_chat import CHAT
from models.chat import ChatRequest, OutputFormat, Sampling, Thinking, Tool, ToolChoice
from models.content import (
    Inline,
    Media,
    Message,
    Opaque,
    Part,
    PlainText,
    Reasoning,
    Remote,
    Text,
    ToolCall,
    ToolResult,
    VendorFile,
)
from models.errors import BadRequest
from models.json_types import Json, JsonObject
from tests.dialects.anthropic.strategies import bodies, json_values
from tests.dialects.anthropic.support import ADAPTIVE, MANUAL, PLAIN, read, request

CACHE: JsonObject = {"type": "ephemeral", "ttl": "1h"}
PNG: JsonObject = {"type": "base64", "media_type": "image/png", "data": "QUJD"}


def parts_of(*blocks: Json, role: str = "user") -> tuple[Part, ...]:
    return read(messages=[{"role": role, "content": list(blocks)}]).messages[0].parts


def test_every_plain_field_is_read() -> None:
    wanted = read(
        stream=True,
        system="Be terse.",
        stop_sequences=["A", "B"],
        temperature=0,
        top_p=0.5,
        top_k=3,
        metadata={"user_id": "u1"},
        thinking={"type": "enabled", "budget_tokens": 2000, "display": "summarized"},
        output_config={"effort": "low", "format": {"type": "json_schema", "schema": {"a": 1}}},
        service_tier="auto",
        container="c",
    )
    assert wanted == ChatRequest(
        model="m",
        stream=True,
        messages=(Message("user", (Text("Hi"),)),),
        system=(Text("Be terse."),),
        max_tokens=100,
        stop=("A", "B"),
        sampling=Sampling(temperature=0, top_p=0.5, top_k=3),
        thinking=Thinking("budget", 2000, "low", "summarized"),
        output=OutputFormat("json_schema", schema={"a": 1}),
        user_id="u1",
        service_tier="auto",
        extras={"messages": {"container": "c"}},
    )


def test_absent_fields_are_absent() -> None:
    wanted = MESSAGES.decode_request(
        {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": None}
    )
    assert wanted == ChatRequest("m", False, (Message("user", (Text("Hi"),)),))


def test_system_blocks_keep_their_boundaries_and_cache_marks() -> None:
    wanted = read(
        system=[
            {"type": "text", "text": "S1", "cache_control": CACHE},
            {"type": "text", "text": "S2"},
        ]
    )
    assert wanted.system == (Text("S1", CACHE), Text("S2"))


def test_a_system_message_stays_at_its_place() -> None:
    wanted = read(
        messages=[
            {"role": "user", "content": "Hi"},
            {"role": "system", "content": [{"type": "text", "text": "Now be kind"}]},
        ]
    )
    assert wanted.messages[1] == Message("system", (Text("Now be kind"),))


@pytest.mark.parametrize(
    ("given_block", "part"),
    [
        pytest.param(
            {"type": "text", "text": "x", "cache_control": CACHE}, Text("x", CACHE), id="text"
        ),
        pytest.param(
            {"type": "image", "source": PNG, "cache_control": CACHE},
            Media("image", Inline("image/png", "QUJD"), cache=CACHE),
            id="image",
        ),
        pytest.param(
            {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
            Media("image", Remote("https://x.test/a.png")),
            id="image address",
        ),
        pytest.param(
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
            Media("image", VendorFile("messages", "file_1")),
            id="image file",
        ),
        pytest.param(
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "QUJD"},
                "title": "T",
                "context": "C",
                "citations": {"enabled": True},
            },
            Media(
                "document",
                Inline("application/pdf", "QUJD"),
                title="T",
                context="C",
                own={"citations": {"enabled": True}},
            ),
            id="PDF",
        ),
        pytest.param(
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "words"},
            },
            Media("document", PlainText("words")),
            id="text document",
        ),
        pytest.param(
            {"type": "document", "source": {"type": "content", "content": "words"}},
            Media("document", PlainText("words")),
            id="document with a string",
        ),
        pytest.param(
            {
                "type": "search_result",
                "source": "https://x.test",
                "title": "T",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            },
            Media("document", PlainText("a\nb"), title="T", context="Source: https://x.test"),
            id="search result",
        ),
        pytest.param(
            {"type": "container_upload", "file_id": "f"},
            Opaque("messages", {"type": "container_upload", "file_id": "f"}),
            id="unknown block",
        ),
        pytest.param(
            {"type": "image", "source": {"type": "new"}},
            Opaque("messages", {"type": "image", "source": {"type": "new"}}),
            id="unknown source",
        ),
    ],
)
def test_blocks_of_a_user(given_block: JsonObject, part: Part) -> None:
    assert parts_of(given_block) == (part,)


def test_a_document_of_blocks_gives_its_text_and_then_its_images() -> None:
    content: Json = [
        {"type": "text", "text": "a"},
        {"type": "image", "source": PNG},
        {"type": "text", "text": "b"},
    ]
    found = parts_of(
        {"type": "document", "source": {"type": "content", "content": content}, "title": "T"}
    )
    assert found == (
        Media("document", PlainText("a\nb"), title="T"),
        Media("image", Inline("image/png", "QUJD")),
    )


def test_blocks_of_an_assistant() -> None:
    server: JsonObject = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search"}
    cited: JsonObject = {"type": "char_location", "cited_text": "x"}
    found = parts_of(
        {"type": "thinking", "thinking": "hm", "signature": "EqQB"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "text", "text": "Ok", "citations": [cited]},
        server,
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": 1, "a": "é"}},
        role="assistant",
    )
    assert found == (
        Reasoning("hm", "EqQB", "anthropic"),
        Reasoning("", origin="anthropic", redacted="xyz"),
        Text("Ok", citations=(cited,)),
        Opaque("messages", server),
        ToolCall("toolu_1", "f", '{"b":1,"a":"é"}'),
    )


def test_thinking_without_signature_belongs_to_nobody() -> None:
    found = parts_of({"type": "thinking", "thinking": "hm", "signature": ""}, role="assistant")
    assert found == (Reasoning("hm"),)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        pytest.param(None, (), id="absent"),
        pytest.param("24C", (Text("24C"),), id="string"),
        pytest.param(
            [{"type": "text", "text": "map"}, {"type": "image", "source": PNG}],
            (Text("map"), Media("image", Inline("image/png", "QUJD"))),
            id="blocks",
        ),
        pytest.param(
            [{"type": "tool_reference", "tool_name": "x"}],
            (Opaque("messages", {"type": "tool_reference", "tool_name": "x"}),),
            id="unknown block",
        ),
    ],
)
def test_tool_results(content: Json, parts: tuple[Text | Media | Opaque, ...]) -> None:
    call: JsonObject = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    result: JsonObject = {"type": "tool_result", "tool_use_id": "t", "is_error": True}
    if content is not None:
        result["content"] = content
    wanted = read(
        messages=[
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [result]},
        ]
    )
    assert wanted.messages[2].parts == (ToolResult("t", parts, is_error=True),)


def test_tools_keep_what_only_anthropic_knows() -> None:
    dated: JsonObject = {"type": "bash_20250124", "name": "bash"}
    wanted = read(
        tools=[
            {
                "name": "f",
                "description": "d",
                "input_schema": {"type": "object"},
                "strict": True,
                "cache_control": CACHE,
                "defer_loading": True,
            },
            dated,
        ]
    )
    assert wanted.tools == (
        Tool("f", "d", {"type": "object"}, True, CACHE, None, "messages", {"defer_loading": True}),
        Tool("bash", raw=dated, dialect="messages"),
    )


@pytest.mark.parametrize(
    ("said", "choice", "parallel"),
    [
        ({"type": "auto"}, ToolChoice("auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("required"), False),
        ({"type": "none"}, ToolChoice("none"), None),
        (
            {"type": "tool", "name": "f", "disable_parallel_tool_use": False},
            ToolChoice("one", ("f",)),
            True,
        ),
    ],
)
def test_tool_choice(said: JsonObject, choice: ToolChoice, parallel: bool | None) -> None:
    wanted = read(tool_choice=said)
    assert (wanted.tool_choice, wanted.parallel_tools) == (choice, parallel)


@pytest.mark.parametrize(
    ("said", "thinking"),
    [
        ({"type": "adaptive"}, Thinking("auto")),
        ({"type": "disabled"}, Thinking("off")),
        ({"type": "between_tools"}, Thinking("between_tools")),
        ({"type": "enabled", "budget_tokens": 1024}, Thinking("budget", 1024)),
    ],
)
def test_thinking(said: JsonObject, thinking: Thinking) -> None:
    assert read(thinking=said).thinking == thinking


def test_effort_alone_leaves_thinking_to_the_model() -> None:
    assert read(output_config={"effort": "high"}).thinking == Thinking(effort="high")


def test_the_older_name_of_structured_output_is_read() -> None:
    wanted = read(output_format={"type": "json_schema", "schema": {"type": "object"}})
    assert wanted.output == OutputFormat("json_schema", schema={"type": "object"})


CALL: JsonObject = {"type": "tool_use", "id": "t", "name": "f", "input": {}}


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"model": ""}, "model"),
        ({"model": 1}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": ""}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
            "messages[0].content[0].text",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image", "source": PNG | {"data": 1}}]}
                ]
            },
            "messages[0].content[0].source.data",
        ),
        ({"messages": [{"role": "user", "content": [CALL]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "assistant", "content": [CALL | {"input": "x"}]}]},
            "messages[0].content[0].input",
        ),
        (
            {"messages": [{"role": "assistant", "content": [CALL | {"id": ""}]}]},
            "messages[0].content[0].id",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "u"}]}
                ]
            },
            "messages[0]",
        ),
        (
            {"messages": [{"role": "system", "content": [{"type": "image", "source": PNG}]}]},
            "messages[0].content[0].type",
        ),
        ({"system": 1}, "system"),
        ({"system": [{"type": "image"}]}, "system[0].type"),
        ({"tools": [{"name": 1}]}, "tools[0].name"),
        ({"tools": [{"name": "f", "input_schema": []}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "much"}}, "thinking.type"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        ({"stop_sequences": ["a", 1]}, "stop_sequences[1]"),
        ({"temperature": "warm"}, "temperature"),
        ({"metadata": {"user_id": 1}}, "metadata.user_id"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**fields)
    assert caught.value.path == path
    assert caught.value.message.startswith(path)


def attempt(action: Callable[[], object]) -> object:
    """Return what `action` gives, or the refusal it raises; no other error is caught."""
    try:
        return action()
    except BadRequest as refusal:
        return refusal


@given(bodies)
def test_any_json_is_read_or_refused(body: JsonObject) -> None:
    """And what was read can be written for any provider, or is refused for a reason."""
    wanted = attempt(lambda: MESSAGES.decode_request(body))
    assert isinstance(wanted, ChatRequest | BadRequest)
    if isinstance(wanted, ChatRequest):
        for profile in (ADAPTIVE, MANUAL, PLAIN):
            for dialect in (MESSAGES, CHAT):
                written = attempt(partial(dialect.encode_request, wanted, profile))
                assert isinstance(written, Encoded | BadRequest)


@given(bodies)
def test_what_was_written_reads_as_the_same_request(body: JsonObject) -> None:
    wanted = attempt(lambda: MESSAGES.decode_request(body))
    if not isinstance(wanted, ChatRequest):
        return
    written = attempt(lambda: MESSAGES.encode_request(wanted, MANUAL))
    if not isinstance(written, Encoded):
        return
    again = MESSAGES.encode_request(MESSAGES.decode_request(written.payload), MANUAL)
    assert again.payload == written.payload
    assert set(again.dropped) <= {"max_tokens"}


@given(st.dictionaries(st.sampled_from([*request(), "system", "tools"]), json_values))
def test_arbitrary_fields_never_escape_as_another_error(body: JsonObject) -> None:
    for payload in (body, request(**body)):
        wanted = attempt(partial(MESSAGES.decode_request, payload))
        assert isinstance(wanted, ChatRequest | BadRequest)
