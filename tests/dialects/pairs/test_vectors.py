"""Requests and answers of one format, and exactly what they are in each of the others."""

import base64

from dialects.anthropic import MESSAGES
from dialects.base import Dialect, ReplyContext
from dialects.gemini import GEMINI
from dialects.openai_chat import CHAT
from dialects.openai_responses import RESPONSES
from dialects.signatures import tagged
from models.json_types import Json, JsonObject
from providers import anthropic, gemini_profile
from tests.dialects.pairs.formats import CONTEXTS

SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
ROMA: JsonObject = {"city": "Roma"}


def say(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def test_a_messages_request_for_gemini() -> None:
    """The name of the tool is found by the id of its call, Anthropic's signature stays away, the
    call gets what stands for one, the budget becomes a level."""
    thought: Json = {"type": "thinking", "thinking": "t", "signature": "anthropicSig"}
    use: Json = {"type": "tool_use", "id": "toolu_1", "name": "wx", "input": ROMA}
    result: Json = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "24C"}
    asked: JsonObject = {
        "model": "m",
        "max_tokens": 500,
        "system": "S",
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "messages": [
            {"role": "user", "content": "Go"},
            {"role": "assistant", "content": [thought, use]},
            {"role": "user", "content": [result]},
        ],
        "tools": [{"name": "wx", "description": "d", "input_schema": SCHEMA}],
        "tool_choice": {"type": "tool", "name": "wx"},
    }
    called: JsonObject = {
        "functionCall": {"id": "toolu_1", "name": "wx", "args": ROMA},
        "thoughtSignature": "skip_thought_signature_validator",
    }
    response: JsonObject = {"id": "toolu_1", "name": "wx", "response": {"output": "24C"}}
    profile = gemini_profile.profile("gemini-3-flash")
    encoded = GEMINI.encode_request(MESSAGES.decode_request(asked), profile)
    assert encoded.payload == {
        "systemInstruction": {"parts": [{"text": "S"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Go"}]},
            {"role": "model", "parts": [called]},
            {"role": "user", "parts": [{"functionResponse": response}]},
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "wx", "description": "d", "parametersJsonSchema": SCHEMA}
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["wx"]}},
        "generationConfig": {
            "maxOutputTokens": 500,
            "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "MEDIUM"},
        },
    }
    assert encoded.dropped == ("reasoning",)


def test_a_responses_request_for_claude() -> None:
    """Items become turns, OpenAI's reasoning stays away, an effort is said adaptively."""
    png: JsonObject = {"type": "input_image", "image_url": "data:image/png;base64,QUJD"}
    asked: JsonObject = {
        "model": "m",
        "instructions": "S",
        "max_output_tokens": 300,
        "reasoning": {"effort": "high"},
        "input": [
            {"role": "user", "content": "Go"},
            {"type": "reasoning", "summary": [], "encrypted_content": "openaiBlob"},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Ok"}],
            },
            {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
            {
                "type": "function_call_output",
                "call_id": "call_1",
                "output": [{"type": "input_text", "text": "r"}, png],
            },
        ],
        "tools": [
            {
                "type": "function",
                "name": "f",
                "parameters": {"type": "object", "properties": {}},
                "strict": False,
            }
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
    }
    image: Json = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"},
    }
    profile = anthropic.profile("claude-opus-4-8")
    encoded = MESSAGES.encode_request(RESPONSES.decode_request(asked), profile)
    thinking = encoded.payload.pop("thinking")
    assert isinstance(thinking, dict)
    assert thinking["type"] == "adaptive"
    assert encoded.payload == {
        "model": "claude-opus-4-8",
        "max_tokens": 300,
        "system": "S",
        "output_config": {"effort": "high"},
        "messages": [
            {"role": "user", "content": "Go"},
            {
                "role": "assistant",
                "content": [
                    say("Ok"),
                    {"type": "tool_use", "id": "call_1", "name": "f", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": [say("r"), image]}
                ],
            },
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}],
        "tool_choice": {"type": "auto"},
    }
    assert encoded.dropped == ("reasoning",)


# --- one answer for all clients ---------------------------------------------------------------

OF_GEMINI: JsonObject = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "plan", "thought": True},
                    {"text": "Sure."},
                    {
                        "functionCall": {"id": "fc1", "name": "wx", "args": ROMA},
                        "thoughtSignature": "QUJD",
                    },
                ],
            },
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 120,
        "cachedContentTokenCount": 100,
        "candidatesTokenCount": 10,
        "thoughtsTokenCount": 5,
        "totalTokenCount": 135,
    },
    "modelVersion": "gm",
    "responseId": "r1",
}
OF_CLAUDE: JsonObject = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "cl",
    "content": [{"type": "thinking", "thinking": "hm", "signature": "EqQB"}, say("Par")],
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
CALL_TAG = tagged("gemini", "QUJD", "call")
TAG = tagged("anthropic", "EqQB")


