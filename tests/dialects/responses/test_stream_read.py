"""Streams of the Responses format as providers send them, read as events."""

import itertools

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.chat import ChatResponse, FinishReason
from models.content import Opaque, Part, Reasoning, Refusal, Text, ToolCall
from models.errors import ErrorKind, UpstreamError
from models.events import Delta, Failed, Start, collect
from models.json_types import Json, JsonObject
from models.usage import Usage
from tests.dialects.responses.support import (
    COMPLETED,
    CREATED,
    event,
    frames,
    heard,
    message,
    response,
)

THOUGHT: JsonObject = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
    "encrypted_content": "gA",
}
CALL: JsonObject = {
    "id": "fc_1",
    "type": "function_call",
    "call_id": "call_1",
    "name": "wx",
    "arguments": '{"a":1}',
}
CUSTOM: JsonObject = {
    "id": "ctc_1",
    "type": "custom_tool_call",
    "call_id": "call_2",
    "name": "patch",
    "input": 'say "hi"\n',
}
REFUSED: JsonObject = {
    "id": "msg_2",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "refusal", "refusal": "No"}],
}
PARTS: dict[str, tuple[JsonObject, Part]] = {
    "message": (message("Héllo"), Text("Héllo")),
    "reasoning": (THOUGHT, Reasoning("a\n\nb", "gA", "openai")),
    "function_call": (CALL, ToolCall("call_1", "wx", '{"a":1}')),
    "custom_tool_call": (CUSTOM, ToolCall("call_2", "patch", '{"input":"say \\"hi\\"\\n"}')),
    "refusal": (REFUSED, Refusal("No")),
}
each_item = pytest.mark.parametrize(("item", "part"), PARTS.values(), ids=PARTS)


def added(item: JsonObject, index: int = 0) -> JsonObject:
    bare = {key: value for key, value in item.items() if key in ("id", "type", "call_id", "name")}
    return event("output_item.added", output_index=index, item=bare)


def done(item: JsonObject, index: int = 0) -> JsonObject:
    return event("output_item.done", output_index=index, item=item)


def delta(kind: str, text: str, index: int = 0, **place: Json) -> JsonObject:
    name = "summary_index" if "summary" in kind else "content_index"
    fields: JsonObject = {"output_index": index, "item_id": f"i{index}", name: 0, **place}
    return event(f"{kind}.delta", delta=text, **fields)


def deltas(item: JsonObject, index: int = 0) -> list[JsonObject]:
    """Return an item's texts in two pieces each."""
    match item["type"]:
        case "function_call":
            kind, texts = "function_call_arguments", [item["arguments"]]
        case "custom_tool_call":
            kind, texts = "custom_tool_call_input", [item["input"]]
        case "reasoning":
            kind, texts = "reasoning_summary_text", ["a", "b"]
        case _ if item is REFUSED:
            kind, texts = "refusal", ["No"]
        case _:
            kind, texts = "output_text", ["Héllo"]
    key = "summary_index" if item["type"] == "reasoning" else "content_index"
    return [
        delta(kind, piece, index, **{key: at})
        for at, text in enumerate(texts)
        for piece in (str(text)[:2], str(text)[2:])
    ]


def answer(*payloads: JsonObject) -> ChatResponse:
    return collect(heard(frames(*payloads)))


# --- items, told well and badly ---------------------------------------------------------------


@each_item
def test_items_as_openai_tells_them(item: JsonObject, part: Part) -> None:
    end = event("completed", response=response([item]))
    assert answer(CREATED, added(item), *deltas(item), done(item), end).parts == (part,)


@each_item
def test_items_that_come_whole(item: JsonObject, part: Part) -> None:
    assert answer(CREATED, added(item), done(item), COMPLETED).parts == (part,)
    assert answer(CREATED, done(item), COMPLETED).parts == (part,)


@each_item
def test_items_that_only_the_end_tells(item: JsonObject, part: Part) -> None:
    end = event("completed", response=response([item]))
    assert answer(CREATED, end).parts == (part,)
    assert answer(CREATED, added(item), end).parts == (part,)
    assert answer(CREATED, added(item), *deltas(item)[:1], end).parts == (part,)


@each_item
def test_items_that_nobody_completes(item: JsonObject, part: Part) -> None:
    (found,) = answer(CREATED, added(item), *deltas(item), COMPLETED).parts
    if isinstance(part, Reasoning):
        assert found == Reasoning(part.text, origin="openai")
    else:
        assert found == part


@each_item
def test_deltas_without_a_beginning(item: JsonObject, part: Part) -> None:
    assert answer(CREATED, *deltas(item), done(item), COMPLETED).parts == (part,)


