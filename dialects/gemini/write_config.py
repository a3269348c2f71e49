"""`generationConfig` of the Gemini format, written for a model."""

from typing import Final

from dialects.anthropic.sampling import fitted
from dialects.efforts import BUDGETS, asked_effort, budget_for, clamp
from dialects.fields import dumps
from dialects.gemini.constants import CLAUDE
from dialects.gemini.outgoing import Outgoing
from dialects.gemini.write_schema import cleaned, openapi_output
from models.chat import (
    NO_SAMPLING,
    NO_THINKING,
    ChatRequest,
    Effort,
    OutputFormat,
    Sampling,
    Thinking,
)
from models.errors import Unrepresentable
from models.json_types import JsonObject
from models.profile import Profile

_MAX_STOPS: Final = 5
_JSON: Final = "application/json"
_ONLY_SCHEMA: Final = (
    "Answer with a single JSON value only: no prose around it, no code fences. "
    "It must match this JSON Schema:\n"
)
_ONLY_JSON: Final = "Answer with a single JSON object only: no prose around it, no code fences."
_NAMES: Final = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "seed": "seed",
}
_RARE: Final = ("frequency_penalty", "presence_penalty", "seed")


def write_limits(request: ChatRequest, out: Outgoing, *, is_thinking: bool) -> JsonObject:
    """Return the longest answer, stop sequences and the knobs of the sampler."""
    sampling = request.sampling
    if out.profile.vendor == CLAUDE:
        sampling = fitted(sampling, is_thinking, out.dropped)
    config = _written_sampling(sampling, out)
    limit, cap = request.max_tokens, out.profile.max_output_tokens
    if limit is not None and cap is not None and limit > cap:
        limit = cap
        out.dropped.append("max_tokens")
    if limit is not None:
        config["maxOutputTokens"] = limit
    native, _ = split_stops(request.stop, out.profile)
    if native:
        config["stopSequences"] = [*native]
    return config


def split_stops(
    stops: tuple[str, ...], profile: Profile
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the stops that go to the model and those that the gateway applies itself."""
    if not stops:
        return (), ()
    wanted = tuple(dict.fromkeys(stop for stop in stops if stop))
    count = _MAX_STOPS if profile.max_stops is None else profile.max_stops
    return wanted[:count], wanted[count:]


def _written_sampling(sampling: Sampling, out: Outgoing) -> JsonObject:
    if sampling is NO_SAMPLING:
        return {}
    if sampling.n is not None and sampling.n != 1:
        raise Unrepresentable("n: only one answer at a time can be translated", path="n")
    config: JsonObject = {}
    for name, field in _NAMES.items():
        value = getattr(sampling, name)
        is_refused = not (out.profile.rare_sampling if name in _RARE else out.profile.sampling)
        if value is None:
            continue
        if is_refused or (name == "seed" and not -(2**31) <= value < 2**31):
            out.dropped.append(name)
        else:
            config[field] = value
    for name in ("logit_bias", "logprobs", "top_logprobs"):
        if getattr(sampling, name):
            out.dropped.append(name)
    return config


# --- the answer's shape -----------------------------------------------------------------------


def write_output(
    output: OutputFormat, out: Outgoing, *, has_tools: bool
) -> tuple[JsonObject, str | None]:
    """Return its fields, and what the system text must say where those cannot say it."""
    profile = out.profile
    if output.kind == "text":
        return {}, None
    if not profile.structured_output or (has_tools and not profile.output_with_tools):
        out.dropped.append("response_format")
        schema = output.schema
        return {}, _ONLY_JSON if schema is None else _ONLY_SCHEMA + dumps(schema).decode()
    if output.schema is None:
        return {"responseMimeType": _JSON}, None
    if profile.tool_schema == "json":
        return {"responseMimeType": _JSON, "responseJsonSchema": cleaned(output.schema)}, None
    return {"responseMimeType": _JSON, "responseSchema": openapi_output(output.schema)}, None


# --- thinking ---------------------------------------------------------------------------------


def write_thinking(thinking: Thinking, out: Outgoing, max_tokens: int | None) -> JsonObject | None:
    """Return `thinkingConfig`, None to leave it to the model."""
    if thinking is NO_THINKING:
        return None
    profile, effort = out.profile, asked_effort(thinking)
    is_asked = thinking.mode != "default" or effort is not None
    if not profile.reasoning or profile.thinking == "none":
        if (is_asked and effort != "none") or thinking.shown:
            out.dropped.append("thinking")
        return None
    if thinking.mode == "between_tools":
        out.dropped.append("thinking")
        is_asked = False
    config: JsonObject = {"includeThoughts": True} if _wants_thoughts(thinking, effort) else {}
    if is_asked and profile.thinking == "level":
        config.update(_level(effort, out))
    elif is_asked:
        budget = _budget(thinking, effort, out, max_tokens)
        if budget is None:
            return None
        config["thinkingBudget"] = budget
    return config or None


def _wants_thoughts(thinking: Thinking, effort: Effort | None) -> bool:
    """Say whether thoughts are worth sending: who asks for thinking sees it unless told not."""
    if effort == "none":
        return False
    if thinking.shown is not None:
        return thinking.shown
    return (thinking.mode != "default" or effort is not None) and thinking.display != "omitted"


def _level(effort: Effort | None, out: Outgoing) -> JsonObject:
    if effort is None:
        return {}
    if effort == "none":  # these models always think, some of them a little
        out.dropped.append("thinking")
    level = clamp("minimal" if effort == "none" else effort, out.profile.efforts)
    return {"thinkingLevel": level.upper()} if level is not None else {}


def _budget(
    thinking: Thinking, effort: Effort | None, out: Outgoing, max_tokens: int | None
) -> int | None:
    """Return the tokens to think with; None to say nothing."""
    least, most = out.profile.thinking_budgets or (0, BUDGETS["high"])
    if effort == "none":
        if not out.profile.can_disable_thinking:
            out.dropped.append("thinking")
            return least
        return None if out.profile.signed_thoughts else 0
    budget = thinking.budget_tokens if thinking.mode == "budget" else None
    if budget is None or budget < 0:
        if effort is None and not out.profile.signed_thoughts:
            return -1
        budget = budget_for(effort or "medium")
    budget = min(max(budget, least), most)
    if not out.profile.signed_thoughts or max_tokens is None or budget < max_tokens:
        return budget
    if max_tokens > least:  # Claude's budget is a part of the whole
        return max_tokens - 1
    out.dropped.append("thinking")
    return None
