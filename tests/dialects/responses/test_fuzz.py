"""Whatever comes, there is an answer or a reason; what is carried comes back as it was."""

import json

import orjson
from hypothesis import given
from hypothesis import strategies as st

from dialects.custom_tools import wrapped
from dialects.fields import dumps, parse_object
from dialects.openai_responses import RESPONSES, RESPONSES_COUNT
from dialects.signatures import tagged
from models.chat import ChatRequest, Tool
from models.content import Inline, Media, Message, Part, Reasoning, Text, ToolCall, ToolResult
from models.errors import BadRequest, UpstreamError
from models.events import Failed, Finish, check, collect
from models.json_types import Json, JsonObject
from tests.dialects.official import check_frame
from tests.dialects.pairs.strategies import answers, told
from tests.dialects.responses.support import PLAIN, REASONING, STRANGER, context, heard

KEYS = st.sampled_from(
    [
        "action",
        "annotations",
        "arguments",
        "call_id",
        "code",
        "content",
        "content_index",
        "delta",
        "encrypted_content",
        "error",
        "format",
        "id",
        "image_url",
        "input",
        "input_audio",
        "item",
        "item_id",
        "mode",
        "model",
        "name",
        "namespace",
        "output",
        "output_index",
        "part",
        "refusal",
        "response",
        "role",
        "status",
        "summary",
        "summary_index",
        "text",
        "tools",
        "type",
    ]
)
WORDS = st.sampled_from(
    [
        "allowed_tools",
        "assistant",
        "auto",
        "custom",
        "custom_tool_call",
        "developer",
        "error",
        "function",
        "function_call",
        "function_call_output",
        "input_image",
        "input_text",
        "item_reference",
        "message",
        "namespace",
        "output_text",
        "reasoning",
        "refusal",
        "required",
        "response.completed",
        "response.failed",
        "summary_text",
        "user",
        "wx",
        "",
        "data:image/png;base64,QUJD",
        "https://x.test/a",
        tagged("gemini", "s"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=6)
ITEMS = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.sampled_from(
        [
            "message",
            "function_call",
            "function_call_output",
            "custom_tool_call",
            "custom_tool_call_output",
            "reasoning",
            "item_reference",
            "additional_tools",
            "web_search_call",
        ]
    ),
    OBJECTS,
)
FIELDS = st.sampled_from(
    [
        "background",
        "conversation",
        "include",
        "instructions",
        "max_output_tokens",
        "metadata",
        "parallel_tool_calls",
        "previous_response_id",
        "reasoning",
        "store",
        "stream",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "truncation",
        "user",
        "x",
    ]
)
REQUESTS = st.builds(
    lambda rest, items: {**rest, "model": "m", "input": items},
    st.dictionaries(FIELDS, JSON, max_size=4),
    st.lists(ITEMS, max_size=4) | JSON,
)
EVENTS = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.sampled_from(
        [
            f"response.{kind}"
            for kind in [
                "created",
                "in_progress",
                "output_item.added",
                "output_item.done",
                "output_text.delta",
                "output_text.done",
                "refusal.delta",
                "reasoning_text.delta",
                "function_call_arguments.delta",
                "reasoning_summary_text.delta",
                "custom_tool_call_input.delta",
                "completed",
                "incomplete",
                "content_part.added",
                "function_call_arguments.done",
                "brand.new",
            ]
        ]
    ),
    OBJECTS,
)


@given(REQUESTS)
def test_a_request_is_translated_or_refused(payload: JsonObject) -> None:
    before = json.dumps(payload)
    for dialect in (RESPONSES, RESPONSES_COUNT):
        try:
            request = dialect.decode_request(payload)
            for profile in (REASONING, PLAIN, STRANGER):
                json.loads(dumps(dialect.encode_request(request, profile).payload))
        except BadRequest as error:
            assert error.status == 400  # noqa: PT017 - most examples are refused, some are not
    assert json.dumps(payload) == before


@given(REQUESTS)
def test_the_raw_path_reads_or_refuses(payload: JsonObject) -> None:
    body = dumps(payload)
    parsed = parse_object(body)
    try:
        RESPONSES.inspect(body, parsed)
    except BadRequest:
        return
    spliced, _ = RESPONSES.prepare_raw(body, parsed, "other", ask_usage=True)
    assert orjson.loads(spliced) == {**parsed, "model": "other"}


