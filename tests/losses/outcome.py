"""What becomes of a feature on its way to a provider, found by sending it there."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson

from dialects.base import Dialect
from dialects.fields import dumps
from models.errors import BadRequest
from models.exchange import ProxyRequest
from models.json_types import JsonObject
from providers import BUILTIN
from providers.base import Route
from services.plan import Plan, make_plan
from tests.losses.feature import MARK, MARK_BASE64, Feature


class Fate(StrEnum):
    """What can become of a feature."""

    RAW = "raw"
    """The provider speaks the client's format: what the client wrote passes."""
    CARRIED = "carried"
    CHANGED = "changed"
    """Something of it arrives, and what was changed is named."""
    EMULATED = "by us"
    """The gateway does to the answer what the provider does not."""
    SHARED = "partly by us"
    DROPPED = "dropped"
    REFUSED = "refused"
    NEEDLESS = "needless"
    """It would change nothing there."""
    VANISHED = "vanished"
    """Nothing arrives and nobody is told: this must not be."""


@dataclass(frozen=True, slots=True)
class Needless:
    """A feature that may come to nothing without a word."""

    why: str
    formats: Container[str]
    """Of providers where it is so."""


NEEDLESS: Final = {
    "cache marks": Needless("these providers cache by themselves", ("chat", "responses", "gemini")),
    "thinking off": Needless("the model does not think unasked", ("chat", "responses", "gemini")),
    "thinking, unsigned": Needless("the service has no use for it", ("gemini",)),
    "thoughts shown": Needless("thoughts come anyway", ("chat", "gemini")),
    "stored answer": Needless(
        "the gateway keeps what a Responses client wants kept",
        ("messages", "chat", "gemini"),
    ),
    "tool choice: auto": Needless("it is what happens anyway", ("chat", "gemini")),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A cell of the table."""

    fate: Fate
    named: tuple[str, ...] = ()
    """What the client is told of, in its own spelling."""


@dataclass(frozen=True, slots=True)
class Target:
    """A provider and the model that stands for its kind."""

    title: str
    provider_id: str
    model: str

    @property
    def route(self) -> Route:
        provider = next(one for one in BUILTIN if one.id == self.provider_id)
        return Route(provider, self.model)


_TARGETS: Final = (
    Target("OpenAI", "openai", "gpt-4.1"),
    Target("OpenAI, reasoning", "openai", "gpt-5.2"),
    Target("Anthropic", "anthropic", "claude-opus-4-6"),
    Target("Gemini", "gemini", "gemini-3-pro-preview"),
    Target("Antigravity", "antigravity", "gemini-3-pro-preview"),
    Target("Antigravity, Claude", "antigravity", "claude-sonnet-4-5-thinking"),
    Target("GLM", "glm", "glm-4.6v"),
)
TARGETS: Final = [
    target for target in _TARGETS if any(one.id == target.provider_id for one in BUILTIN)
]


def planned(client: Dialect, target: Target, body: JsonObject, *, strict: bool = False) -> Plan:
    """Plan a request as the gateway would. Raises BadRequest."""
    request = ProxyRequest(
        id="r" * 29,
        client_request_id=None,
        dialect=client.name,
        model=target.model,
        stream=body.get("stream") is True,
        body=dumps(body),
        payload=body,
        headers={},
        key_id="k",
        received_at=1_750_000_000.0,
        started=0.0,
        strict=strict,
    )
    client.inspect(request.body, body, {"model": target.model, "method": "generateContent"})
    return make_plan(request, client, target.route, wants_usage=True)


def outcome(feature: Feature, client: Dialect, target: Target) -> Outcome:
    """Send the same request with and without the feature, and see the difference."""
    try:
        plan = planned(client, target, feature.body(client.name))
    except BadRequest:
        return Outcome(Fate.REFUSED)
    plain = planned(client, target, feature.without(client.name))
    if plan.mode == "raw" and plan.offer.adapt is None:
        return Outcome(Fate.RAW)
    named = tuple(name for name in plan.dropped if name not in plain.dropped)
    arrived = _arrived(plan) != _arrived(plain)
    is_whole = all(mark in plan.body.decode() for mark in _marks(feature, client))
    if plan.stops != plain.stops:
        return Outcome(Fate.SHARED if arrived else Fate.EMULATED, named)
    if named:
        return Outcome(Fate.CHANGED if arrived else Fate.DROPPED, named)
    if arrived and is_whole:
        return Outcome(Fate.CARRIED)
    needless = NEEDLESS.get(feature.name)
    is_idle = needless is not None and plan.upstream.name in needless.formats and not arrived
    return Outcome(Fate.NEEDLESS if is_idle else Fate.VANISHED)


def _arrived(plan: Plan) -> JsonObject:
    payload: JsonObject = orjson.loads(plan.body)
    return payload


def _marks(feature: Feature, client: Dialect) -> Sequence[str]:
    """Return the words that the feature adds to the request."""
    said = dumps(feature.said[client.name]).decode()
    return [mark for mark in (MARK, MARK_BASE64) if mark in said]
