"""The end of an answer, told by every provider to every client: why it came, what it cost."""

import pytest

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.gemini import GEMINI
from dialects.openai_chat import CHAT
from dialects.openai_responses import RESPONSES
from models.chat import ChatResponse, FinishReason
from models.content import Part, Text, ToolCall
from models.errors import ErrorKind, StreamBroken, UpstreamError
from models.events import Delta, Event, Failed, PartStart, Start, collect, replay
from models.json_types import Json, JsonObject
from models.usage import Usage
from tests.dialects.official import check_answer, check_frame
from tests.dialects.pairs.formats import CONTEXTS, FORMATS, payloads, streamed
from tests.dialects.pairs.routes import part

CALL = ToolCall("c", "f", "{}")
SAID = Text("x")

END: dict[Dialect, str] = {
    MESSAGES: "stop_reason",
    CHAT: "choices.0.finish_reason",
    RESPONSES: "status",
    GEMINI: "candidates.0.finishReason",
}


def told(client: Dialect, answer: ChatResponse) -> JsonObject:
    """Return a whole answer as a client gets it; the stream must end with the same word."""
    context = CONTEXTS[client.name]
    whole = client.encode_response(answer, context)
    check_answer(client.name, whole)
    frames = payloads(b"".join(streamed(client, replay(answer))))
    for frame in frames:
        check_frame(client.name, frame)
    words = [word for frame in frames if (word := _word(client, frame)) is not None]
    assert words[-1] == part(whole, END[client])
    return whole


def _word(client: Dialect, frame: JsonObject) -> Json:
    match client.name:
        case "messages":
            return part(frame, "delta.stop_reason")
        case "responses":
            return part(frame, "response.status")
        case _:
            return part(frame, END[client])


R = FinishReason
DONE, CUT = "completed", "incomplete"


@pytest.mark.parametrize(
    ("reason", "parts", "messages", "chat", "responses", "gemini"),
    [
        (R.STOP, (SAID,), "end_turn", "stop", DONE, "STOP"),
        (R.STOP, (SAID, CALL), "tool_use", "tool_calls", DONE, "STOP"),
        (R.OTHER, (CALL,), "tool_use", "tool_calls", DONE, "STOP"),
        (R.TOOL_CALLS, (CALL,), "tool_use", "tool_calls", DONE, "STOP"),
        (R.TOOL_CALLS, (SAID,), "end_turn", "stop", DONE, "STOP"),
        (R.STOP_SEQUENCE, (SAID,), "stop_sequence", "stop", DONE, "STOP"),
        (R.LENGTH, (SAID,), "max_tokens", "length", CUT, "MAX_TOKENS"),
        (R.LENGTH, (CALL,), "max_tokens", "length", CUT, "MAX_TOKENS"),
        (R.CONTEXT_LENGTH, (SAID,), "model_context_window_exceeded", "length", CUT, "MAX_TOKENS"),
        (R.CONTENT_FILTER, (), "refusal", "content_filter", CUT, "SAFETY"),
        (R.REFUSAL, (), "refusal", "content_filter", CUT, "SAFETY"),
        (R.PAUSE, (SAID,), "pause_turn", "stop", DONE, "STOP"),
        (R.OTHER, (SAID,), "end_turn", "stop", DONE, "OTHER"),
        (R.MALFORMED, (SAID,), "end_turn", "stop", "failed", "MALFORMED_FUNCTION_CALL"),
    ],
)
def test_why_an_answer_ended(
    reason: FinishReason,
    parts: tuple[Part, ...],
    messages: str,
    chat: str,
    responses: str,
    gemini: str,
) -> None:
    sequence = "END" if reason is R.STOP_SEQUENCE else None
    answer = ChatResponse("u", "m", 1, parts, reason, sequence, Usage(1, 1))
    words = {MESSAGES: messages, CHAT: chat, RESPONSES: responses, GEMINI: gemini}
    for client in FORMATS:
        assert part(told(client, answer), END[client]) == words[client]


FILTERED = [
    "SAFETY",
    "RECITATION",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "MODEL_ARMOR",
]
BROKEN = [
    "MALFORMED_FUNCTION_CALL",
    "MALFORMED_RESPONSE",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
]
ODD = ["OTHER", "LANGUAGE", "NO_IMAGE", "IMAGE_OTHER", "ESCALATION", "OF_TOMORROW"]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("STOP", R.STOP),
        ("MAX_TOKENS", R.LENGTH),
        ("CONTINUATION", R.PAUSE),
        *[(word, R.CONTENT_FILTER) for word in FILTERED],
        *[(word, R.MALFORMED) for word in BROKEN],
        *[(word, R.OTHER) for word in ODD],
    ],
)
def test_every_word_of_gemini_for_an_end(word: str, reason: FinishReason) -> None:
    content: Json = {"role": "model", "parts": [{"text": "x"}]}
    answer: JsonObject = {"candidates": [{"content": content, "finishReason": word}]}
    assert GEMINI.decode_response(answer).finish is reason


# --- nothing at all ---------------------------------------------------------------------------

NOTHING = ChatResponse("u", "m", 1, (), R.STOP, usage=Usage(1, 0))


@pytest.mark.parametrize(
    ("client", "path", "expected"),
    [
        (MESSAGES, "content", []),
        (CHAT, "choices.0.message.content", ""),
        (RESPONSES, "output", []),
        (GEMINI, "candidates.0.content", {"role": "model"}),
    ],
)
def test_an_empty_answer_is_no_error(client: Dialect, path: str, expected: Json) -> None:
    assert part(told(client, NOTHING), path) == expected