@given(OBJECTS)
def test_an_answer_is_read_or_an_error(payload: JsonObject) -> None:
    try:
        answer = RESPONSES.decode_response(payload)
    except UpstreamError:
        return
    RESPONSES.encode_response(answer, context())


@given(st.lists(EVENTS | OBJECTS, max_size=8), st.booleans())
def test_a_stream_of_anything_ends_once(payloads: list[JsonObject], has_end: bool) -> None:
    raw = b"".join(b"data: %b\n\n" % orjson.dumps(payload) for payload in payloads)
    if has_end:
        raw += b'data: {"type":"response.completed","response":{}}\n\n'
    events = heard(raw)
    assert isinstance(events[-1], Failed | Finish)
    sniffer = RESPONSES.sniffer(hide_usage=False)
    assert sniffer.feed(raw) is raw
    encoder = RESPONSES.encoder(context())
    assert b"".join([encoder.encode(event) for event in events])


@given(st.binary(max_size=60))
def test_bytes_of_any_kind_are_survived(data: bytes) -> None:
    decoder = RESPONSES.decoder(REASONING)
    check([*decoder.feed(data), *decoder.end()])
    RESPONSES.sniffer(hide_usage=False).feed(data)


@given(answers(), st.randoms(use_true_random=False))
def test_an_answer_passes_through_the_format_unchanged(answer: object, chance: object) -> None:
    """Written as a stream, read, and written again: the client sees the same."""
    events = told(answer, chance)  # type: ignore[arg-type]  # as hypothesis makes them
    first, second = RESPONSES.encoder(context()), RESPONSES.encoder(context())
    raw = b"".join([first.encode(event) for event in events])
    again = b"".join([second.encode(event) for event in heard(raw)])
    seen = collect(heard(raw))
    assert [*collect(heard(again)).parts] == [*seen.parts]
    for frame in again.split(b"\n\n")[:-1]:
        check_frame("responses", orjson.loads(frame.partition(b"data: ")[2]))


# --- requests: what the neutral model knows ---------------------------------------------------

names = st.sampled_from(["wx", "patch"])
texts = st.sampled_from(["a", "é\n", '"', "\u2028"])
user_parts = st.lists(
    texts.map(Text) | st.just(Media("image", Inline("image/png", "QUJD"), detail="low")),
    min_size=1,
    max_size=2,
)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """Turns as a client has them that answers every call."""
    turns: list[Message] = []
    for at in range(draw(st.integers(0, 3))):
        turns.append(Message("user", tuple(draw(user_parts))))
        spoken: list[Part] = []
        if draw(st.booleans()):
            spoken.append(Reasoning(draw(texts), "gA", "openai"))
        spoken.append(Text(draw(texts)))
        calls = [
            ToolCall(f"call_{at}_{number}", draw(names), wrapped(draw(texts)))
            for number in range(draw(st.integers(0, 2)))
        ]
        turns.append(Message("assistant", (*spoken, *calls)))
        results = tuple(ToolResult(call.id, tuple(draw(user_parts))) for call in calls)
        if results:
            turns.append(Message("user", results))
    return (*turns, Message("user", (Text("Go on"),)))


@given(conversations())
def test_a_conversation_comes_back_as_it_was(messages: tuple[Message, ...]) -> None:
    schema: JsonObject = {"type": "object", "properties": {"input": {"type": "string"}}}
    declared: list[Json] = [
        {"type": "function", "name": "wx", "parameters": schema},
        {"type": "custom", "name": "patch"},
    ]
    tools = RESPONSES.decode_request({"model": "m", "input": "x", "tools": declared}).tools
    assert all(isinstance(tool, Tool) for tool in tools)
    wanted = ChatRequest("m", False, messages, (Text("S"),), tools)
    first = RESPONSES.encode_request(wanted, REASONING)
    read = RESPONSES.decode_request(first.payload)
    assert _merged(read.messages) == _merged(messages)
    assert read.system == wanted.system
    assert RESPONSES.encode_request(read, REASONING).payload == first.payload


def _merged(messages: tuple[Message, ...]) -> list[tuple[str, list[object]]]:
    """Return the turns, results of texts in the one text that a provider gets of them."""
    return [(turn.role, [_joined(part) for part in turn.parts]) for turn in messages]


def _joined(part: Part) -> object:
    if not isinstance(part, ToolResult) or any(isinstance(one, Media) for one in part.parts):
        return part
    return part.call_id, "\n".join(one.text for one in part.parts if isinstance(one, Text))
