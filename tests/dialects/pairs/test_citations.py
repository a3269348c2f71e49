"""Web pages that an answer cites: each vendor counts in its own way where that stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.citations import read_annotations
from dialects.fields import dumps
from dialects.gemini import GEMINI
from dialects.gemini.grounding import read_grounding
from dialects.openai_chat import CHAT
from dialects.openai_responses import RESPONSES
from models.chat import ChatResponse
from models.content import Text, ToolCall
from models.events import Event, collect, replay
from models.json_types import Json, JsonObject
from tests.dialects.official import check_answer
from tests.dialects.pairs.formats import CONTEXTS, heard, payloads, streamed

SAID = "Größe: "
CITED = "5 µm"
FIRST, LAST = len(SAID), len(SAID) + len(CITED)
BYTES = (len(SAID.encode()), len((SAID + CITED).encode()))
PLACE: JsonObject = {"url": "https://x.test/a", "title": "A"}
IN_CHARACTERS: JsonObject = {**PLACE, "start_index": FIRST, "end_index": LAST}
GROUNDED: JsonObject = {
    "groundingChunks": [
        {"web": {"uri": "https://x.test/b", "title": "B"}},
        {"web": {"uri": "https://x.test/a", "title": "A"}},
        {"retrievedContext": {}},
    ],
    "groundingSupports": [
        {
            "segment": {"startIndex": BYTES[0], "endIndex": BYTES[1], "text": CITED},
            "groundingChunkIndices": [1, 2, 7],
        }
    ],
}


def chat(text: str, notes: Json = None) -> JsonObject:
    said: JsonObject = {"content": text, **({"annotations": notes} if notes else {})}
    return {"id": "u", "model": "m", "choices": [{"index": 0, "delta": said}]}


def gemini(text: str, **more: Json) -> JsonObject:
    content: Json = {"role": "model", "parts": [{"text": text}]}
    return {"candidates": [{"content": content, **more}], "modelVersion": "gm", "responseId": "u"}


def responses(kind: str, **fields: Json) -> JsonObject:
    place: JsonObject = {"output_index": 0, "content_index": 0, "item_id": "i"}
    return {"type": f"response.{kind}", **place, **fields}


NESTED: Json = [{"type": "url_citation", "url_citation": IN_CHARACTERS}]
FLAT: JsonObject = {"type": "url_citation", **IN_CHARACTERS}
PART: JsonObject = {"type": "output_text", "text": SAID + CITED, "annotations": [FLAT]}
ITEM: JsonObject = {"type": "message", "id": "i", "role": "assistant", "content": [PART]}
WHOLE: JsonObject = {"id": "u", "model": "m", "status": "completed", "output": [ITEM]}
END: JsonObject = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
TOLD = responses("output_text.annotation.added", annotation_index=0, annotation=FLAT)

STREAMS = [
    pytest.param(
        CHAT, [chat(SAID), chat(CITED), chat("", NESTED), END], id="chat: annotations at the end"
    ),
    pytest.param(CHAT, [chat(SAID + CITED, NESTED), END], id="chat: annotations with the text"),
    pytest.param(
        RESPONSES,
        [
            responses("output_item.added", item={**ITEM, "content": []}),
            responses("output_text.delta", delta=SAID + CITED),
            TOLD,
            responses("output_item.done", item=ITEM),
            {"type": "response.completed", "response": WHOLE},
        ],
        id="responses: told as they come, and twice more",
    ),
    pytest.param(
        RESPONSES,
        [{"type": "response.completed", "response": WHOLE}],
        id="responses: told at the end alone",
    ),
    pytest.param(
        GEMINI,
        [gemini(SAID), gemini(CITED, finishReason="STOP", groundingMetadata=GROUNDED)],
        id="gemini: in bytes",
    ),
]


def read(provider: Dialect, chunks: list[JsonObject]) -> list[Event]:
    return heard(provider, [b"data: %b\n\n" % dumps(chunk) for chunk in chunks])


@pytest.mark.parametrize(("provider", "chunks"), STREAMS)
def test_a_citation_keeps_its_place(provider: Dialect, chunks: list[JsonObject]) -> None:
    events = read(provider, chunks)
    answer = collect(events)
    assert answer.parts == (Text(SAID + CITED, citations=(FLAT,)),)
    for told in (events, [*replay(answer)]):
        deltas = payloads(b"".join(streamed(CHAT, told)))
        assert [one for delta in deltas for one in _annotations(delta)] == NESTED
        (part,) = _part(collect(heard(RESPONSES, streamed(RESPONSES, told))))
        assert part.citations == (FLAT,)
    assert _written(CHAT, answer)["annotations"] == NESTED
    output = RESPONSES.encode_response(answer, CONTEXTS["responses"])["output"]
    assert isinstance(output, list)
    assert output[0]["content"][0]["annotations"] == [FLAT]  # type: ignore[index, call-overload]  # JSON


@pytest.mark.parametrize(("provider", "chunks"), STREAMS)
def test_a_messages_client_gets_no_citation_that_lacks_what_its_format_demands(
    provider: Dialect, chunks: list[JsonObject]
) -> None:
    events = read(provider, chunks)
    whole = MESSAGES.encode_response(collect(events), CONTEXTS["messages"])
    check_answer("messages", whole)
    assert whole["content"] == [{"type": "text", "text": SAID + CITED}]
    for told in (events, [*replay(collect(events))]):
        assert b"citation" not in b"".join(streamed(MESSAGES, told))


def test_whole_answers_cite_as_streams_do() -> None:
    message: JsonObject = {"role": "assistant", "content": SAID + CITED, "annotations": NESTED}
    completion: JsonObject = {"id": "u", "choices": [{"message": message}]}
    grounded = gemini(SAID + CITED, finishReason="STOP", groundingMetadata=GROUNDED)
    for provider, answer in ((CHAT, completion), (RESPONSES, WHOLE), (GEMINI, grounded)):
        assert _part(provider.decode_response(answer))[0].citations == (FLAT,)


def test_a_text_behind_another_is_cited_as_a_whole() -> None:
    """Chat counts from the beginning of all texts, and says what is cited once for all."""
    thought: JsonObject = {"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]}
    events = read(CHAT, [chat("Well. "), thought, chat(CITED), chat("", NESTED), END])
    texts = _part(collect(events))
    assert [text.citations for text in texts] == [(), ({"type": "url_citation", **PLACE},)]
    deltas = payloads(b"".join(streamed(CHAT, events)))
    (note,) = [one for delta in deltas for one in _annotations(delta)]
    assert note["url_citation"] == {**PLACE, "start_index": 6, "end_index": 6 + len(CITED)}


def test_a_place_never_leaves_its_text() -> None:
    cut = Text("Gr", citations=(FLAT,))
    answer = ChatResponse("u", "m", 1, (cut,), collect(read(CHAT, [chat("x"), END])).finish)
    (note,) = _annotations({"choices": [{"delta": _written(CHAT, answer)}]})
    assert note["url_citation"] == {**PLACE, "start_index": 2, "end_index": 2}


keys = st.sampled_from(
    ["type", "url", "url_citation", "start_index", "end_index", "groundingChunks", "web", "uri",
     "groundingSupports", "segment", "startIndex", "endIndex", "groundingChunkIndices", "title"]
)  # fmt: skip
anything: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 99) | st.sampled_from(["", "x", "url_citation"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(anything, st.dictionaries(keys, anything))
def test_whatever_is_told_of_citations_is_survived(notes: Json, metadata: JsonObject) -> None:
    for page in [*read_annotations(notes), *read_grounding(metadata, "Größe")]:
        assert page["url"]


def _part(answer: ChatResponse) -> list[Text]:
    assert not any(isinstance(part, ToolCall) for part in answer.parts)
    return [part for part in answer.parts if isinstance(part, Text)]


def _written(client: Dialect, answer: ChatResponse) -> JsonObject:
    choices = client.encode_response(answer, CONTEXTS[client.name])["choices"]
    assert isinstance(choices, list)
    message = choices[0]["message"]  # type: ignore[index, call-overload]  # JSON
    assert isinstance(message, dict)
    return message


def _annotations(chunk: JsonObject) -> list[JsonObject]:
    choices = chunk["choices"]
    assert isinstance(choices, list)
    found: list[JsonObject] = []
    for choice in choices:
        assert isinstance(choice, dict)
        delta = choice["delta"]
        assert isinstance(delta, dict)
        notes = delta.get("annotations", [])
        assert isinstance(notes, list)
        found += [note for note in notes if isinstance(note, dict)]
    return found
