"""Requests of every client's format, as every built-in provider would get them."""

from dataclasses import dataclass, replace
from typing import Final

import orjson

from dialects.base import Dialect
from dialects.fields import dumps
from dialects.gemini import GEMINI
from dialects.openai_chat import CHAT
from dialects.openai_responses import RESPONSES
from models.exchange import ProxyRequest
from models.json_types import Json, JsonObject
from providers import anthropic, antigravity, gemini, glm, openai
from providers.base import Provider, Route
from services.plan import make_plan
from tests.losses.feature import BASE

CODE_ASSIST: Final = "code assist "
"""Stands before names of models that Code Assist serves."""
ADAPTIVE: Final = "claude-opus-4-8"
MANUAL: Final = "claude-sonnet-4-5"
GUEST: Final = CODE_ASSIST + "claude-sonnet-4-6-thinking"
GPT: Final = "gpt-4o"
REASONING: Final = "gpt-5"
LEVELS: Final = "gemini-3-pro-preview"
BUDGETS: Final = "gemini-2.5-flash"
GLM: Final = "glm-4.6"


def _only(provider: Provider, dialect: Dialect) -> Provider:
    return replace(provider, offers=tuple(one for one in provider.offers if one.dialect is dialect))


@dataclass(frozen=True, slots=True)
class Sent:
    """What a provider gets (without Code Assist's envelope), and what its client is told."""

    payload: JsonObject
    dropped: tuple[str, ...]
    stops: tuple[str, ...]


def sent(client: Dialect, model: str, fields: JsonObject) -> Sent:
    """Send a small request with some fields; raises what the client would be told.

    OpenAI is spoken to in the format that the client does not speak.
    """
    name = model.removeprefix(CODE_ASSIST)
    body: JsonObject = {**BASE[client.name], "model": name, **fields}
    request = ProxyRequest(
        id="r" * 29,
        client_request_id=None,
        dialect=client.name,
        model=name,
        stream=False,
        body=dumps(body),
        payload=body,
        headers={},
        key_id="k",
        received_at=1_750_000_000.0,
        started=0.0,
    )
    plan = make_plan(request, client, Route(_provider(client, model), name), wants_usage=True)
    payload: JsonObject = orjson.loads(plan.body)
    return Sent(payload, plan.dropped, plan.stops)


def _provider(client: Dialect, model: str) -> Provider:
    match model:
        case _ if model.startswith(CODE_ASSIST):
            return antigravity.PROVIDER
        case _ if model.startswith("claude"):
            return anthropic.PROVIDER
        case _ if model.startswith("gemini"):
            return gemini.PROVIDER
        case _ if model.startswith("glm"):
            return _only(glm.PROVIDER, CHAT)
        case _:
            return _only(openai.PROVIDER, RESPONSES if client in (CHAT, GEMINI) else CHAT)


def part(payload: JsonObject, path: str) -> Json:
    """Return what stands at a dotted path, None for nothing."""
    found: Json = payload
    for key in path.split("."):
        if isinstance(found, list):
            found = found[int(key)] if int(key) < len(found) else None
        else:
            found = found.get(key) if isinstance(found, dict) else None
    return found
