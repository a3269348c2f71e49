"""Long conversations there and back: nothing that anybody said or did may be lost or move."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from dialects.anthropic import MESSAGES
from dialects.base import Encoded
from dialects.fields import dumps
from dialects.openai_chat import CHAT
from models.json_types import Json, JsonObject
from models.profile import Profile
from providers.glm import PROVIDER as GLM
from tests.dialects.official import fits_anthropic, fits_openai

CLAUDE = Profile("m", vendor="anthropic", thinking="adaptive", prefill=False)
GPT = Profile("m", vendor="openai")

texts = st.sampled_from(["a", "Grüße ", "\U0001f600", " \n", "", "x\u2028y", "<b>\\\"'"])
names = st.sampled_from(["f", "get_weather", "mcp.server/tool", "工具", "n" * 70, "n" * 71])
ids = st.sampled_from(["toolu_1", "call_0", "fc:é/1", "i" * 60])
keys = st.sampled_from(["city", "$filter", "a b", "a_b", "", "k" * 70])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=5,
)


@dataclass(frozen=True)
class Call:
    id: str
    name: str
    arguments: dict[str, Json]
    result: str


@dataclass(frozen=True)
class Exchange:
    """What a user says and an assistant answers; its calls are answered in an odd order."""

    said: list[str]
    answered: list[str]
    calls: list[Call]
    order: list[int]


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    calls = draw(
        st.lists(st.builds(Call, ids, names, st.dictionaries(keys, values, max_size=3), texts),
                 max_size=4)
    )  # fmt: skip
    order = draw(st.permutations(range(len(calls))))
    # Results of calls with one id are told apart by their order alone.
    order = sorted(order, key=lambda at: (calls[at].id, at)) if _shares_ids(calls) else order
    said = ["Go", *draw(st.lists(texts, max_size=3))]
    return Exchange(said, draw(st.lists(texts, max_size=3)), calls, list(order))


def _shares_ids(calls: list[Call]) -> bool:
    return len({call.id for call in calls}) < len(calls)


conversations = st.lists(exchanges(), min_size=1, max_size=12)

# --- how the two formats tell a conversation --------------------------------------------------


def as_messages(told: list[Exchange]) -> JsonObject:
    messages: list[Json] = [{"role": "user", "content": "Begin"}]
    for one in told:
        messages.append({"role": "user", "content": [_text(text) for text in one.said]})
        uses: list[Json] = [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
            for call in one.calls
        ]
        messages.append({"role": "assistant", "content": [*map(_text, one.answered), *uses]})
        results: list[Json] = [
            {"type": "tool_result", "tool_use_id": call.id, "content": call.result}
            for call in (one.calls[at] for at in one.order)
        ]
        if results:
            messages.append({"role": "user", "content": results})
    messages.append({"role": "user", "content": "End"})
    return {"model": "m", "max_tokens": 9, "messages": messages, "tools": _message_tools(told)}


def as_chat(told: list[Exchange]) -> JsonObject:
    messages: list[Json] = [{"role": "user", "content": "Begin"}]
    for one in told:
        messages += [{"role": "user", "content": text} for text in one.said]
        calls: list[Json] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": dumps(call.arguments).decode()},
            }
            for call in one.calls
        ]
        turn: JsonObject = {"role": "assistant", "content": "".join(one.answered)}
        messages.append({**turn, "tool_calls": calls} if calls else turn)
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": call.result}
            for call in (one.calls[at] for at in one.order)
        ]
    messages.append({"role": "user", "content": "End"})
    tools: list[Json] = [
        {"type": "function", "function": {"name": tool["name"], "parameters": tool["input_schema"]}}
        for tool in _objects(_message_tools(told))
    ]
    return {"model": "m", "messages": messages, "tools": tools}


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def _message_tools(told: list[Exchange]) -> list[Json]:
    schema: JsonObject = {
        "type": "object",
        "properties": {key: {} for key in ("city", "$filter", "a b", "a_b", "k" * 70)},
    }
    names_used = dict.fromkeys(call.name for one in told for call in one.calls)
    return [{"name": name, "input_schema": schema} for name in names_used or ["f"]]


# --- what was said, whoever tells it ----------------------------------------------------------

Said = list[tuple[str, ...]]


def expected(told: list[Exchange]) -> Said:
    said: Said = [("user", "Begin")]
    for one in told:
        said += [("user", text) for text in one.said]
        said.append(("assistant", "".join(one.answered)))
        said += [("call", call.name, _canonical(call.arguments)) for call in one.calls]
        said += [("result", call.name, call.result) for call in one.calls]
    return _spoken([*said, ("user", "End")])


def in_messages(payload: JsonObject, sent: Encoded) -> Said:
    """Read a Messages request with the client's own names, which `sent` knows."""
    said: Said = []
    waiting: dict[str, str] = {}
    for message in _objects(payload["messages"]):
        content, role = message["content"], str(message["role"])
        blocks = [_text(content)] if isinstance(content, str) else _objects(content)
        results = [block for block in blocks if block["type"] == "tool_result"]
        assert [block["tool_use_id"] for block in results] == list(waiting)
        said += [
            ("result", waiting.pop(str(block["tool_use_id"])), str(block.get("content", "")))
            for block in results
        ]
        texts_said = [str(block["text"]) for block in blocks if block["type"] == "text"]
        said += [(role, text) for text in texts_said]
        for block in blocks:
            if block["type"] == "tool_use":
                name, given = _own_names(str(block["name"]), block["input"], sent)
                said.append(("call", name, _canonical(given)))
                waiting[str(block["id"])] = name
    assert not waiting
    return _spoken(said)


