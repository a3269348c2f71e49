"""Streams of the Responses format as clients get them."""

import pytest

from dialects.openai_responses import RESPONSES
from dialects.signatures import tagged
from models.chat import FinishReason
from models.content import Inline, Media, Opaque, Reasoning, Refusal, Text, ToolCall
from models.errors import ErrorKind, GatewayError, StreamBroken, UpstreamError
from models.events import Delta, Event, Failed, Finish, PartEnd, PartStart, Progress
from models.json_types import Json, JsonObject
from models.usage import Usage
from tests.dialects.responses.support import (
    BEGUN,
    DONE,
    ID,
    WX,
    answer,
    context,
    final,
    output,
    part,
    told,
    types,
)

BEGINNING = ["created", "in_progress"]
TEXT = ["content_part.added", "output_text.delta", "output_text.done", "content_part.done"]


def test_text() -> None:
    payloads = answer(part(Text(""), "Hé", "llo"))
    assert types(payloads) == [
        *BEGINNING,
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    item_id = f"msg_{ID}_0"
    assert payloads[4] == {
        "type": "response.output_text.delta",
        "sequence_number": 4,
        "item_id": item_id,
        "output_index": 0,
        "content_index": 0,
        "delta": "Hé",
        "logprobs": [],
    }
    assert output(payloads) == [
        {
            "id": item_id,
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "Héllo", "annotations": [], "logprobs": []}
            ],
        }
    ]
    assert final(payloads)["usage"] == {
        "input_tokens": 1220,
        "input_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 200},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 40},
        "total_tokens": 1270,
    }


def test_nothing_at_all() -> None:
    payloads = answer(part(Text("")), part(Reasoning("")), part(Text(""), ""))
    assert types(payloads) == [*BEGINNING, "completed"]
    assert final(payloads)["output"] == []