def told(provider: Dialect, answer: JsonObject, client: Dialect) -> JsonObject:
    """Return a whole answer as a client gets it."""
    context = CONTEXTS[client.name]
    read = provider.decode_response(answer)
    return client.encode_response(read, ReplyContext(context.request, "gw1", 1_760_000_000))


def message(text: str, status: str) -> JsonObject:
    part: Json = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    said: JsonObject = {"type": "message", "role": "assistant"}
    return {"id": "msg_gw1_1", **said, "status": status, "content": [part]}


def summary(text: str) -> Json:
    return [{"type": "summary_text", "text": text}]


def test_geminis_answer_for_a_messages_client() -> None:
    assert told(GEMINI, OF_GEMINI, MESSAGES) == {
        "id": "msg_gw1",
        "type": "message",
        "role": "assistant",
        "model": "gm",
        "content": [
            {"type": "thinking", "thinking": "plan", "signature": ""},
            say("Sure."),
            {"type": "thinking", "thinking": "", "signature": CALL_TAG},
            {"type": "tool_use", "id": "fc1", "name": "wx", "input": ROMA},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 20,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 100,
            "output_tokens": 15,
            "output_tokens_details": {"thinking_tokens": 5},
        },
    }


def test_geminis_answer_for_a_chat_client() -> None:
    call: JsonObject = {
        "id": "fc1",
        "type": "function",
        "function": {"name": "wx", "arguments": '{"city":"Roma"}'},
        "extra_content": {"google": {"thought_signature": "QUJD"}},
    }
    assert told(GEMINI, OF_GEMINI, CHAT) == {
        "id": "chatcmpl-gw1",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": "gm",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Sure.",
                    "refusal": None,
                    "reasoning_content": "plan",
                    "tool_calls": [call],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 120,
            "completion_tokens": 15,
            "total_tokens": 135,
            "prompt_tokens_details": {"cached_tokens": 100},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
    }


def test_geminis_answer_for_a_responses_client() -> None:
    answer = told(GEMINI, OF_GEMINI, RESPONSES)
    thought: JsonObject = {"id": "rs_gw1_0", "type": "reasoning", "summary": summary("plan")}
    unsigned = tagged("gemini", "-", "unsigned")
    assert (answer["id"], answer["status"], answer["output"]) == (
        "resp_gw1",
        "completed",
        [
            {**thought, "encrypted_content": unsigned},
            message("Sure.", "completed"),
            {"id": "rs_gw1_2", "type": "reasoning", "summary": [], "encrypted_content": CALL_TAG},
            {
                "id": "fc_gw1_3",
                "type": "function_call",
                "status": "completed",
                "call_id": "fc1",
                "name": "wx",
                "arguments": '{"city":"Roma"}',
            },
        ],
    )
    assert answer["usage"] == {
        "input_tokens": 120,
        "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 0},
        "output_tokens": 15,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 135,
    }


def test_claudes_answer_for_a_responses_client() -> None:
    answer = told(MESSAGES, OF_CLAUDE, RESPONSES)
    thought: JsonObject = {"id": "rs_gw1_0", "type": "reasoning", "summary": summary("hm")}
    assert answer["output"] == [{**thought, "encrypted_content": TAG}, message("Par", "incomplete")]
    assert (answer["status"], answer["incomplete_details"]) == (
        "incomplete",
        {"reason": "max_output_tokens"},
    )
    assert answer["usage"] == {
        "input_tokens": 1220,
        "input_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 200},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 40},
        "total_tokens": 1270,
    }


def test_claudes_answer_for_a_gemini_client() -> None:
    """Its clients decode the signature to bytes, so the tag is base64 once more."""
    packed = base64.b64encode(TAG.encode()).decode()
    thought: Json = {"text": "hm", "thought": True, "thoughtSignature": packed}
    content: Json = {"role": "model", "parts": [thought, {"text": "Par"}]}
    answer = told(MESSAGES, OF_CLAUDE, GEMINI)
    assert answer["candidates"] == [{"content": content, "finishReason": "MAX_TOKENS", "index": 0}]
    assert answer["usageMetadata"] == {
        "promptTokenCount": 1220,
        "cachedContentTokenCount": 1000,
        "candidatesTokenCount": 10,
        "thoughtsTokenCount": 40,
        "totalTokenCount": 1270,
    }
    assert (answer["modelVersion"], answer["responseId"]) == ("cl", "msg_1")