BLOCKED: JsonObject = {
    "promptFeedback": {"blockReason": "SAFETY"},
    "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5},
}


@pytest.mark.parametrize(
    ("client", "ends"),
    [
        (MESSAGES, {"stop_reason": "refusal", "content": []}),
        (CHAT, {END[CHAT]: "content_filter", "choices.0.message.content": ""}),
        (RESPONSES, {"status": CUT, "incomplete_details.reason": "content_filter", "output": []}),
    ],
)
def test_a_blocked_prompt_is_an_answer_that_was_withheld(client: Dialect, ends: JsonObject) -> None:
    whole = told(client, GEMINI.decode_response(BLOCKED))
    assert {path: part(whole, path) for path in ends} == ends


# --- usage ------------------------------------------------------------------------------------

WRITTEN: dict[Dialect, JsonObject] = {
    MESSAGES: {
        "input_tokens": 20,
        "cache_creation_input_tokens": 200,
        "cache_read_input_tokens": 1000,
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 40},
    },
    CHAT: {
        "prompt_tokens": 1220,
        "completion_tokens": 50,
        "total_tokens": 1270,
        "prompt_tokens_details": {"cached_tokens": 1000},
        "completion_tokens_details": {"reasoning_tokens": 40},
    },
    RESPONSES: {
        "input_tokens": 1220,
        "input_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 200},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 40},
        "total_tokens": 1270,
    },
    GEMINI: {
        "promptTokenCount": 1220,
        "cachedContentTokenCount": 1000,
        "candidatesTokenCount": 10,
        "thoughtsTokenCount": 40,
        "totalTokenCount": 1270,
    },
}
SPENT = Usage(20, 50, 1000, 200, 40)


@pytest.mark.parametrize("client", FORMATS, ids=lambda one: one.name)
def test_what_was_used_is_counted_in_each_formats_own_way(client: Dialect) -> None:
    key = "usageMetadata" if client is GEMINI else "usage"
    answer = ChatResponse("u", "m", 1, (SAID,), R.STOP, usage=SPENT)
    assert told(client, answer)[key] == WRITTEN[client]
    frames = payloads(b"".join(streamed(client, replay(answer))))
    counts = [frame.get(key) or part(frame, f"response.{key}") for frame in frames]
    assert [one for one in counts if one][-1] == WRITTEN[client]
    # Not every format tells what was written to a cache.
    read = client.read_usage({key: WRITTEN[client]})
    assert read in (SPENT, Usage(220, 50, 1000, None, 40))


@pytest.mark.parametrize("client", FORMATS, ids=lambda one: one.name)
def test_usage_that_nobody_told_is_not_made_up(client: Dialect) -> None:
    whole = told(client, ChatResponse("u", "m", 1, (SAID,), R.STOP))
    found = whole.get("usage", whole.get("usageMetadata"))
    if client is MESSAGES:  # whose clients demand the counts
        assert isinstance(found, dict)
        assert not any(found.values())
    else:
        assert found is None


def test_a_messages_client_learns_all_its_tokens_at_the_end() -> None:
    """Gemini and Responses tell them in their last event, when `message_start` is long sent."""
    events = [*replay(ChatResponse("u", "m", 1, (SAID,), R.STOP, usage=SPENT))]
    frames = payloads(b"".join(streamed(MESSAGES, [Start("u", "m"), *events[1:]])))
    assert part(frames[0], "message.usage.input_tokens") == 0
    assert [frame["usage"] for frame in frames if "usage" in frame] == [WRITTEN[MESSAGES]]


# --- errors inside a stream -------------------------------------------------------------------

BEGUN: list[Event] = [Start("u", "m"), PartStart(Text("")), Delta("x")]
BUSY = UpstreamError("Busy", kind=ErrorKind.OVERLOADED, status=503)
CUT_OFF = StreamBroken("the provider's stream ended before its answer was complete")


@pytest.mark.parametrize("error", [BUSY, CUT_OFF], ids=["told", "cut off"])
@pytest.mark.parametrize(
    ("client", "before", "name", "path"),
    [
        (MESSAGES, BEGUN, b"event: error\n", "error.message"),
        (CHAT, BEGUN, b"data: ", "error.message"),
        (RESPONSES, BEGUN, b"event: response.failed\n", "response.error.message"),
        (RESPONSES, [], b"event: error\n", "message"),
        (GEMINI, BEGUN, b'data: {"error":{"code":', "error.message"),
    ],
)
def test_an_error_is_the_last_that_a_client_hears(
    client: Dialect, before: list[Event], name: bytes, path: str, error: UpstreamError
) -> None:
    frames = streamed(client, [*before, Failed(error)])
    assert frames[-1].startswith(name)
    assert part(payloads(frames[-1])[0], path) == error.message
    for mark in (b"[DONE]", b"message_stop", b"response.completed", b'"finishReason"'):
        assert mark not in b"".join(frames)
    with pytest.raises(UpstreamError):
        collect([*before, Failed(error)])


def test_nothing_but_data_keeps_a_gemini_client_waiting() -> None:
    """Google's SDK takes comments and event lines for JSON."""
    assert GEMINI.ping == b""
    assert CHAT.ping.startswith(b":")
    assert MESSAGES.ping.startswith(b"event: ping\n")