def test_texts_that_come_whole_without_deltas() -> None:
    whole = event("output_text.done", output_index=0, item_id="i", content_index=0, text="Hi")
    assert answer(CREATED, whole, COMPLETED).parts == (Text("Hi"),)
    arguments = event("function_call_arguments.done", output_index=0, arguments='{"a":1}')
    call = {**CALL, "arguments": ""}
    found = answer(CREATED, added(call), arguments, done(call), COMPLETED).parts
    assert found == (PARTS["function_call"][1],)


def test_raw_thoughts_and_never_both() -> None:
    raw = delta("reasoning_text", "raw")
    thoughts: Json = [{"type": "reasoning_text", "text": "raw"}]
    both: JsonObject = {**THOUGHT, "content": thoughts}
    found = answer(CREATED, added(THOUGHT), raw, done(both), COMPLETED).parts
    assert found == (Reasoning("raw", "gA", "openai"),)
    assert answer(CREATED, done(both), COMPLETED).parts == (Reasoning("a\n\nb", "gA", "openai"),)


def test_thoughts_that_hold_nothing_are_no_part() -> None:
    empty: JsonObject = {"id": "rs_1", "type": "reasoning", "summary": []}
    assert answer(CREATED, added(empty), done(empty), COMPLETED).parts == ()


def test_parts_of_a_message() -> None:
    payloads = [
        added(message()),
        delta("output_text", "a"),
        delta("output_text", "b", content_index=1),
        delta("refusal", "c", content_index=2),
    ]
    assert answer(CREATED, *payloads, COMPLETED).parts == (Text("a"), Text("b"), Refusal("c"))


@pytest.mark.parametrize("item_id", ["fc_2", "fc_1", None])
def test_items_that_overlap_come_one_after_the_other(item_id: str | None) -> None:
    other = {**CALL, "id": item_id, "call_id": "call_9", "arguments": "{}"}
    payloads = [added(CALL), added(other, 1), *deltas(other, 1), *deltas(CALL), done(other, 1)]
    found = answer(CREATED, *payloads, done(CALL), COMPLETED).parts
    assert found == (PARTS["function_call"][1], ToolCall("call_9", "wx", "{}"))


def test_items_that_are_completed_twice_come_once() -> None:
    other = {**CALL, "id": "fc_2", "call_id": "call_9"}
    payloads = [added(CALL), added(other, 1), done(other, 1), done(other, 1)]
    for rest in ([], [done(CALL), done(other, 1)]):
        found = answer(CREATED, *payloads, *deltas(CALL), *rest, COMPLETED).parts
        assert [part.id for part in found if isinstance(part, ToolCall)] == ["call_1", "call_9"]


def test_items_that_are_all_numbered_alike() -> None:
    other = {**CALL, "id": "fc_2", "call_id": "call_9"}
    payloads = [added(CALL), done(CALL), added(other), done(other)]
    found = answer(CREATED, *payloads, COMPLETED).parts
    assert [part.id for part in found if isinstance(part, ToolCall)] == ["call_1", "call_9"]


@pytest.mark.parametrize(
    ("item", "call"),
    [
        ({**CALL, "call_id": None}, ToolCall("fc_1", "wx", '{"a":1}')),
        ({"type": "function_call"}, ToolCall("call_0", "tool_0", "")),
        ({**CALL, "arguments": {"a": 1}}, ToolCall("call_1", "wx", '{"a":1}')),
        ({**CUSTOM, "input": ""}, ToolCall("call_2", "patch", '{"input":""}')),
    ],
)
def test_calls_that_lack_something(item: JsonObject, call: ToolCall) -> None:
    assert answer(CREATED, done(item), COMPLETED).parts == (call,)


def test_what_only_this_format_knows_is_kept() -> None:
    search: JsonObject = {"type": "web_search_call", "id": "ws_1"}
    payloads = [added(search), event("web_search_call.searching", output_index=0), done(search)]
    assert answer(CREATED, *payloads, COMPLETED).parts == (Opaque("responses", search),)


# --- beginning and end ------------------------------------------------------------------------


def test_who_answers_and_when() -> None:
    begun = heard(frames(CREATED, COMPLETED))[0]
    assert begun == Start("resp_1", "gpt-new-2026", 1_750_000_000)


@pytest.mark.parametrize(
    ("fields", "items", "reason"),
    [
        ({}, [], FinishReason.STOP),
        ({}, [CALL], FinishReason.TOOL_CALLS),
        ({}, [REFUSED], FinishReason.REFUSAL),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            [CALL],
            FinishReason.LENGTH,
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            [],
            FinishReason.CONTENT_FILTER,
        ),
        ({"status": "incomplete", "incomplete_details": None}, [], FinishReason.OTHER),
    ],
)
def test_why_it_ended(fields: JsonObject, items: list[JsonObject], reason: FinishReason) -> None:
    kind = str(fields.get("status", "completed"))
    end = event(kind, response=response(items, **fields))
    assert answer(CREATED, end).finish is reason