def test_texts_in_a_row_share_a_message_and_a_refusal_is_a_part_of_its_own() -> None:
    payloads = answer(part(Text("a")), part(Text(""), "b"), part(Refusal(""), "no"))
    (message,) = output(payloads)
    assert isinstance(message, dict)
    assert message["content"] == [
        {"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
        {"type": "output_text", "text": "b", "annotations": [], "logprobs": []},
        {"type": "refusal", "refusal": "no"},
    ]
    assert types(payloads)[3:-2] == [
        *TEXT,
        *TEXT,
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
    ]


def test_other_items_part_messages() -> None:
    payloads = answer(part(Text(""), "a"), part(ToolCall("c", "wx", ""), "{}"), part(Text("b")))
    items = output(payloads)
    assert [item["type"] for item in items if isinstance(item, dict)] == [
        "message",
        "function_call",
        "message",
    ]
    added = [one for one in payloads if one["type"] == "response.output_item.added"]
    assert [one["output_index"] for one in added] == [0, 1, 2]


def test_pages_that_are_cited() -> None:
    page: JsonObject = {"url": "https://x.test", "title": "X"}
    events: list[Event] = [BEGUN, PartStart(Text("")), Delta("See"), Delta(" it", citation=page)]
    payloads = told([*events, Delta(citation={"document_index": 0}), PartEnd(), DONE])
    note: JsonObject = {
        "type": "url_citation",
        "url": "https://x.test",
        "title": "X",
        "start_index": 0,
        "end_index": 6,
    }
    (added,) = [one for one in payloads if str(one["type"]).endswith("annotation.added")]
    assert (added["annotation_index"], added["annotation"]) == (0, note)
    assert str(note).replace("'", "") in str(output(payloads)).replace("'", "")


# --- thoughts ---------------------------------------------------------------------------------


def test_thoughts_are_a_summary_with_what_brings_them_back() -> None:
    payloads = answer(part(Reasoning("", origin="anthropic"), "h", "m", signature="Eq"))
    assert types(payloads)[2:-1] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    assert output(payloads) == [
        {
            "id": f"rs_{ID}_0",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": tagged("anthropic", "Eq"),
        }
    ]


@pytest.mark.parametrize(
    ("thought", "signature", "carried"),
    [
        (Reasoning("", origin="openai"), "gA", "gA"),
        (Reasoning("", origin="gemini"), "Ab", tagged("gemini", "Ab")),
        (Reasoning("", "Eq", "anthropic"), None, tagged("anthropic", "Eq")),
        (
            Reasoning("", origin="anthropic", redacted="Zz"),
            None,
            tagged("anthropic", "Zz", of="redacted"),
        ),
    ],
)
def test_thoughts_without_text_are_carried_too(
    thought: Reasoning, signature: str | None, carried: str
) -> None:
    payloads = answer(part(thought, signature=signature))
    assert types(payloads)[2:-1] == ["output_item.added", "output_item.done"]
    assert output(payloads) == [
        {"id": f"rs_{ID}_0", "type": "reasoning", "summary": [], "encrypted_content": carried}
    ]


@pytest.mark.parametrize(
    ("origin", "carried"),
    [(None, None), ("openai", None), ("glm", tagged("glm", "-", of="unsigned"))],
)
def test_unsigned_thoughts_say_at_most_whose_they_are(
    origin: str | None, carried: str | None
) -> None:
    (item,) = output(answer(part(Reasoning("", origin=origin), "hm")))
    assert isinstance(item, dict)
    assert item.get("encrypted_content") == carried


# --- calls ------------------------------------------------------------------------------------


def test_a_call() -> None:
    payloads = answer(part(ToolCall("call_1", "wx", ""), '{"a"', ":1}"))
    item: JsonObject = {
        "id": f"fc_{ID}_0",
        "type": "function_call",
        "status": "completed",
        "call_id": "call_1",
        "name": "wx",
        "arguments": '{"a":1}',
    }
    assert types(payloads)[2:-1] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    assert payloads[2]["item"] == {**item, "status": "in_progress", "arguments": ""}
    assert (payloads[5]["name"], payloads[5]["arguments"]) == ("wx", '{"a":1}')
    assert output(payloads) == [item]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    payloads = answer(part(ToolCall("call_1", "wx", "")))
    deltas = [one["delta"] for one in payloads if str(one["type"]).endswith("arguments.delta")]
    assert deltas == ["{}"]


def test_a_call_of_a_namespace_comes_under_its_own_names() -> None:
    space: JsonObject = {"type": "namespace", "name": "work", "description": "d", "tools": [WX]}
    payloads = answer(part(ToolCall("c", "work__wx", "{}")), tools=[WX, space])
    (item,) = output(payloads)
    assert isinstance(item, dict)
    assert (item["name"], item["namespace"]) == ("wx", "work")
    (plain,) = output(answer(part(ToolCall("c", "wx", "{}")), tools=[WX, space]))
    assert isinstance(plain, dict)
    assert (plain["name"], plain.get("namespace")) == ("wx", None)


def test_a_call_with_free_text_is_unwrapped() -> None:
    tools: list[Json] = [{"type": "custom", "name": "patch"}]
    call = part(ToolCall("c", "patch", ""), '{"inp', 'ut":"a\\n', 'b"}')
    payloads = answer(call, tools=tools)
    assert types(payloads)[2:-1] == [
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
    ]
    assert (payloads[3]["delta"], payloads[4]["input"]) == ("a\nb", "a\nb")
    (item,) = output(payloads)
    assert isinstance(item, dict)
    assert (item["type"], item["id"], item["input"]) == ("custom_tool_call", f"ctc_{ID}_0", "a\nb")


def test_a_signature_of_a_call_is_carried_before_it() -> None:
    signed = ToolCall("c", "wx", "", signature="Ab", origin="gemini")
    carrier, call = output(answer(part(signed, "{}")))
    assert isinstance(carrier, dict)
    assert isinstance(call, dict)
    assert carrier["encrypted_content"] == tagged("gemini", "Ab", of="call")
    assert (carrier["type"], call["type"]) == ("reasoning", "function_call")


def test_pictures_and_what_only_this_format_knows() -> None:
    search: JsonObject = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    search["action"] = {"type": "search", "query": "q", "queries": ["q"]}
    payloads = answer(
        part(Media("image", Inline("image/png", "QUJD"))),
        part(Opaque("responses", search)),
        part(Opaque("messages", {"type": "server_tool_use"})),
        part(Media("audio", Inline("audio/wav", "QUJD"))),
    )
    picture, found, note = output(payloads)
    assert isinstance(picture, dict)
    assert (picture["type"], picture["result"]) == ("image_generation_call", "QUJD")
    assert found == search
    assert "audio" in str(note)


# --- the end ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        (FinishReason.STOP, "completed", None),
        (FinishReason.STOP_SEQUENCE, "completed", None),
        (FinishReason.TOOL_CALLS, "completed", None),
        (FinishReason.PAUSE, "completed", None),
        (FinishReason.OTHER, "completed", None),
        (FinishReason.LENGTH, "incomplete", {"reason": "max_output_tokens"}),
        (FinishReason.CONTEXT_LENGTH, "incomplete", {"reason": "max_output_tokens"}),
        (FinishReason.CONTENT_FILTER, "incomplete", {"reason": "content_filter"}),
        (FinishReason.REFUSAL, "incomplete", {"reason": "content_filter"}),
    ],
)
def test_how_an_answer_ends(reason: FinishReason, status: str, details: Json) -> None:
    payloads = answer(part(Text(""), "Par"), finish=Finish(reason))
    assert payloads[-1]["type"] == f"response.{status}"
    whole = final(payloads)
    assert (whole["status"], whole["incomplete_details"]) == (status, details)
    (item,) = output(payloads)
    assert isinstance(item, dict)
    assert item["status"] == status
    assert whole["usage"] is None