def in_chat(payload: JsonObject, tool_names: Mapping[str, str]) -> Said:
    said: Said = []
    waiting: dict[str, str] = {}
    for message in _objects(payload["messages"]):
        role, content = str(message["role"]), message["content"]
        if role == "tool":
            call_id = str(message["tool_call_id"])
            assert next(iter(waiting)) == call_id
            said.append(("result", waiting.pop(call_id), str(content)))
            continue
        assert not waiting
        parts = [_text(content)] if isinstance(content, str) else _objects(content)
        said += [(role, str(part["text"])) for part in parts]
        for call in _objects(message.get("tool_calls")):
            function = call["function"]
            assert isinstance(function, dict)
            name = tool_names.get(str(function["name"]), str(function["name"]))
            said.append(("call", name, _canonical(json.loads(str(function["arguments"])))))
            waiting[str(call["id"])] = name
    return _spoken(said)


def _own_names(wire: str, given: Json, sent: Encoded) -> tuple[str, Json]:
    properties = sent.properties.get(wire, {})
    assert isinstance(given, dict)
    own = {properties.get(key, key): given[key] for key in given}
    return sent.tool_names.get(wire, wire), own


def _spoken(said: Said) -> Said:
    """Leave out what is blank, as Anthropic refuses it; a blank result is an empty one."""
    return [
        (kind, *rest[:-1], rest[-1] if rest[-1].strip() else "")
        for kind, *rest in said
        if kind in ("call", "result") or rest[-1].strip()
    ]


def _canonical(value: Json) -> str:
    return json.dumps(value, sort_keys=True)


def _objects(value: Json) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


# --- there and back ---------------------------------------------------------------------------


def sent_to_claude(body: JsonObject) -> tuple[JsonObject, Encoded]:
    encoded = MESSAGES.encode_request(CHAT.decode_request(body), CLAUDE)
    payload: JsonObject = json.loads(dumps(encoded.payload))
    fits_anthropic(payload)
    assert encoded.dropped == ()
    return payload, encoded


def sent_to_gpt(body: JsonObject) -> tuple[JsonObject, Encoded]:
    encoded = CHAT.encode_request(MESSAGES.decode_request(body), GPT)
    payload: JsonObject = json.loads(dumps(encoded.payload))
    fits_openai(payload)
    assert encoded.dropped == ()
    return payload, encoded


@given(conversations)
def test_a_messages_conversation_goes_to_chat_and_back(told: list[Exchange]) -> None:
    there, first = sent_to_gpt(as_messages(told))
    assert in_chat(there, first.tool_names) == expected(told)
    back, second = sent_to_claude(there)
    names = {wire: first.tool_names.get(own, own) for wire, own in second.tool_names.items()}
    known = replace(second, tool_names={**first.tool_names, **names})
    assert in_messages(back, known) == expected(told)


@given(conversations)
def test_a_chat_conversation_goes_to_messages_and_back(told: list[Exchange]) -> None:
    there, first = sent_to_claude(as_chat(told))
    assert in_messages(there, first) == expected(told)
    back, second = sent_to_gpt(there)
    names = {wire: first.tool_names.get(own, own) for wire, own in second.tool_names.items()}
    said = in_chat(back, {**first.tool_names, **names})
    assert [one[:2] for one in said] == [one[:2] for one in expected(told)]


@given(conversations)
def test_glm_hears_the_same_conversation(told: list[Exchange]) -> None:
    assert GLM.main.adapt is not None
    profile = GLM.main.profile("glm-4.6")
    encoded = CHAT.encode_request(MESSAGES.decode_request(as_messages(told)), profile)
    adapted = GLM.main.adapt(encoded.payload, profile)
    payload: JsonObject = json.loads(dumps(adapted.payload))
    # Text models take strings only, so the parts of a user's turn are joined by line ends.
    assert _by_words(in_chat(payload, encoded.tool_names)) == _by_words(expected(told))
    assert (*encoded.dropped, *adapted.dropped) == ()


def _by_words(said: Said) -> Said:
    joined: Said = []
    for one in said:
        if joined and one[0] == joined[-1][0] == "user":
            joined[-1] = ("user", *joined[-1][1:], *one[1].split())
        else:
            joined.append(("user", *one[1].split()) if one[0] == "user" else one)
    return joined
