"""Knobs of the sampler in the Messages format, read and written."""

from typing import Final

from dialects import fields
from dialects.anthropic.write_content import Outgoing
from models.chat import NO_SAMPLING, Sampling
from models.errors import Unrepresentable
from models.json_types import JsonObject
from models.profile import Profile
from models.record import replace

_MIN_TOP_P_THINKING: Final = 0.95
_KNOWN: Final = frozenset({"temperature", "top_p", "top_k"})
_UNKNOWN: Final = (
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "logit_bias",
    "logprobs",
    "top_logprobs",
)


def read_sampling(payload: JsonObject) -> Sampling:
    """Read temperature, top_p and top_k."""
    if _KNOWN.isdisjoint(payload):
        return NO_SAMPLING
    return Sampling(
        temperature=fields.optional_number(payload, "temperature"),
        top_p=fields.optional_number(payload, "top_p"),
        top_k=fields.optional_integer(payload, "top_k"),
    )


def write_sampling(
    sampling: Sampling, profile: Profile, is_thinking: bool, out: Outgoing
) -> JsonObject:
    """Return the knobs that the model takes; the others are named as dropped."""
    if sampling is NO_SAMPLING:
        return {}
    if sampling.n is not None and sampling.n != 1:
        raise Unrepresentable("n: an Anthropic model gives one answer only", path="n")
    for name in _UNKNOWN:
        value = getattr(sampling, name)
        if value or (name == "seed" and value is not None):
            out.dropped.append(name)
    if not profile.sampling:
        given = ("temperature", "top_p", "top_k")
        out.dropped.extend(name for name in given if getattr(sampling, name) is not None)
        return {}
    fitting = fitted(sampling, is_thinking, out.dropped)
    knobs = {"temperature": fitting.temperature, "top_p": fitting.top_p, "top_k": fitting.top_k}
    return {name: value for name, value in knobs.items() if value is not None}


def fitted(sampling: Sampling, is_thinking: bool, dropped: list[str]) -> Sampling:
    """Return the knobs as Claude takes them, wherever it is served; what changed is `dropped`."""
    if sampling is NO_SAMPLING:
        return sampling
    temperature, top_p, top_k = sampling.temperature, sampling.top_p, sampling.top_k
    if temperature is not None:
        fitting = min(max(temperature, 0), 1)
        if fitting != temperature or (is_thinking and fitting != 1):
            dropped.append("temperature")
        temperature = None if is_thinking and fitting != 1 else fitting
    # Models from 4.5 on refuse both together; temperature is the one people mean.
    if top_p is not None and (
        temperature is not None or (is_thinking and top_p < _MIN_TOP_P_THINKING)
    ):
        dropped.append("top_p")
        top_p = None
    if top_k is not None and is_thinking:
        dropped.append("top_k")
        top_k = None
    return replace(sampling, temperature=temperature, top_p=top_p, top_k=top_k)
