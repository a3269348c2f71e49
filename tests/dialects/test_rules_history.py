"""Every rule about what was said before."""

import pytest

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.openai_chat import CHAT
from models.errors import BadRequest, Unrepresentable
from models.json_types import Json, JsonObject
from tests.dialects.routes import (
    ADAPTIVE,
    GLM,
    GLM_VISION,
    GPT,
    HI,
    MANUAL,
    OLD,
    from_chat,
    from_messages,
    sent,
)
from tests.dialects.test_rules_content import (
    ASK,
    BARE_IMAGE,
    IMAGE,
    IMAGE_URL,
    PDF,
    PDF_URL,
    part,
    words,
)


def use(call_id: str, name: str = "f", **given: Json) -> JsonObject:
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def result(call_id: str, content: Json = "r", **rest: Json) -> JsonObject:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **rest}


def call(call_id: str, arguments: Json = "{}", name: str = "f") -> JsonObject:
    function: JsonObject = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def called(*calls: Json) -> JsonObject:
    return {"role": "assistant", "content": None, "tool_calls": [*calls]}


def told(call_id: str, content: Json = "r") -> JsonObject:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def user(*blocks: Json) -> JsonObject:
    return {"role": "user", "content": [*blocks]}


def assistant(*blocks: Json) -> JsonObject:
    return {"role": "assistant", "content": [*blocks]}


BOTH = call("a"), call("b")
MISSING: JsonObject = result("b", "[tool call was not executed]", is_error=True)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param(
            [HI, called(*BOTH), told("b"), told("a"), HI],
            [HI, assistant(use("a"), use("b")),
             user(result("a"), result("b"), {"type": "text", "text": "Hi"})],
            id="order of the calls, one message",
        ),
        pytest.param(
            [HI, called(*BOTH), told("a")],
            [HI, assistant(use("a"), use("b")), user(result("a"), MISSING)],
            id="a call nobody answered",
        ),
        pytest.param(
            [HI, called(call("a")), told("a", "1"), told("a", "2")],
            [HI, assistant(use("a")), user(result("a", "2"))],
            id="answered twice",
        ),
        pytest.param(
            [HI, called(call("a", "[1]")), told("a", "")],
            [HI, assistant(use("a", _raw="[1]")),
             user({"type": "tool_result", "tool_use_id": "a"})],
            id="arguments that are no object, an empty result",
        ),
        pytest.param(
            [HI, called(call("a", {"x": 1})), told("a", [{"type": "text", "text": "r"}])],
            [HI, assistant(use("a", x=1)), user(result("a"))],
            id="arguments that came as an object",
        ),
        pytest.param(
            [HI, called(call("a")), told("a", [ASK, IMAGE_URL])],
            [HI, assistant(use("a")), user(result("a", [ASK, IMAGE]))],
            id="an image in a result",
        ),
    ],
)  # fmt: skip
def test_tools_of_a_chat_client(messages: list[Json], expected: list[Json]) -> None:
    assert from_chat(MANUAL, messages=messages).payload["messages"] == expected


SHOWN: JsonObject = {"type": "text", "text": "Image returned by tool call a:"}


