"""Between the two formats, whatever comes: what is sent obeys the rules of who reads it."""

import re

import orjson
from hypothesis import given
from hypothesis import strategies as st

from dialects.anthropic import MESSAGES
from dialects.base import ReplyContext
from dialects.fields import dumps
from dialects.openai_chat import CHAT
from models.chat import ChatRequest, Sampling, Thinking, Tool, ToolChoice
from models.content import (
    Inline,
    Media,
    Message,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from models.errors import BadRequest
from models.events import check
from models.json_types import Json, JsonObject
from models.profile import Profile
from tests.dialects.answers import seen_in_chat_stream, seen_in_messages_stream
from tests.dialects.anthropic.strategies import told_events
from tests.dialects.anthropic.support import ADAPTIVE, MANUAL, PLAIN
from tests.dialects.official import fits_anthropic, fits_openai
from tests.dialects.test_chat_fuzz import REQUESTS
from tests.dialects.test_matrix import CHAT_CONTEXT, MESSAGES_CONTEXT

GPT = Profile("gpt", vendor="openai", efforts=("low", "medium", "high"))
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


texts = st.sampled_from(["a", "", " \n", "é "]).map(Text)
thoughts = st.sampled_from(
    [
        Reasoning("t", "s", "anthropic"),
        Reasoning("t", "s", "openai"),
        Reasoning("t"),
        Reasoning("", origin="anthropic", redacted="d"),
    ]
)
pictures = st.just(Media("image", Inline("image/png", "QUJD")))
names = st.sampled_from(["f", "g.h", "a tool with a name that is longer than anybody takes" * 2])
arguments = st.sampled_from(["", "{}", '{"a":1}', "{", "[1]"])
schemas = st.sampled_from(
    [None, {}, {"type": "object"}, {"anyOf": [{"type": "object"}, {"type": "string"}]}]
)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """Turns in any order; of the calls some are answered, not always in order or once."""
    messages: list[Message] = []
    waiting: list[str] = []
    count = 0
    for role in draw(st.lists(st.sampled_from(["user", "assistant", "system"]), max_size=6)):
        match role:
            case "assistant":
                parts: list[Part] = list(
                    draw(st.lists(texts | thoughts | st.just(Refusal("no")), max_size=3))
                )
                for name in draw(st.lists(names, max_size=2)):
                    count += 1
                    call_id = draw(st.sampled_from([f"call_{count}", f"fc:{count}/é" + "x" * 50]))
                    place = draw(st.integers(0, len(parts)))
                    parts.insert(place, ToolCall(call_id, name, draw(arguments)))
                    waiting.append(call_id)
                messages.append(Message("assistant", tuple(parts)))
            case "user":
                answers = draw(st.lists(st.sampled_from(waiting), max_size=3)) if waiting else []
                contents = [ToolResult(one, (draw(texts),)) for one in answers]
                rest = draw(st.lists(texts | pictures, max_size=2))
                messages.append(Message("user", tuple(draw(st.permutations([*contents, *rest])))))
                waiting.clear()
            case _:
                messages.append(Message("system", (draw(texts),)))
    return tuple(messages)


requests = st.builds(
    ChatRequest,
    model=st.just("m"),
    stream=st.booleans(),
    messages=conversations(),
    system=st.lists(texts, max_size=2).map(tuple),
    tools=st.lists(st.builds(Tool, names, schema=schemas), max_size=2).map(tuple),
    tool_choice=st.none()
    | st.builds(ToolChoice, st.sampled_from(["auto", "none", "required"]))
    | st.builds(ToolChoice, st.sampled_from(["one", "subset"]), st.just(("f",))),
    parallel_tools=st.none() | st.booleans(),
    max_tokens=st.none() | st.integers(1, 50_000),
    stop=st.lists(st.sampled_from(["END", "", "\n"]), max_size=3).map(tuple),
    sampling=st.builds(
        Sampling,
        temperature=st.none() | st.sampled_from([0, 0.5, 1, 2]),
        top_p=st.none() | st.sampled_from([0.5, 0.97]),
        top_k=st.none() | st.just(3),
    ),
    thinking=st.sampled_from(
        [
            Thinking(),
            Thinking("off"),
            Thinking("auto"),
            Thinking("budget", 1),
            Thinking("budget", 60_000),
            Thinking("effort", effort="low"),
            Thinking("effort", effort="max"),
            Thinking("effort", effort="none"),
        ]
    ),
)


@given(requests)
def test_anthropic_gets_only_what_it_accepts(wanted: ChatRequest) -> None:
    for profile in (ADAPTIVE, MANUAL, PLAIN):
        try:
            encoded = MESSAGES.encode_request(wanted, profile)
        except BadRequest as refusal:
            # Results of calls that are not of the turn right before, or no answer to continue.
            assert re.search("answers no tool call|prefill", refusal.message)  # noqa: PT017
            continue
        obeys_messages(orjson.loads(dumps(encoded.payload)))


@given(requests)
def test_a_chat_provider_gets_only_what_it_accepts(wanted: ChatRequest) -> None:
    obeys_chat(orjson.loads(dumps(CHAT.encode_request(wanted, GPT).payload)))


@given(REQUESTS)
def test_any_chat_body_becomes_a_sound_messages_request_or_is_refused(payload: JsonObject) -> None:
    try:
        encoded = MESSAGES.encode_request(CHAT.decode_request(payload), MANUAL)
    except BadRequest as refusal:
        assert refusal.message  # noqa: PT017 - most examples are refused, some are not
        return
    obeys_messages(orjson.loads(dumps(encoded.payload)))


@given(st.lists(told_events, max_size=8))
def test_a_chat_client_can_put_any_messages_stream_together(told: list[JsonObject]) -> None:
    raw = b"".join(b"event: x\ndata: %b\n\n" % dumps(event) for event in told)
    seen_in_chat_stream(translated(MESSAGES_IN, raw, CHAT_CONTEXT))


deltas = st.fixed_dictionaries(
    {},
    optional={
        "content": st.sampled_from(["a", "", None]),
        "reasoning_content": st.sampled_from(["t", ""]),
        "refusal": st.sampled_from(["no", None]),
        "tool_calls": st.lists(
            st.fixed_dictionaries(
                {"function": st.fixed_dictionaries(
                    {},
                    optional={
                        "name": st.sampled_from(["f", "g", ""]),
                        "arguments": st.sampled_from(["", "{", '"a":1', "}", "{}"]),
                    },
                )},
                optional={
                    "index": st.integers(0, 2),
                    "id": st.sampled_from(["c1", "c2", "", "c:ä"]),
                },
            ),
            max_size=2,
        ),
    },
)  # fmt: skip


@given(
    st.lists(deltas, max_size=8),
    st.sampled_from(["stop", "length", "tool_calls", None]),
    st.booleans(),
)
def test_a_messages_client_can_put_any_chat_stream_together(
    told: list[JsonObject], finish: str | None, is_done: bool
) -> None:
    raw = b"".join(
        b"data: %b\n\n" % dumps({"id": "c", "choices": [{"index": 0, "delta": delta}]})
        for delta in told
    )
    ended: JsonObject = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    raw += b"data: %b\n\n" % dumps(ended) + (b"data: [DONE]\n\n" if is_done else b"")
    view = seen_in_messages_stream(translated(CHAT_IN, raw, MESSAGES_CONTEXT))
    assert view.ended == (finish is not None or is_done)
    for call_id, _, _ in view.calls:
        assert NAME.fullmatch(call_id)


MESSAGES_IN, CHAT_IN = (MESSAGES, CHAT), (CHAT, MESSAGES)


def translated(way: tuple[object, object], raw: bytes, context: ReplyContext) -> bytes:
    decoder = MESSAGES.decoder(ADAPTIVE) if way is MESSAGES_IN else CHAT.decoder(GPT)
    encoder = CHAT.encoder(context) if way is MESSAGES_IN else MESSAGES.encoder(context)
    events = check([*decoder.feed(raw), *decoder.end()])
    return b"".join([encoder.encode(event) for event in events])


# --- what Anthropic refuses -------------------------------------------------------------------


def obeys_messages(payload: JsonObject) -> None:
    fits_anthropic(payload)
    limit = payload["max_tokens"]
    assert isinstance(limit, int)
    assert limit > 0
    thinking = payload.get("thinking")
    if isinstance(thinking, dict) and thinking["type"] == "enabled":
        budget = thinking["budget_tokens"]
        assert isinstance(budget, int)
        assert 1024 <= budget < limit
        assert payload.get("temperature", 1) == 1
    for tool in listed(payload.get("tools", [])):
        if "input_schema" in tool:
            schema = tool["input_schema"]
            assert isinstance(schema, dict)
            assert schema["type"] == "object"
            assert not {"anyOf", "oneOf", "allOf"} & set(schema)
            assert NAME.fullmatch(str(tool["name"]))
    assert ("tools" in payload) or ("tool_choice" not in payload)
    no_blank_text(payload.get("system", "x"))
    obeys_turns(listed(payload["messages"]))


def obeys_turns(turns: list[JsonObject]) -> None:
    assert turns[0]["role"] == "user"
    waiting: list[Json] = []
    before = ""
    for turn in turns:
        role, blocks = str(turn["role"]), listed(turn["content"])
        no_blank_text(turn["content"])
        assert role != before
        answered = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        assert answered == waiting
        kinds = [block["type"] == "tool_result" for block in blocks]
        assert kinds == sorted(kinds, reverse=True)
        waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
        assert all(NAME.fullmatch(str(call_id)) for call_id in waiting)
        before = role
    assert not waiting


def no_blank_text(content: Json) -> None:
    if isinstance(content, str):
        assert content.strip()
        return
    assert content
    for block in listed(content):
        if block["type"] == "text":
            assert str(block["text"]).strip()


# --- what OpenAI refuses ----------------------------------------------------------------------


def obeys_chat(payload: JsonObject) -> None:
    fits_openai(payload)
    assert payload.get("tools") != []
    if "tools" not in payload:
        assert "tool_choice" not in payload
        assert "parallel_tool_calls" not in payload
    waiting: list[Json] = []
    for message in listed(payload["messages"]):
        if message["role"] == "tool":
            assert message["tool_call_id"] == waiting.pop(0)
            continue
        assert not waiting
        calls = listed(message.get("tool_calls", []))
        waiting = [call["id"] for call in calls]
        assert message["content"] is not None or calls or message.get("refusal")
    assert not waiting


def listed(value: Json) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
