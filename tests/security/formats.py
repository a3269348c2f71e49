"""Valid requests of every format and operation that use every field which is translated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.security.requests import CHAT, MESSAGES, PLAIN, SCHEMA


@dataclass(frozen=True)
class Form:
    """Requests of one dialect."""

    path: str
    """`MODEL` and `METHOD` stand for what Google's clients put there."""
    plain: dict[str, Any]
    rich: dict[str, Any]

    def at(self, model: str, *, stream: bool = False) -> str:
        """Return the path of a model."""
        method = "streamGenerateContent" if stream else "generateContent"
        return self.path.replace("MODEL", model).replace("METHOD", method)

    def asking(self, model: str, *, stream: bool = False) -> dict[str, Any]:
        """Return a plain request; Google's say neither what model nor that they stream."""
        if "MODEL" in self.path:
            return self.plain
        return {**self.plain, "model": model, **({"stream": True} if stream else {})}

    @property
    def can_stream(self) -> bool:
        return self.path in _STREAMED


RESPONSES: Final[dict[str, Any]] = {
    "model": "gpt-fake",
    "instructions": "Be kind.",
    "input": [
        {"type": "message", "role": "developer", "content": "Short."},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look"},
                {
                    "type": "input_image",
                    "image_url": "data:image/png;base64,QUJD",
                    "detail": "low",
                },
                {
                    "type": "input_file",
                    "filename": "a.pdf",
                    "file_data": "data:application/pdf;base64,QUJD",
                },
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "I look.", "annotations": []}],
        },
        {"type": "function_call", "call_id": "c1", "name": "wx", "arguments": '{"city":"Roma"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "sun"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** Begin"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [
            {"type": "input_text", "text": "done"}
        ]},
    ],
    "tools": [
        {"type": "function", "name": "wx", "parameters": SCHEMA, "strict": True},
        {"type": "custom", "name": "patch", "description": "d", "format": {"type": "text"}},
        {"type": "namespace", "name": "ns", "tools": [
            {"type": "function", "name": "in", "parameters": SCHEMA}
        ]},
        {"type": "web_search"},
    ],
    "tool_choice": {"type": "function", "name": "wx"},
    "parallel_tool_calls": False,
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {
        "verbosity": "low",
        "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True},
    },
    "include": ["reasoning.encrypted_content"],
    "max_output_tokens": 100,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_logprobs": 0,
    "truncation": "disabled",
    "store": False,
    "stream": False,
    "user": "u",
    "safety_identifier": "s",
    "prompt_cache_key": "k",
    "metadata": {"a": "b"},
    "service_tier": "auto",
}  # fmt: skip

GEMINI: Final[dict[str, Any]] = {
    "systemInstruction": {"parts": [{"text": "Be kind."}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "Look"},
                {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
                {"inline_data": {"mime_type": "application/pdf", "data": "QUJD"}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "hm", "thought": True, "thoughtSignature": "c2ln"},
                {
                    "functionCall": {"id": "c1", "name": "wx", "args": {"city": "Roma"}},
                    "thoughtSignature": "c2ln",
                },
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "wx", "response": {"output": "sun"}}}
            ],
        },
    ],
    "tools": [
        {"functionDeclarations": [
            {"name": "wx", "description": "d", "parameters": {
                "type": "OBJECT",
                "properties": {"city": {"type": "STRING", "nullable": True, "enum": ["Roma"]}},
                "required": ["city"],
            }},
            {"name": "wy", "parametersJsonSchema": SCHEMA},
        ]},
        {"googleSearch": {}},
    ],
    "toolConfig": {
        "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["wx"]}
    },
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    "generationConfig": {
        "maxOutputTokens": 100,
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 5,
        "seed": 7,
        "candidateCount": 1,
        "stopSequences": ["END"],
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.1,
        "responseLogprobs": False,
        "logprobs": 0,
        "responseMimeType": "application/json",
        "responseSchema": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}},
        "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024},
    },
    "labels": {"a": "b"},
}  # fmt: skip
_HELLO: Final[dict[str, Any]] = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}

COMPLETIONS: Final[dict[str, Any]] = {
    "model": "gpt-fake",
    "prompt": ["Once"],
    "suffix": None,
    "max_tokens": 9,
    "temperature": 0.5,
    "top_p": 0.9,
    "n": 1,
    "stream": False,
    "logprobs": None,
    "echo": False,
    "stop": ["END"],
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "best_of": 1,
    "logit_bias": {"5": 1},
    "user": "u",
    "seed": 7,
}
EMBEDDINGS: Final[dict[str, Any]] = {
    "model": "gpt-fake",
    "input": ["a", "b"],
    "dimensions": 8,
    "encoding_format": "float",
    "user": "u",
}

_COUNTED_MESSAGES: Final = {
    key: MESSAGES[key] for key in ("model", "messages", "system", "tools", "tool_choice")
}
_COUNTED_RESPONSES: Final = {
    key: RESPONSES[key] for key in ("model", "input", "instructions", "tools", "tool_choice")
}
_RESPONSES: Final = {"model": "gpt-fake", "input": "Hello"}

FORMS: Final[Mapping[str, Form]] = {
    "messages": Form("/v1/messages", PLAIN["messages"], MESSAGES),
    "chat": Form("/v1/chat/completions", PLAIN["chat"], CHAT),
    "responses": Form("/v1/responses", _RESPONSES, RESPONSES),
    "gemini": Form("/v1beta/models/MODEL:METHOD", _HELLO, GEMINI),
    "completions": Form("/v1/completions", {"model": "gpt-fake", "prompt": "Once"}, COMPLETIONS),
    "embeddings": Form("/v1/embeddings", {"model": "gpt-fake", "input": "a"}, EMBEDDINGS),
    "messages.count": Form(
        "/v1/messages/count_tokens",
        {"model": "gpt-fake", "messages": PLAIN["messages"]["messages"]},
        _COUNTED_MESSAGES,
    ),
    "responses.count": Form("/v1/responses/input_tokens", _RESPONSES, _COUNTED_RESPONSES),
    "gemini.count": Form(
        "/v1beta/models/MODEL:countTokens",
        _HELLO,
        {"generateContentRequest": {"model": "models/m", **GEMINI}},
    ),
}
_STREAMED: Final = frozenset(
    FORMS[name].path for name in ("messages", "chat", "responses", "gemini", "completions")
)