@pytest.mark.parametrize(
    ("model", "messages", "expected"),
    [
        pytest.param(
            GPT,
            [HI, assistant(use("a"), use("b")),
             user(result("b", "no", is_error=True), result("a", [ASK, IMAGE]), ASK)],
            [HI, called(*BOTH), told("a", "Look\n[image attached below]"), told("b", "Error: no"),
             user(SHOWN, IMAGE_URL), {"role": "user", "content": "Look"}],
            id="images after all results",
        ),
        pytest.param(
            GLM_VISION,
            [HI, assistant(use("a")), user(result("a", [IMAGE]))],
            [HI, {**called(call("a")), "content": ""}, told("a", "[image attached below]"),
             user(SHOWN, BARE_IMAGE)],
            id="images of results, GLM",
        ),
        pytest.param(
            GPT,
            [HI, assistant(use("a")), user(result("a", [{"type": "document", "source": PDF}]))],
            [HI, called(call("a")), told("a", "[document attached below]"),
             user({"type": "text", "text": "Document returned by tool call a:"},
                  part("file", filename="document.pdf", file_data=PDF_URL))],
            id="a PDF in a result",
        ),
        pytest.param(
            GPT,
            [HI, assistant(use("a")), user(result("a", [words("w", title="T")]))],
            [HI, called(call("a")), told("a", "T\n\nw")],
            id="a text document in a result",
        ),
        pytest.param(
            GPT,
            [HI, assistant(use("a")), user(result("a", "errors: none", is_error=True))],
            [HI, called(call("a")), told("a", "Error: errors: none")],
            id="an error that does not say so",
        ),
        pytest.param(
            GPT,
            [HI, assistant(use("a")), user(ASK)],
            [HI, called(call("a")), told("a", "Error: [tool call was not executed]"),
             {"role": "user", "content": "Look"}],
            id="a call nobody answered",
        ),
        pytest.param(
            GPT,
            [HI, assistant(ASK, use("a", _raw="{bad"), {"type": "text", "text": "!"}),
             user(result("a"))],
            [HI, {**called(call("a", "{bad")), "content": "Look!"}, told("a")],
            id="what was no object returns as it was",
        ),
    ],
)  # fmt: skip
def test_tools_of_a_messages_client(model: str, messages: list[Json], expected: list[Json]) -> None:
    assert from_messages(model, messages=messages).payload["messages"] == expected


def test_a_result_that_is_to_be_cited_is_text_and_tells_what_is_lost() -> None:
    found: JsonObject = {
        "type": "search_result",
        "source": "https://x.test",
        "title": "T",
        "content": [{"type": "text", "text": "w"}],
        "citations": {"enabled": True},
    }
    history: list[Json] = [HI, assistant(use("a")), user(result("a", [found]))]
    request = from_messages(GPT, messages=history)
    answer = told("a", "T\nSource: https://x.test\n\nw")
    assert request.payload["messages"] == [HI, called(call("a")), answer]
    assert request.dropped == ("citations",)


@pytest.mark.parametrize(
    ("client", "model", "history"),
    [
        (MESSAGES, GPT, [assistant(use("call_0")), user(result("call_0", "1"))]),
        (CHAT, MANUAL, [called(call("call_0")), told("call_0", "1")]),
    ],
)
def test_ids_that_a_server_counts_anew_in_every_answer(
    client: Dialect, model: str, history: list[JsonObject]
) -> None:
    messages: list[Json] = [HI, *history, *history, *history]
    written = sent(client, model, messages=messages).payload["messages"]
    assert sent(client, model, messages=messages).payload["messages"] == written
    assert isinstance(written, list)
    calls: list[str] = []
    results: list[str] = []
    for message in written:
        assert isinstance(message, dict)
        content, made = message.get("content"), message.get("tool_calls")
        blocks = [*(made if isinstance(made, list) else []), message]
        for block in [*blocks, *(content if isinstance(content, list) else [])]:
            if isinstance(block, dict) and "id" in block:
                calls.append(str(block["id"]))
            if isinstance(block, dict) and {"tool_use_id", "tool_call_id"} & set(block):
                results.append(str(block.get("tool_use_id", block.get("tool_call_id"))))
    assert len(set(calls)) == 3
    assert results == calls
    assert calls[0] == "call_0"


@pytest.mark.parametrize(
    ("client", "model", "messages"),
    [
        (MESSAGES, GPT, [HI, user(result("x"))]),
        (CHAT, MANUAL, [HI, told("x")]),
        (CHAT, MANUAL, [HI, called(call("a")), HI, assistant(ASK), HI, told("a")]),
    ],
)
def test_a_result_that_answers_nothing_is_refused(
    client: Dialect, model: str, messages: list[Json]
) -> None:
    with pytest.raises(BadRequest) as caught:
        sent(client, model, messages=messages)
    assert caught.value.status == 400


