"""Features that are settings: tools and their choice, sampling, thinking, output, the rest."""

from typing import Final

from models.json_types import Json, JsonObject
from tests.losses.feature import MARK, Feature, beside, knob

_SCHEMA: Final[JsonObject] = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": MARK}},
    "required": ["city"],
    "additionalProperties": False,
}


def _function(**more: Json) -> JsonObject:
    """Return OpenAI's nested form."""
    function: JsonObject = {"name": "wx", "description": f"{MARK} d", "parameters": _SCHEMA, **more}
    return {"type": "function", "function": function}


_PLAIN: Final[JsonObject] = {"name": "wx", "description": f"{MARK} d", "input_schema": _SCHEMA}
_FLAT: Final[JsonObject] = {
    "type": "function",
    "name": "wx",
    "description": f"{MARK} d",
    "parameters": _SCHEMA,
    "strict": False,
}
_DECLARED: Final[JsonObject] = {
    "functionDeclarations": [
        {"name": "wx", "description": f"{MARK} d", "parametersJsonSchema": _SCHEMA}
    ]
}
_OTHER: Final[JsonObject] = {"name": "other", "input_schema": {"type": "object"}}

TOOL: Final = knob(
    "tool",
    messages={"tools": [_PLAIN]},
    chat={"tools": [_function()]},
    responses={"tools": [_FLAT]},
    gemini={"tools": [_DECLARED]},
)


def _calling(mode: str, *names: str) -> JsonObject:
    wish: JsonObject = {"mode": mode}
    if names:
        wish["allowedFunctionNames"] = [*names]
    return {"toolConfig": {"functionCallingConfig": wish}}


TOOLS: Final = [
    TOOL,
    beside(
        TOOL,
        "tool, strict",
        messages={"tools": [{**_PLAIN, "strict": True}]},
        chat={"tools": [_function(strict=True)]},
        responses={"tools": [{**_FLAT, "strict": True}]},
    ),
    knob(
        "custom tool (free text)",
        chat={"tools": [{"type": "custom", "custom": {"name": "wx", "description": MARK}}]},
        responses={"tools": [{"type": "custom", "name": "wx", "description": MARK}]},
    ),
    knob(
        "tool of the provider's own",
        messages={"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        responses={"tools": [{"type": "web_search"}]},
        gemini={"tools": [{"googleSearch": {}}]},
    ),
    beside(
        TOOL,
        "tool choice: auto",
        messages={"tool_choice": {"type": "auto"}},
        chat={"tool_choice": "auto"},
        responses={"tool_choice": "auto"},
        gemini=_calling("AUTO"),
    ),
    beside(
        TOOL,
        "tool choice: none",
        messages={"tool_choice": {"type": "none"}},
        chat={"tool_choice": "none"},
        responses={"tool_choice": "none"},
        gemini=_calling("NONE"),
    ),
    beside(
        TOOL,
        "tool choice: required",
        messages={"tool_choice": {"type": "any"}},
        chat={"tool_choice": "required"},
        responses={"tool_choice": "required"},
        gemini=_calling("ANY"),
    ),
    beside(
        TOOL,
        "tool choice: one",
        messages={"tool_choice": {"type": "tool", "name": "wx"}},
        chat={"tool_choice": {"type": "function", "function": {"name": "wx"}}},
        responses={"tool_choice": {"type": "function", "name": "wx"}},
        gemini=_calling("ANY", "wx"),
    ),
    Feature(
        "tool choice: some of them",
        {
            "chat": {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {
                        "mode": "auto",
                        "tools": [{"type": "function", "function": {"name": "wx"}}],
                    },
                }
            },
            "responses": {
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [{"type": "function", "name": "wx"}],
                }
            },
            "gemini": _calling("VALIDATED", "wx"),
        },
        {
            "chat": {"tools": [_function(), {"type": "function", "function": {"name": "other"}}]},
            "responses": {
                "tools": [
                    _FLAT,
                    {"type": "function", "name": "other", "parameters": None, "strict": False},
                ]
            },
            "gemini": {"tools": [_DECLARED, {"functionDeclarations": [{"name": "other"}]}]},
        },
    ),
    beside(
        TOOL,
        "one call at a time",
        messages={"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        chat={"parallel_tool_calls": False},
        responses={"parallel_tool_calls": False},
    ),
]


def _config(**fields: Json) -> JsonObject:
    return {"generationConfig": {**fields}}


def _stops(count: int) -> list[Json]:
    return [f"END{number}" for number in range(count)]


