"""What a vendor signed goes through every client's format, and back to that vendor alone."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.fields import dumps
from dialects.gemini import GEMINI
from dialects.openai_chat import CHAT
from dialects.openai_responses import RESPONSES
from models.chat import ChatRequest, ChatResponse, FinishReason
from models.content import Part, Reasoning, Text, ToolCall
from models.events import collect, replay
from models.json_types import Json, JsonObject
from models.profile import Profile
from providers.antigravity.profile import profile as behind_google
from providers.gemini_profile import profile as of_google
from tests.dialects.pairs.formats import CONTEXTS, heard, in_order, streamed
from tests.dialects.pairs.routes import part
from tests.losses.feature import BASE

VENDORS = ["anthropic", "openai", "gemini", "claude-ca"]
SIGNATURE = "U0lHTkVE"
CALL_SIGNATURE = "Q0FMTEVE"
SEALED = "U0VBTEVE"
DONE = FinishReason.TOOL_CALLS
RESULTS: dict[str, JsonObject] = {
    "messages": {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "c", "content": "24C"}],
    },
    "chat": {"role": "tool", "tool_call_id": "c", "content": "24C"},
    "responses": {"type": "function_call_output", "call_id": "c", "output": "24C"},
    "gemini": {
        "role": "user",
        "parts": [{"functionResponse": {"id": "c", "name": "wx", "response": {"output": "24C"}}}],
    },
}
TURNS = {"messages": "messages", "chat": "messages", "responses": "input", "gemini": "contents"}


def spoken(client: Dialect, *parts: Part) -> list[Json]:
    """Return an answer as its client keeps it in the history."""
    answer = ChatResponse("u", "m", 1, parts, DONE)
    whole = client.encode_response(answer, CONTEXTS[client.name])
    match client.name:
        case "messages":
            return [{"role": "assistant", "content": whole["content"]}]
        case "chat":
            return [part(whole, "choices.0.message")]
        case "responses":
            output = whole["output"]
            assert isinstance(output, list)
            return output
        case _:
            return [part(whole, "candidates.0.content")]


def continued(client: Dialect, *parts: Part) -> ChatRequest:
    """Return the request that goes on behind an answer with the call `c` in it."""
    body, key = BASE[client.name], TURNS[client.name]
    asked = body[key]
    assert isinstance(asked, list)
    turns: list[Json] = [*asked, *spoken(client, *parts), RESULTS[client.name]]
    return client.decode_request(json.loads(dumps({**body, key: turns})))


def recalled(client: Dialect, *parts: Part) -> tuple[Part, ...]:
    """Return the assistant's turn of that request, empty text aside."""
    turn = continued(client, *parts).messages[1]
    assert turn.role == "assistant"
    return tuple(one for one in turn.parts if one != Text(""))


def call(vendor: str | None = None) -> ToolCall:
    signature = CALL_SIGNATURE if vendor else None
    return ToolCall("c", "wx", '{"city":"Roma"}', signature=signature, origin=vendor)


thoughts = st.lists(
    st.one_of(
        st.builds(
            Reasoning, st.sampled_from(["", "hm"]), st.just(SIGNATURE), st.sampled_from(VENDORS)
        ),
        st.just(Reasoning("", origin="anthropic", redacted=SEALED)),
    ),
    max_size=3,
)
CARRIERS = [MESSAGES, RESPONSES, GEMINI]


@pytest.mark.parametrize("client", CARRIERS, ids=lambda one: one.name)
@settings(max_examples=40)
@given(thoughts, st.sampled_from([None, *VENDORS]), st.sampled_from(["", "Ok"]))
def test_thoughts_and_calls_come_back_signed(
    client: Dialect, thought: list[Part], vendor: str | None, text: str
) -> None:
    said = [Text(text)] if text else []
    parts = (*thought, *said, call(vendor))
    assert recalled(client, *parts) == parts
    # A stream brings the same.
    answer = ChatResponse("u", "m", 1, parts, DONE)
    streaming = collect(heard(client, streamed(client, replay(answer))))
    at_once = client.decode_response(client.encode_response(answer, CONTEXTS[client.name]))
    assert in_order(streaming) == in_order(at_once)


@pytest.mark.parametrize("vendor", VENDORS)
def test_chat_carries_the_signatures_of_calls_and_the_text_of_thoughts(vendor: str) -> None:
    thought = Reasoning("hm", SIGNATURE, vendor)
    assert recalled(CHAT, thought, call(vendor)) == (Reasoning("hm"), call(vendor))


PROVIDERS: list[tuple[str, Dialect, Profile]] = [
    ("anthropic", MESSAGES, Profile("m", vendor="anthropic", thinking="adaptive")),
    ("openai", RESPONSES, Profile("m", vendor="openai")),
    ("", CHAT, Profile("m", vendor="openai")),
    ("gemini", GEMINI, of_google("gemini-3-pro-preview")),
    ("claude-ca", GEMINI, behind_google("claude-sonnet-4-6-thinking")),
]


@pytest.mark.parametrize("client", CARRIERS, ids=lambda one: one.name)
@pytest.mark.parametrize("vendor", VENDORS)
def test_a_signature_reaches_nobody_but_who_made_it(client: Dialect, vendor: str) -> None:
    wanted = continued(client, Reasoning("hm", SIGNATURE, vendor), Text("Ok"), call())
    for maker, provider, profile in PROVIDERS:
        encoded = provider.encode_request(wanted, profile)
        written = dumps(encoded.payload).decode()
        assert (SIGNATURE in written) is (maker == vendor)
        assert "gw1." not in written
        assert "hm" not in written or maker == vendor
        assert ("reasoning" in encoded.dropped) is (maker != vendor)


@pytest.mark.parametrize("client", [*CARRIERS, CHAT], ids=lambda one: one.name)
@pytest.mark.parametrize("vendor", ["gemini", "claude-ca"])
def test_a_calls_signature_reaches_nobody_but_who_made_it(client: Dialect, vendor: str) -> None:
    wanted = continued(client, call(vendor))
    for maker, provider, profile in PROVIDERS:
        payload = provider.encode_request(wanted, profile).payload
        written = dumps(payload).decode()
        assert (CALL_SIGNATURE in written) is (maker == vendor)
        if maker == "gemini":
            # Who demands a signature gets one, or what stands for it.
            signature = part(payload, "contents.1.parts.0.thoughtSignature")
            escape = "skip_thought_signature_validator"
            assert signature == (CALL_SIGNATURE if vendor == "gemini" else escape)


@pytest.mark.parametrize("client", CARRIERS, ids=lambda one: one.name)
def test_sealed_thoughts_reach_nobody_but_anthropic(client: Dialect) -> None:
    wanted = continued(client, Reasoning("", origin="anthropic", redacted=SEALED), call())
    for maker, provider, profile in PROVIDERS:
        written = dumps(provider.encode_request(wanted, profile).payload)
        assert (SEALED.encode() in written) is (maker == "anthropic")


GLM = Profile("glm-4.6", vendor="glm", thinking="switch", reasoning_content=True)


@pytest.mark.parametrize("client", [*CARRIERS, CHAT], ids=lambda one: one.name)
def test_thoughts_that_nobody_signed_go_back_to_glm(client: Dialect) -> None:
    wanted = continued(client, Reasoning("hm", origin="glm"), call())
    payload = CHAT.encode_request(wanted, GLM).payload
    assert part(payload, "messages.1.reasoning_content") == "hm"
    for _, provider, profile in PROVIDERS:
        assert b"hm" not in dumps(provider.encode_request(wanted, profile).payload)
