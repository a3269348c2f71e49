"""Requests and answers of one format against their exact counterparts in the other."""

from dialects.anthropic import MESSAGES
from dialects.base import ReplyContext
from dialects.openai_chat import CHAT
from models.json_types import JsonObject
from models.profile import Profile

CLAUDE = Profile("m", vendor="anthropic", thinking="adaptive", efforts=("low", "medium", "high"))
GPT = Profile("m", vendor="openai", efforts=("low", "medium", "high"))

TOOL_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}


def test_a_messages_request_with_parallel_calls_becomes_a_chat_request() -> None:
    """Also: system blocks, an error result, an image inside a result, cache marks dropped."""
    wanted = MESSAGES.decode_request(
        {
            "model": "m",
            "max_tokens": 500,
            "stop_sequences": ["END"],
            "system": [
                {"type": "text", "text": "S1", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "S2"},
            ],
            "messages": [
                {"role": "user", "content": "Go"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "t", "signature": "sig"},
                        {"type": "text", "text": "Ok"},
                        {
                            "type": "tool_use",
                            "id": "toolu_1",
                            "name": "wx",
                            "input": {"city": "Roma"},
                        },
                        {
                            "type": "tool_use",
                            "id": "toolu_2",
                            "name": "wx",
                            "input": {"city": "Oslo"},
                        },
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "toolu_1",
                            "content": [
                                {"type": "text", "text": "map"},
                                {
                                    "type": "image",
                                    "source": {
                                        "type": "base64",
                                        "media_type": "image/png",
                                        "data": "QUJD",
                                    },
                                },
                            ],
                        },
                        {
                            "type": "tool_result",
                            "tool_use_id": "toolu_2",
                            "is_error": True,
                            "content": "timeout",
                        },
                        {"type": "text", "text": "Continue"},
                    ],
                },
            ],
            "tools": [{"name": "wx", "description": "d", "input_schema": TOOL_SCHEMA}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        }
    )
    written = CHAT.encode_request(wanted, GPT)
    assert written.payload == {
        "model": "m",
        "max_completion_tokens": 500,
        "stop": ["END"],
        "messages": [
            {"role": "system", "content": "S1\n\nS2"},
            {"role": "user", "content": "Go"},
            {
                "role": "assistant",
                "content": "Ok",
                "tool_calls": [
                    {
                        "id": "toolu_1",
                        "type": "function",
                        "function": {"name": "wx", "arguments": '{"city":"Roma"}'},
                    },
                    {
                        "id": "toolu_2",
                        "type": "function",
                        "function": {"name": "wx", "arguments": '{"city":"Oslo"}'},
                    },
                ],
            },
            {
                "role": "tool",
                "tool_call_id": "toolu_1",
                "content": "map\n[image attached below]",
            },
            {"role": "tool", "tool_call_id": "toolu_2", "content": "Error: timeout"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Image returned by tool call toolu_1:"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
                ],
            },
            {"role": "user", "content": "Continue"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "wx", "description": "d", "parameters": TOOL_SCHEMA},
            }
        ],
        "tool_choice": "required",
        "parallel_tool_calls": False,
    }
    assert written.dropped == ("reasoning",)


def test_a_chat_request_with_a_schema_becomes_a_messages_request() -> None:
    """Also: system merge, results in the order of the calls, the default limit."""
    answer_schema: JsonObject = {
        "type": "object",
        "properties": {"x": {"type": "string"}},
        "required": ["x"],
        "additionalProperties": False,
    }
    wanted = CHAT.decode_request(
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "S1"},
                {"role": "developer", "content": "S2"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Q"},
                        {
                            "type": "image_url",
                            "image_url": {"url": "https://x.test/a.png", "detail": "low"},
                        },
                    ],
                },
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "f", "arguments": '{"a":1}'},
                        },
                        {
                            "id": "call_2",
                            "type": "function",
                            "function": {"name": "g", "arguments": ""},
                        },
                    ],
                },
                {"role": "tool", "tool_call_id": "call_2", "content": "r2"},
                {"role": "tool", "tool_call_id": "call_1", "content": "r1"},
                {"role": "user", "content": "Next"},
            ],
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "f",
                        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
                    },
                },
                {"type": "function", "function": {"name": "g"}},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "o", "strict": True, "schema": answer_schema},
            },
            "seed": 7,
            "user": "u1",
        }
    )
    written = MESSAGES.encode_request(wanted, CLAUDE)
    assert written.payload == {
        "model": "m",
        "max_tokens": 4096,
        "system": [{"type": "text", "text": "S1"}, {"type": "text", "text": "S2"}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Q"},
                    {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}},
                    {"type": "tool_use", "id": "call_2", "name": "g", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": "r1"},
                    {"type": "tool_result", "tool_use_id": "call_2", "content": "r2"},
                    {"type": "text", "text": "Next"},
                ],
            },
        ],
        "tools": [
            {
                "name": "f",
                "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
            },
            {"name": "g", "input_schema": {"type": "object", "properties": {}}},
        ],
        "output_config": {"format": {"type": "json_schema", "schema": answer_schema}},
        "metadata": {"user_id": "u1"},
    }
    assert written.dropped == ("detail", "seed")


def test_a_messages_answer_becomes_a_chat_answer() -> None:
    answer = MESSAGES.decode_response(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "cl",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "EqQB"},
                {"type": "text", "text": "Par"},
            ],
            "stop_reason": "max_tokens",
            "stop_sequence": None,
            "usage": {
                "input_tokens": 20,
                "cache_creation_input_tokens": 200,
                "cache_read_input_tokens": 1000,
                "output_tokens": 50,
                "output_tokens_details": {"thinking_tokens": 40},
            },
        }
    )
    wanted = CHAT.decode_request({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
    written = CHAT.encode_response(answer, ReplyContext(wanted, "gw1", 1_760_000_000))
    assert written == {
        "id": "chatcmpl-gw1",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": "cl",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Par",
                    "refusal": None,
                    "reasoning_content": "hm",
                },
                "logprobs": None,
                "finish_reason": "length",
            }
        ],
        "usage": {
            "prompt_tokens": 1220,
            "completion_tokens": 50,
            "total_tokens": 1270,
            "prompt_tokens_details": {"cached_tokens": 1000},
            "completion_tokens_details": {"reasoning_tokens": 40},
        },
    }