SAMPLING: Final = [
    knob(
        "token limit",
        messages={"max_tokens": 77},
        chat={"max_completion_tokens": 77},
        responses={"max_output_tokens": 77},
        gemini=_config(maxOutputTokens=77),
    ),
    knob(
        "temperature 0.5",
        messages={"temperature": 0.5},
        chat={"temperature": 0.5},
        responses={"temperature": 0.5},
        gemini=_config(temperature=0.5),
    ),
    knob(
        "temperature 1.5",
        chat={"temperature": 1.5},
        responses={"temperature": 1.5},
        gemini=_config(temperature=1.5),
    ),
    knob(
        "top-p",
        messages={"top_p": 0.97},
        chat={"top_p": 0.97},
        responses={"top_p": 0.97},
        gemini=_config(topP=0.97),
    ),
    knob("top-k", messages={"top_k": 5}, chat={"top_k": 5}, gemini=_config(topK=5)),
    knob(
        "frequency penalty",
        chat={"frequency_penalty": 0.5},
        gemini=_config(frequencyPenalty=0.5),
    ),
    knob(
        "presence penalty",
        chat={"presence_penalty": 0.5},
        gemini=_config(presencePenalty=0.5),
    ),
    knob("seed", chat={"seed": 7}, gemini=_config(seed=7)),
    knob("logit bias", chat={"logit_bias": {"5": 1}}),
    knob(
        "log probabilities",
        chat={"logprobs": True, "top_logprobs": 2},
        responses={"top_logprobs": 2, "include": ["message.output_text.logprobs"]},
        gemini=_config(responseLogprobs=True, logprobs=2),
    ),
    knob("several answers", chat={"n": 2}, gemini=_config(candidateCount=2)),
    *(
        knob(
            f"stop sequences, {count}",
            messages={"stop_sequences": _stops(count)},
            chat={"stop": _stops(count)},
            gemini=_config(stopSequences=_stops(count)),
        )
        for count in (1, 4, 5, 10)
    ),
]


def _thinks(level: str | None = None, **more: Json) -> JsonObject:
    config: JsonObject = {**more}
    if level is not None:
        config["thinkingLevel"] = level
    return _config(thinkingConfig=config)


_ROOM: Final = knob("room", messages={"max_tokens": 8000}, chat={}, responses={}, gemini={})

THINKING: Final = [
    knob(
        "thinking off",
        messages={"thinking": {"type": "disabled"}},
        chat={"reasoning_effort": "none"},
        responses={"reasoning": {"effort": "none"}},
        gemini=_thinks(thinkingBudget=0),
    ),
    *(
        beside(
            _ROOM,
            f"thinking, effort {effort}",
            messages={"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}},
            chat={"reasoning_effort": effort},
            responses={"reasoning": {"effort": effort}},
            gemini=_thinks(effort.upper()),
        )
        for effort in ("low", "high")
    ),
    beside(
        _ROOM,
        "thinking, budget",
        messages={"thinking": {"type": "enabled", "budget_tokens": 2000}},
        gemini=_thinks(thinkingBudget=2000),
    ),
    beside(
        knob("low", responses={"reasoning": {"effort": "low"}}, gemini=_thinks("LOW")),
        "thoughts shown",
        responses={"reasoning": {"effort": "low", "summary": "auto"}},
        gemini=_thinks("LOW", includeThoughts=True),
    ),
]

OUTPUT: Final = [
    knob(
        "JSON",
        chat={"response_format": {"type": "json_object"}},
        responses={"text": {"format": {"type": "json_object"}}},
        gemini=_config(responseMimeType="application/json"),
    ),
    knob(
        "JSON by a schema",
        messages={"output_config": {"format": {"type": "json_schema", "schema": _SCHEMA}}},
        chat={
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "place", "schema": _SCHEMA, "strict": True},
            }
        },
        responses={
            "text": {
                "format": {
                    "type": "json_schema",
                    "name": "place",
                    "schema": _SCHEMA,
                    "strict": True,
                }
            }
        },
        gemini=_config(responseMimeType="application/json", responseJsonSchema=_SCHEMA),
    ),
    knob("verbosity", chat={"verbosity": "low"}, responses={"text": {"verbosity": "low"}}),
    knob(
        "spoken answer",
        chat={"modalities": ["text", "audio"], "audio": {"voice": "ash", "format": "wav"}},
        gemini=_config(responseModalities=["AUDIO"]),
    ),
]

REST: Final = [
    knob(
        "user's id",
        messages={"metadata": {"user_id": f"{MARK} u1"}},
        chat={"safety_identifier": f"{MARK} u1"},
        responses={"safety_identifier": f"{MARK} u1"},
    ),
    knob("metadata", chat={"metadata": {"a": "b"}}, responses={"metadata": {"a": "b"}}),
    knob(
        "service tier",
        messages={"service_tier": "standard_only"},
        chat={"service_tier": "flex"},
        responses={"service_tier": "flex"},
        gemini={"serviceTier": "flex"},
    ),
    knob("cache key", chat={"prompt_cache_key": MARK}, responses={"prompt_cache_key": MARK}),
    knob("stored answer", chat={"store": True}, responses={"store": True}, gemini={"store": True}),
    knob("background", responses={"background": True}),
    knob("truncation", responses={"truncation": "auto"}),
    knob(
        "stored prompt",
        responses={"prompt": {"id": "pmpt_1"}},
        gemini={"cachedContent": "cachedContents/1"},
    ),
    knob(
        "safety settings",
        gemini={
            "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
        },
    ),
    knob(
        "MCP servers",
        messages={"mcp_servers": [{"type": "url", "url": "https://x.test"}]},
        responses={"tools": [{"type": "mcp", "server_label": MARK}]},
    ),
    knob(
        "unknown field",
        messages={"hologram": True},
        chat={"hologram": True},
        responses={"hologram": True},
        gemini={"hologram": True},
    ),
]

KNOBS: Final = [*TOOLS, *SAMPLING, *THINKING, *OUTPUT, *REST]