SIGNED: JsonObject = {"type": "thinking", "thinking": "t", "signature": "EqQB"}
UNSIGNED: JsonObject = {"type": "thinking", "thinking": "t", "signature": ""}
SEALED: JsonObject = {"type": "redacted_thinking", "data": "d"}


@pytest.mark.parametrize(
    ("model", "thought", "kept", "dropped"),
    [
        (GPT, SIGNED, None, ("messages.thinking",)),
        (GPT, SEALED, None, ("messages.thinking",)),
        (GLM, UNSIGNED, "t", ()),
        (GLM, SIGNED, None, ("messages.thinking",)),
    ],
)
def test_thinking_goes_back_only_to_who_made_it(
    model: str, thought: JsonObject, kept: str | None, dropped: tuple[str, ...]
) -> None:
    history: list[Json] = [HI, assistant(thought, use("a")), user(result("a"))]
    request = from_messages(model, messages=history)
    messages = request.payload["messages"]
    assert isinstance(messages, list)
    assert isinstance(messages[1], dict)
    assert messages[1].get("reasoning_content") == kept
    assert request.dropped == dropped


@pytest.mark.parametrize(("model", "thinks"), [(MANUAL, False), (ADAPTIVE, True), (OLD, False)])
def test_a_tool_loop_whose_thinking_is_lost(model: str, thinks: bool) -> None:
    """Models with a budget demand the thinking of the running loop; later ones do not."""
    history: list[Json] = [HI, {**called(call("a")), "reasoning_content": "t"}, told("a")]
    request = from_chat(model, messages=history, reasoning_effort="high")
    assert ("thinking" in request.payload) is thinks
    lost = ("messages.reasoning_content",)
    assert request.dropped == (lost if thinks else (*lost, "reasoning_effort"))


def test_assistant_turns_of_a_messages_client() -> None:
    cited: JsonObject = {**ASK, "citations": [{"type": "char_location", "cited_text": "x"}]}
    picture = from_messages(GPT, messages=[HI, assistant(ASK, words("w")), HI])
    assert picture.dropped == ("document",)
    request = from_messages(GPT, messages=[HI, assistant(cited, ASK), HI])
    assert request.payload["messages"] == [HI, {"role": "assistant", "content": "LookLook"}, HI]
    assert request.dropped == ("citations",)
    search: JsonObject = {"type": "server_tool_use", "id": "s", "name": "web_search"}
    with pytest.raises(Unrepresentable) as caught:
        from_messages(GPT, messages=[HI, assistant(search), HI])
    assert caught.value.path == "messages[1].content[0]"


def test_assistant_turns_of_a_chat_client() -> None:
    refused: JsonObject = {"role": "assistant", "content": None, "refusal": "No.", "name": "bo"}
    request = from_chat(MANUAL, messages=[HI, refused, HI])
    assert request.payload["messages"] == [HI, {"role": "assistant", "content": "No."}, HI]
    assert request.dropped == ("name",)
    old: JsonObject = {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}
    answer: JsonObject = {"role": "function", "name": "f", "content": "r"}
    written = from_chat(MANUAL, messages=[HI, old, answer]).payload["messages"]
    assert written == [HI, assistant(use("call_0")), user(result("call_0"))]
    with pytest.raises(Unrepresentable):
        from_chat(MANUAL, messages=[HI, {"role": "assistant", "audio": {"id": "a"}}, HI])


def test_ids_that_the_provider_would_refuse_have_one_form_in_call_and_result() -> None:
    foreign = "fc:1/é" + "x" * 60
    ways: list[tuple[Dialect, str, Json]] = [
        (CHAT, MANUAL, [HI, called(call(foreign)), told(foreign)]),
        (MESSAGES, GPT, [HI, assistant(use(foreign)), user(result(foreign))]),
    ]
    for client, model, messages in ways:
        written = sent(client, model, messages=messages).payload["messages"]
        assert foreign not in str(written)
        assert str(written).count("call_" if model == GPT else "toolu_") >= 2