def test_a_refusal_in_words_completes_the_answer() -> None:
    payloads = answer(part(Refusal("No")), finish=Finish(FinishReason.REFUSAL))
    assert final(payloads)["status"] == "completed"


def test_arguments_that_break_off_are_an_incomplete_call() -> None:
    call = part(ToolCall("c", "wx", ""), '{"a')
    (item,) = output(answer(call, finish=Finish(FinishReason.LENGTH)))
    assert isinstance(item, dict)
    assert (item["status"], item["arguments"]) == ("incomplete", '{"a')


def test_a_malformed_answer_is_a_failure() -> None:
    payloads = answer(part(Text("x")), finish=Finish(FinishReason.MALFORMED))
    assert payloads[-1]["type"] == "response.failed"
    error = final(payloads)["error"]
    assert isinstance(error, dict)
    assert error["code"] == "server_error"


def test_usage_is_told_by_the_last_report() -> None:
    events: list[Event] = [BEGUN, Progress(Usage(5, 1)), *part(Text("x"))]
    usage = final(told([*events, Finish(FinishReason.STOP, usage=Usage(output_tokens=9))]))["usage"]
    assert isinstance(usage, dict)
    assert (usage["input_tokens"], usage["output_tokens"]) == (5, 9)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StreamBroken("cut"), "server_error"),
        (UpstreamError("busy", kind=ErrorKind.RATE_LIMIT), "rate_limit_exceeded"),
        (GatewayError("stopping", kind=ErrorKind.UNAVAILABLE), "server_error"),
    ],
)
def test_an_answer_that_breaks_off_has_failed(error: GatewayError, code: str) -> None:
    said = [BEGUN, *part(Text(""), "a"), *part(ToolCall("c", "wx", ""), "{}"), Failed(error)]
    payloads = told(said)
    assert payloads[-1]["type"] == "response.failed"
    whole = final(payloads)
    assert (whole["id"], whole["status"]) == (f"resp_{ID}", "failed")
    assert whole["error"] == {"code": code, "message": error.message}
    assert str(whole["output"]).count("'type': 'message'") == 1


def test_a_stream_that_never_began_ends_with_an_error() -> None:
    encoder = RESPONSES.encoder(context())
    raw = encoder.encode(Failed(UpstreamError("busy", kind=ErrorKind.OVERLOADED)))
    assert raw == RESPONSES.encode_stream_error(
        UpstreamError("busy", kind=ErrorKind.OVERLOADED), ID
    )
    assert encoder.encode(Finish(FinishReason.STOP)) == b""


def test_nothing_follows_the_end() -> None:
    encoder = RESPONSES.encoder(context())
    for event in (BEGUN, DONE):
        encoder.encode(event)
    assert encoder.encode(Failed(StreamBroken("late"))) == b""
    assert encoder.encode(DONE) == b""
