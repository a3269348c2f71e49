"""GLM: its error codes and what its requests need."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from dialects.anthropic import MESSAGES
from dialects.base import Encoded
from dialects.openai_chat import CHAT
from models.errors import Blame, ErrorKind, Unrepresentable, UpstreamError
from models.json_types import Json, JsonObject
from providers.glm import PROVIDER, diagnose, profile

USER: JsonObject = {"role": "user", "content": "Hi"}
TOOL: JsonObject = {"type": "function", "function": {"name": "f"}}


def failure(code: Json, message: str = "m", status: int = 429) -> UpstreamError:
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    return diagnose(CHAT, status, {}, body)


@pytest.mark.parametrize(
    ("codes", "kind", "blame", "retryable", "status"),
    [
        ("1000 1001 1002 1003 1004", ErrorKind.UPSTREAM_AUTH, Blame.ACCOUNT, True, 502),
        ("500 1100 1200 1230 1234", ErrorKind.UPSTREAM, Blame.ACCOUNT_MODEL, True, 502),
        ("1110 1111 1112 1120 1121", ErrorKind.PERMISSION, Blame.ACCOUNT, True, 502),
        ("1220 1311", ErrorKind.PERMISSION, Blame.ACCOUNT_MODEL, True, 502),
        ("1113 1309", ErrorKind.BILLING, Blame.ACCOUNT, True, 402),
        ("1210 1212 1213 1214 1215", ErrorKind.INVALID_REQUEST, Blame.REQUEST, False, 400),
        # Another provider of the same prefix may have the model, as with every vendor's 404.
        ("1211 1221 1222", ErrorKind.MODEL_NOT_FOUND, Blame.ACCOUNT_MODEL, True, 404),
        ("1231", ErrorKind.CONFLICT, Blame.ACCOUNT_MODEL, True, 409),
        ("1261", ErrorKind.CONTEXT_LENGTH, Blame.REQUEST, False, 400),
        ("1300 1301", ErrorKind.CONTENT_POLICY, Blame.REQUEST, False, 400),
        ("1302 1303", ErrorKind.RATE_LIMIT, Blame.ACCOUNT_MODEL, True, 429),
        ("1305 1312", ErrorKind.OVERLOADED, Blame.PROVIDER, True, 503),
        ("1304 1308 1310 1316 1321", ErrorKind.QUOTA, Blame.ACCOUNT, True, 429),
        ("1313", ErrorKind.RATE_LIMIT, Blame.ACCOUNT, True, 429),
    ],
)
def test_codes_come_first(
    codes: str, kind: ErrorKind, blame: Blame, retryable: bool, status: int
) -> None:
    for code in codes.split():
        error = failure(code)
        assert (error.kind, error.blame, error.retryable) == (kind, blame, retryable), code
        assert error.vendor_code == code
        assert error.status == status
        # Numbers, the other error shape and HTTP 200 say the same.
        assert failure(int(code)).kind is kind
        other = json.dumps({"code": int(code), "msg": "m", "success": False}).encode()
        assert diagnose(CHAT, 200, {}, other).kind is kind


def test_bad_requests_keep_a_sensible_status() -> None:
    assert failure("1214", status=400).status == 400
    assert failure("1214", status=200).status == 400
    long = failure("1210", "tokens in request more than max tokens allowed", 400)
    assert (long.kind, long.status) == (ErrorKind.CONTEXT_LENGTH, 400)


def test_an_unknown_code_is_judged_by_the_status() -> None:
    assert failure("4711", status=429).kind is ErrorKind.RATE_LIMIT
    assert failure("4711", status=434).kind is ErrorKind.PERMISSION
    assert failure("4711", status=435).kind is ErrorKind.TOO_LARGE
    assert diagnose(CHAT, 500, {}, b"oops").kind is ErrorKind.UPSTREAM


@pytest.mark.parametrize(
    "wording",
    [
        "Usage limit reached for 5 hour. Your limit will reset at {}",
        "Weekly/Monthly Limit Exhausted. Your limit will reset at {}.",
        "您的使用额度已达上限, {} 重置",
    ],
)
def test_resets_in_texts_are_beijing_time(wording: str) -> None:
    opens = datetime.now(UTC) + timedelta(hours=2)
    text = (opens + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M:%S")
    waits = failure("1308", wording.format(text)).retry_after_s
    assert waits == pytest.approx(7200, abs=60)


def test_without_a_time_to_come_there_is_a_default() -> None:
    assert failure("1308", "limit, reset at 2020-01-01 00:00:00").retry_after_s == 300
    assert failure("1310", "limit").retry_after_s == 300
    daily = failure("1304").retry_after_s
    assert daily is not None
    assert 0 < daily <= 86_400
    midnight = datetime.fromtimestamp(time.time() + daily, UTC) + timedelta(hours=8, seconds=30)
    assert (midnight.hour, midnight.minute) == (0, 0)
    assert failure("1302").retry_after_s is None


def test_a_header_beats_every_default() -> None:
    body = json.dumps({"error": {"code": "1308", "message": "m"}}).encode()
    assert diagnose(CHAT, 429, {"Retry-After": "7"}, body).retry_after_s == 7


def test_the_messages_endpoint_has_its_code_in_the_text() -> None:
    message = "[1310][Weekly/Monthly Limit Exhausted. Your limit will reset soon]"
    payload = {"type": "error", "error": {"type": "rate_limit_error", "message": message}}
    error = diagnose(MESSAGES, 429, {}, json.dumps(payload).encode())
    assert (error.kind, error.retry_after_s) == (ErrorKind.QUOTA, 300)


# --- requests ---------------------------------------------------------------------------------


def adapt(model: str = "glm-4.6", **body: Json) -> Encoded:
    assert PROVIDER.adapt is not None
    payload: JsonObject = {"model": model, "messages": [USER], **body}
    before = json.dumps(payload)
    encoded = PROVIDER.adapt(payload, profile(model))
    assert json.dumps(payload) == before
    return encoded


def messages(*turns: Json, model: str = "glm-4.6", **body: Json) -> Json:
    return adapt(model, messages=list(turns), **body).payload["messages"]


def test_a_plain_request_passes_as_it_is() -> None:
    encoded = adapt(temperature=0.5, do_sample=True, meta={"a": 1}, request_id="r-123456", seed=1)
    assert encoded == Encoded(
        {
            "model": "glm-4.6",
            "messages": [USER],
            "temperature": 0.5,
            "do_sample": True,
            "meta": {"a": 1},
            "request_id": "r-123456",
            "seed": 1,
        }
    )


def test_roles_names_and_empty_content_are_glms() -> None:
    call: JsonObject = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert messages(
        {"role": "developer", "content": "D", "name": "x"},
        {"role": "user", "name": "bo", "content": [{"type": "text", "text": t} for t in "ab"]},
        {"role": "assistant", "content": None, "reasoning_content": "r", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "24"}]},
        {"role": "assistant", "content": None, "refusal": "no"},
        {"role": "assistant", "content": "", "refusal": "never"},
    ) == [
        {"role": "system", "content": "D"},
        {"role": "user", "content": "a\nb"},
        {"role": "assistant", "content": "", "reasoning_content": "r", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "24"},
        {"role": "assistant", "content": "no"},
        {"role": "assistant", "content": "never"},
    ]


def test_a_conversation_without_a_user_gets_one() -> None:
    assert messages({"role": "system", "content": "S"}) == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "Continue."},
    ]
    assert messages({"role": "system", "content": "S"}, {"role": "assistant", "content": "A"}) == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "Continue."},
        {"role": "assistant", "content": "A"},
    ]


def test_vision_models_get_bare_base64() -> None:
    image: JsonObject = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    turn: JsonObject = {"role": "user", "content": [{"type": "text", "text": "Q"}, image]}
    bare: JsonObject = {"type": "image_url", "image_url": {"url": "QUJD"}}
    assert messages(turn, model="glm-4.6v") == [
        {"role": "user", "content": [{"type": "text", "text": "Q"}, bare]}
    ]
    assert messages(turn) == [turn]


def test_files_have_glms_name_and_ids_of_others_are_refused() -> None:
    data = "data:application/pdf;base64,QUJD"
    ask: JsonObject = {"type": "text", "text": "Q"}
    file: JsonObject = {"type": "file", "file": {"filename": "a.pdf", "file_data": data}}
    told: JsonObject = {"type": "file_url", "file_url": {"url": data}}
    for model in ("glm-4.6v", "glm-4.6"):
        assert messages({"role": "user", "content": [ask, file]}, model=model) == [
            {"role": "user", "content": [ask, told]}
        ]
    foreign: JsonObject = {"type": "file", "file": {"file_id": "file-1"}}
    with pytest.raises(Unrepresentable) as caught:
        messages(USER, {"role": "user", "content": [ask, foreign]})
    assert caught.value.path == "messages[1].content[1]"


def test_limits_have_glms_name_and_cap() -> None:
    assert adapt(max_completion_tokens=5, max_tokens=7).payload["max_tokens"] == 5
    capped = adapt(max_completion_tokens=999_999)
    assert capped.payload["max_tokens"] == 131_072
    assert capped.dropped == ("max_tokens",)
    assert "max_completion_tokens" not in capped.payload


@pytest.mark.parametrize(
    ("body", "expected", "dropped"),
    [
        ({"temperature": 0}, {"temperature": 0.01, "do_sample": False}, ()),
        ({"temperature": 1.5}, {"temperature": 1.0}, ("temperature",)),
        ({"temperature": 1}, {"temperature": 1}, ()),
        ({"top_p": 0}, {"top_p": 0.01}, ()),
        ({"user": "u-1234"}, {"user_id": "u-1234"}, ()),
        ({"user": "u"}, {}, ("user",)),
        ({"safety_identifier": "s-1234", "user": "u-1234"}, {"user_id": "s-1234"}, ()),
        ({"n": 1, "logprobs": False, "store": False, "parallel_tool_calls": True}, {}, ()),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}, ()),
        ({"frequency_penalty": 1, "logit_bias": {}}, {}, ("frequency_penalty", "logit_bias")),
        (
            {"response_format": {"type": "json_object"}},
            {"response_format": {"type": "json_object"}},
            (),
        ),
        ({"tools": [], "tool_choice": "auto"}, {}, ()),
        ({"tools": [TOOL], "tool_choice": "none"}, {}, ()),
        ({"tools": [TOOL]}, {"tools": [TOOL], "tool_choice": "auto"}, ()),
        (
            {"tools": [TOOL], "tool_choice": "required"},
            {"tools": [TOOL], "tool_choice": "auto"},
            ("tool_choice",),
        ),
        (
            {"tools": [TOOL], "stream": True},
            {"tools": [TOOL], "tool_choice": "auto", "stream": True, "tool_stream": True},
            (),
        ),
        (
            {"tools": [TOOL], "stream": True, "tool_stream": False},
            {"tools": [TOOL], "tool_choice": "auto", "stream": True, "tool_stream": False},
            (),
        ),
    ],
)
def test_fields_are_edited_as_glm_needs(
    body: JsonObject, expected: JsonObject, dropped: tuple[str, ...]
) -> None:
    encoded = adapt("glm-4.6", **body)
    assert encoded.payload == {"model": "glm-4.6", "messages": [USER], **expected}
    assert encoded.dropped == dropped


def test_one_named_tool_is_the_only_one_left() -> None:
    other: JsonObject = {
        "type": "function",
        "function": {
            "name": "g",
            "strict": True,
            "parameters": {"$schema": "x", "type": "object", "properties": {"$schema": {}}},
        },
    }
    plain: JsonObject = {
        "type": "function",
        "function": {
            "name": "g",
            "parameters": {"type": "object", "properties": {"$schema": {}}},
        },
    }
    choice: JsonObject = {"type": "function", "function": {"name": "g"}}
    encoded = adapt(tools=[TOOL, other], tool_choice=choice)
    assert encoded.payload["tools"] == [plain]
    assert encoded.dropped == ("tool_choice", "strict")
    allowed: JsonObject = {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [choice]},
    }
    subset = adapt(tools=[TOOL, other], tool_choice=allowed)
    assert subset.payload["tools"] == [plain]
    assert subset.dropped == ("strict",)


def test_one_stop_goes_to_glm_and_the_others_stay_with_the_gateway() -> None:
    encoded = adapt(stop=["a", "b", "c"])
    assert encoded.payload["stop"] == ["a"]
    assert encoded.stops == ("b", "c")
    assert adapt(stop="a").payload["stop"] == ["a"]
    assert "stop" not in adapt(stop=[]).payload


def test_a_schema_for_the_answer_is_told_in_words() -> None:
    shape: JsonObject = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
    encoded = adapt(response_format=shape, messages=[{"role": "system", "content": "S"}, USER])
    assert encoded.payload["response_format"] == {"type": "json_object"}
    assert encoded.dropped == ("response_format",)
    told = encoded.payload["messages"]
    assert isinstance(told, list)
    assert isinstance(told[0], dict)
    assert str(told[0]["content"]).startswith("S\n\n")
    assert '{"type":"object"}' in str(told[0]["content"])
    alone = messages(USER, response_format=shape)
    assert isinstance(alone, list)
    assert isinstance(alone[0], dict)
    assert alone[0]["role"] == "system"


@pytest.mark.parametrize(
    ("model", "body", "thinking", "effort", "dropped"),
    [
        ("glm-4.6", {"reasoning_effort": "none"}, {"type": "disabled"}, None, ()),
        ("glm-4.6", {"reasoning_effort": "low"}, {"type": "enabled"}, None, ()),
        ("glm-5.2", {"reasoning_effort": "none"}, None, "none", ()),
        ("glm-5.2", {"reasoning_effort": "medium"}, None, "medium", ()),
        ("glm-5.3", {"reasoning_effort": "none"}, None, "low", ("reasoning_effort",)),
        ("glm-5.3", {"reasoning_effort": "xhigh"}, None, "max", ()),
        ("glm-5.3", {"thinking": {"type": "disabled"}}, None, "low", ("thinking",)),
        (
            "glm-5",
            {"thinking": {"type": "enabled", "clear_thinking": False}},
            {"type": "enabled", "clear_thinking": False},
            None,
            (),
        ),
        (
            "glm-5.2",
            {"thinking": {"type": "enabled", "budget_tokens": 9000}},
            {"type": "enabled"},
            "high",
            (),
        ),
        ("glm-5", {"thinking": {"type": "adaptive"}}, {"type": "enabled"}, None, ()),
        ("glm-4-plus", {"reasoning_effort": "low"}, None, None, ("reasoning_effort",)),
    ],
)
def test_thinking_is_said_in_the_words_of_the_model(
    model: str, body: JsonObject, thinking: Json, effort: Json, dropped: tuple[str, ...]
) -> None:
    encoded = adapt(model, **body)
    assert encoded.payload.get("thinking") == thinking
    assert encoded.payload.get("reasoning_effort") == effort
    assert encoded.dropped == dropped


@pytest.mark.parametrize(
    "body",
    [
        {"n": 2},
        {"functions": [{"name": "f"}]},
        {"modalities": ["audio"]},
        {"web_search_options": {}},
        {"tools": [{"type": "custom", "custom": {"name": "sh"}}]},
    ],
)
def test_what_would_change_the_meaning_is_refused(body: JsonObject) -> None:
    with pytest.raises(Unrepresentable):
        adapt("glm-4.6", **body)


def test_a_messages_request_arrives_as_glm_needs_it() -> None:
    source: JsonObject = {
        "model": "glm-5.2",
        "max_tokens": 500,
        "stream": True,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "system": "S",
        "stop_sequences": ["a", "b"],
        "messages": [
            {"role": "user", "content": "Go"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "mine", "signature": ""},
                    {"type": "tool_use", "id": "c", "name": "f", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "c", "content": "24"}],
            },
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any"},
        "metadata": {"user_id": "user-1"},
    }
    assert PROVIDER.adapt is not None
    facts = profile("glm-5.2")
    encoded = CHAT.encode_request(MESSAGES.decode_request(source), facts)
    adapted = PROVIDER.adapt(encoded.payload, facts)
    assert encoded.stops == ("b",)
    assert adapted.payload == {
        "model": "glm-5.2",
        "messages": [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "Go"},
            {
                "role": "assistant",
                "content": "",
                "reasoning_content": "mine",
                "tool_calls": [
                    {
                        "id": "c",
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}"},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": "24"},
        ],
        "max_tokens": 500,
        "stop": ["a"],
        "thinking": {"type": "enabled"},
        "reasoning_effort": "medium",
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
            }
        ],
        "tool_choice": "auto",
        "stream": True,
        "tool_stream": True,
        "user_id": "user-1",
    }
    assert adapted.dropped == ("tool_choice",)
