"""A request and an answer, in no vendor's terms."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from models.content import Message, Part, Text
from models.json_types import JsonObject
from models.record import record
from models.usage import NO_USAGE, Usage


@record(frozen=True, slots=True)
class Tool:
    """A function the client runs, or (`raw` set) a vendor's own tool that only it knows."""

    name: str
    description: str | None = None
    schema: JsonObject | None = None
    strict: bool | None = None
    cache: JsonObject | None = None
    raw: JsonObject | None = None
    """A tool that is not a plain function (custom, server or dated tools), as it came."""
    dialect: str | None = None
    """Dialect of `raw`, or of `extras`."""
    extras: JsonObject = field(default_factory=dict)
    custom: JsonObject | None = None
    """Set for a tool that takes free text (OpenAI's `custom`): its `format`, `{}` for plain text.
    `schema` then wraps the text as `{"input": string}`, so that every vendor can carry it, and
    the arguments of its calls are always that object; OpenAI's dialects unwrap it."""
    namespace: str | None = None
    """Responses: the namespace it was declared in. `name` is unique over all namespaces."""
    local_name: str | None = None
    """Its name inside the namespace, where `name` had to differ."""
    optional: bool = False
    """A `raw` tool that its client always sends: where nobody knows it, it may be left out."""


@record(frozen=True, slots=True)
class ToolChoice:
    """Which tools the model may or must call."""

    mode: Literal["auto", "none", "required", "one", "subset"]
    names: tuple[str, ...] = ()
    """The one name, or the names of the subset."""
    subset_required: bool = False


@record(frozen=True, slots=True)
class Sampling:
    """Knobs of the sampler; None means absent, 0 and False are values."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    logit_bias: JsonObject | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


NO_SAMPLING: Final = Sampling()
"""Of a request that says nothing of it, as most do: whoever reads one gives this very object, so
that whoever writes it need not look at every knob."""


ThinkingMode: TypeAlias = Literal["default", "off", "auto", "budget", "effort", "between_tools"]
Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


@record(frozen=True, slots=True)
class Thinking:
    """How much the model shall think, and whether the client wants to see it."""

    mode: ThinkingMode = "default"
    budget_tokens: int | None = None
    effort: Effort | None = None
    """Set for mode `effort`; Anthropic may give it beside any other mode."""
    display: str | None = None
    """Anthropic's `display` value."""
    shown: bool | None = None
    """Whether the client wants to see thoughts (Gemini's `includeThoughts`, Responses' `summary`);
    None when it did not say."""


NO_THINKING: Final = Thinking()
"""Of a request that says nothing of it."""


@record(frozen=True, slots=True)
class OutputFormat:
    """The shape of the answer's text."""

    kind: Literal["text", "json_object", "json_schema"] = "text"
    name: str | None = None
    description: str | None = None
    schema: JsonObject | None = None
    strict: bool | None = None


TEXT_OUTPUT: Final = OutputFormat()
"""Of a request that says nothing of it."""


@record(frozen=True, slots=True)
class ChatRequest:
    """What a client asks for."""

    model: str
    stream: bool
    messages: tuple[Message, ...]
    system: tuple[Text, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    sampling: Sampling = NO_SAMPLING
    thinking: Thinking = NO_THINKING
    output: OutputFormat = TEXT_OUTPUT
    user_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    service_tier: str | None = None
    verbosity: str | None = None
    cache_key: str | None = None
    include_usage: bool = True
    """Chat only: whether the client asked for the usage chunk of a stream."""
    legacy_functions: bool = False
    """Chat only: the request used `functions`, so the answer uses `function_call`."""
    extras: Mapping[str, JsonObject] = field(default_factory=dict)
    """Fields that only one dialect knows, keyed by dialect name."""
    echo: JsonObject = field(default_factory=dict)
    """Responses only: fields that its answers repeat, as the client wrote them."""


class FinishReason(StrEnum):
    """Why the model stopped."""

    STOP = "stop"
    STOP_SEQUENCE = "stop_sequence"
    LENGTH = "length"
    CONTEXT_LENGTH = "context_length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    PAUSE = "pause"
    MALFORMED = "malformed"
    OTHER = "other"


@record(frozen=True, slots=True)
class ChatResponse:
    """A whole answer."""

    id: str
    model: str
    created: int
    """Epoch seconds; 0 when the upstream does not say."""
    parts: tuple[Part, ...]
    finish: FinishReason
    stop_sequence: str | None = None
    usage: Usage = NO_USAGE
    extras: Mapping[str, JsonObject] = field(default_factory=dict)
