"""Requests on their way to a provider, exactly as the gateway would send them."""

from dataclasses import dataclass, replace
from typing import Final

import orjson

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.fields import dumps
from dialects.openai_chat import CHAT
from models.exchange import ProxyRequest
from models.json_types import Json, JsonObject
from providers import anthropic, glm, openai
from providers.base import Provider, Route
from services.plan import Plan, make_plan
from tests.dialects.official import fits_anthropic, fits_openai

ADAPTIVE: Final = "claude-opus-4-8"
HYBRID: Final = "claude-opus-4-6"
MANUAL: Final = "claude-sonnet-4-5"
OLD: Final = "claude-3-5-sonnet-20241022"
GPT: Final = "gpt-4o"
REASONING: Final = "gpt-5"
GLM: Final = "glm-4.6"
GLM_VISION: Final = "glm-4.6v"

HI: Final[JsonObject] = {"role": "user", "content": "Hi"}

GLM_CHAT: Final = replace(glm.PROVIDER, offers=glm.PROVIDER.offers[:1])
"""GLM without its Messages endpoint, where clients of that format would pass raw."""

_JUDGES: Final = {"anthropic": fits_anthropic, "openai": fits_openai}


@dataclass(frozen=True, slots=True)
class Sent:
    """What a provider gets, and what its client is told was lost."""

    payload: JsonObject
    dropped: tuple[str, ...]
    stops: tuple[str, ...]
    plan: Plan


def provider_of(model: str) -> Provider:
    """Return the provider that serves a model in these tests."""
    if model.startswith("claude"):
        return anthropic.PROVIDER
    return GLM_CHAT if model.startswith("glm") else openai.PROVIDER


def sent(client: Dialect, model: str, **fields: Json) -> Sent:
    """Send a small request with the given fields; raises what the client would be told.

    What Anthropic and OpenAI get is held to the types of their SDKs.
    """
    body: JsonObject = {"model": model, "messages": [HI], **fields}
    if client is MESSAGES:
        body.setdefault("max_tokens", 500)
    request = ProxyRequest(
        id="r" * 29,
        client_request_id=None,
        dialect=client.name,
        model=model,
        stream=body.get("stream") is True,
        body=dumps(body),
        payload=body,
        headers={},
        key_id="k",
        received_at=1_750_000_000.0,
        started=0.0,
    )
    plan = make_plan(request, client, Route(provider_of(model), model), wants_usage=True)
    payload: JsonObject = orjson.loads(plan.body)
    if judge := _JUDGES.get(plan.route.provider.id):
        judge(payload)
    return Sent(payload, plan.dropped, plan.stops, plan)


def from_messages(model: str, **fields: Json) -> Sent:
    return sent(MESSAGES, model, **fields)


def from_chat(model: str, **fields: Json) -> Sent:
    return sent(CHAT, model, **fields)
