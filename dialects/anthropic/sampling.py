"""Knobs of the sampler in the Messages format, read and written."""

from typing import Final

from dialects import fields
from dialects.anthropic.write_content import Outgoing
from models.chat import Sampling
from models.errors import Unrepresentable
from models.json_types import JsonObject
from models.profile import Profile

_MIN_TOP_P_THINKING: Final = 0.95
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
    return Sampling(
        temperature=fields.optional_number(payload, "temperature"),
        top_p=fields.optional_number(payload, "top_p"),
        top_k=fields.optional_integer(payload, "top_k"),
    )


def write_sampling(
    sampling: Sampling, profile: Profile, is_thinking: bool, out: Outgoing
) -> JsonObject:
    """Return the knobs that the model takes; the others are named as dropped."""
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
    return _accepted(sampling, is_thinking, out)


def _accepted(sampling: Sampling, is_thinking: bool, out: Outgoing) -> JsonObject:
    payload: JsonObject = {}
    temperature, top_p, top_k = sampling.temperature, sampling.top_p, sampling.top_k
    if temperature is not None:
        fitting = min(max(temperature, 0), 1)
        if fitting != temperature or (is_thinking and fitting != 1):
            out.dropped.append("temperature")
        if not is_thinking or fitting == 1:
            payload["temperature"] = fitting
    if top_p is not None:
        # Models from 4.5 on refuse both together; temperature is the one people mean.
        if "temperature" in payload or (is_thinking and top_p < _MIN_TOP_P_THINKING):
            out.dropped.append("top_p")
        else:
            payload["top_p"] = top_p
    if top_k is not None:
        if is_thinking:
            out.dropped.append("top_k")
        else:
            payload["top_k"] = top_k
    return payload