def test_usage_is_told_by_the_end() -> None:
    usage: JsonObject = {
        "input_tokens": 1220,
        "input_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 200},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 40},
        "total_tokens": 1270,
    }
    end = event("completed", response=response(usage=usage))
    assert answer(CREATED, end).usage == Usage(20, 50, 1000, 200, 40)


FLAT: JsonObject = {"type": "error", "code": "rate_limit_exceeded", "message": "slow"}
NESTED: JsonObject = {
    "type": "error",
    "status": 429,
    "error": {"type": "tokens", "code": "rate_limit_exceeded", "message": "slow"},
}
IN_RESPONSE = event(
    "failed",
    response=response(status="failed", error={"code": "rate_limit_exceeded", "message": "slow"}),
)
BARE: JsonObject = {"error": {"code": "rate_limit_exceeded", "message": "slow"}}


@pytest.mark.parametrize("told", [FLAT, NESTED, IN_RESPONSE, BARE])
@pytest.mark.parametrize("before", [[], [CREATED, added(message()), delta("output_text", "x")]])
def test_errors_in_a_stream(told: JsonObject, before: list[JsonObject]) -> None:
    raw = frames(*before) + b"data: %b\n\n" % orjson.dumps(told) + frames(COMPLETED)
    last = heard(raw)[-1]
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamError)
    assert (last.error.kind, last.error.message) == (ErrorKind.RATE_LIMIT, "slow")
    assert last.error.upstream_body == orjson.dumps(told)


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_an_answer_that_failed_without_saying_why(status: str) -> None:
    last = heard(frames(CREATED, event("completed", response=response(status=status))))[-1]
    assert isinstance(last, Failed)


@pytest.mark.parametrize("raw", [b"", frames(CREATED), frames(CREATED, added(CALL), done(CALL))])
def test_a_stream_without_its_end_has_failed(raw: bytes) -> None:
    last = heard(raw)[-1]
    assert isinstance(last, Failed)
    assert last.error.kind is ErrorKind.TRUNCATED
    done_marker = heard(raw, b"data: [DONE]\n\n")[-1]
    assert isinstance(done_marker, Failed)


def test_a_last_event_without_its_blank_line_counts_when_it_is_whole() -> None:
    raw = frames(CREATED, COMPLETED)
    assert not isinstance(heard(raw[:-2])[-1], Failed)
    assert isinstance(heard(raw[:-6])[-1], Failed)


def test_garbage_is_a_failure() -> None:
    last = heard(frames(CREATED), b"data: <html>\n\n")[-1]
    assert isinstance(last, Failed)


def test_events_that_nobody_knows_are_skipped() -> None:
    odd = event("brand.new", output_index=0)
    padded = {**delta("output_text", "x"), "obfuscation": "abc", "sequence_number": "?"}
    found = answer(CREATED, odd, added(message()), padded, odd, COMPLETED)
    assert found.parts == (Text("x"),)


def test_an_item_is_complete_only_once() -> None:
    call: JsonObject = {"id": "ws_1", "type": "web_search_call", "status": "completed"}
    text = [added(message(), 1), delta("output_text", "x", 1)]
    found = answer(CREATED, added(call), done(call), *text, done(call), COMPLETED)
    assert found.parts == (Opaque("responses", call), Text("x"))


def test_types_may_stand_in_the_event_line_alone() -> None:
    raw = b"event: response.completed\ndata: %b\n\n" % orjson.dumps({"response": response()})
    assert collect(heard(frames(CREATED), raw)).finish is FinishReason.STOP


def test_surrogate_pairs_that_are_cut_are_joined() -> None:
    raw = frames(CREATED, added(message()))
    for half in (b"a\\ud83d", b"\\ude00b", b"c\\ud83d"):
        data = b'{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"'
        raw += b"data: " + data + half + b'"}\n\n'
    found = heard(raw + frames(done(message("a\U0001f600bc\ufffd")), COMPLETED))
    assert "".join(one.text for one in found if isinstance(one, Delta)) == "a\U0001f600bc\ufffd"


SCENARIO = frames(
    CREATED,
    event("in_progress", response=response(status="in_progress")),
    *itertools.chain.from_iterable(
        [added(item, at), *deltas(item, at), done(item, at)]
        for at, (item, _) in enumerate(PARTS.values())
    ),
    event("completed", response=response([item for item, _ in PARTS.values()])),
)


@given(st.lists(st.integers(0, len(SCENARIO)), max_size=12), st.sampled_from([b"\n", b"\r\n"]))
def test_a_stream_says_the_same_however_it_is_cut(places: list[int], ending: bytes) -> None:
    raw = SCENARIO.replace(b"\n", ending)
    cuts = sorted({0, len(raw), *places})
    told = heard(*[raw[start:end] for start, end in itertools.pairwise(cuts)])
    assert told == heard(SCENARIO)
    assert collect(told).parts == tuple(part for _, part in PARTS.values())
