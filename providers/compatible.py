"""Providers as operators have them: built-in ones changed, and their own."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from dialects.anthropic import MESSAGES
from dialects.foreign import IN_GEMINI, IN_MESSAGES, IN_RESPONSES
from dialects.gemini import GEMINI, GEMINI_COUNT
from dialects.openai_chat import CHAT
from dialects.openai_completions import COMPLETIONS
from dialects.openai_embeddings import EMBEDDINGS
from dialects.openai_responses import RESPONSES
from models.account import Strategy
from models.errors import BadRequest
from models.profile import Profile, remembered
from models.provider import StoredProvider
from providers import (
    BUILTIN,
    anthropic,
    gemini,
    gemini_profile,
    glm,
    openai,
    signing,
)
from providers.base import Offer, Provider

_KEPT_REASONING: Final = ("kimi", "moonshot")
"""Families that want the assistant's `reasoning_content` back in a tool loop."""


_BUILTIN: Final = {provider.id: provider for provider in BUILTIN}


def provider_of(stored: StoredProvider) -> Provider:
    """Return the provider that a row stands for: a built-in one as it was changed, or the
    operator's own. Raises BadRequest for one of these that cannot be."""
    known = _BUILTIN.get(stored.id)
    provider = operator_provider(stored) if known is None else configured(known, stored)
    return replace(provider, strategy=_strategy(stored.strategy))


def operator_provider(stored: StoredProvider) -> Provider:
    """Return an operator's own provider, which speaks one of the formats below.

    Raises BadRequest for an unknown format or a missing address.
    """
    if not stored.base_url:
        raise BadRequest(f"provider {stored.id}: base_url is missing", path="base_url")
    base_url = _trimmed(stored.base_url)
    offers = _spoken(stored)
    like = _LIKE[stored.dialect]
    return Provider(
        id=stored.id,
        name=stored.name,
        offers=tuple(replace(offer, base_url=base_url) for offer in offers),
        diagnose=like.diagnose,
        family_of=like.family_of,
        read_quota=like.read_quota,
        prefixes=stored.prefixes or (),
    )


def configured(provider: Provider, stored: StoredProvider) -> Provider:
    """Return a built-in provider with what the operator changed."""
    if stored.prefixes is not None:
        provider = replace(provider, prefixes=stored.prefixes)
    if not stored.base_url:
        return provider
    base_url = _trimmed(stored.base_url)
    if provider.id == glm.PROVIDER.id:
        return glm.at_base_url(provider, base_url)
    offers = [replace(offer, base_url=base_url, mirrors=()) for offer in provider.offers]
    return replace(provider, offers=tuple(offers))


@remembered
def messages_profile(model: str) -> Profile:
    """Return the facts about a model behind a server that speaks Messages."""
    if "claude" in model.lower():
        return anthropic.profile(model)
    return Profile(model, thinking="manual", structured_output=False)


@remembered
def chat_profile(model: str) -> Profile:
    """Return the facts about a model behind a server that speaks Chat.

    Most of these servers know only `max_tokens`; for OpenAI's own models, wherever they are
    served, OpenAI's rules hold.
    """
    name = model.lower().rpartition("/")[2]
    if openai.knows(name):
        return replace(openai.profile(name), model=model)
    if name.startswith("glm-"):
        return replace(glm.profile(name), model=model)
    return Profile(
        model,
        # Google's own server of this format wants the signatures of its calls back.
        vendor="gemini" if name.startswith("gemini-") else "",
        legacy_max_tokens=True,
        reasoning_content=name.startswith(_KEPT_REASONING),
    )


@remembered
def responses_profile(model: str) -> Profile:
    """Return the facts about a model behind a server that speaks Responses.

    Who has this format has it from OpenAI, efforts included.
    """
    name = model.lower().rpartition("/")[2]
    if openai.knows(name):
        return replace(openai.profile(name), model=model)
    return Profile(model, efforts=("low", "medium", "high"), max_stops=0)


_SPOKEN: Final[tuple[tuple[Offer, ...], ...]] = (
    # Whether a server that resembles Anthropic's counts tokens is not known: few do.
    Offer(
        MESSAGES,
        "",
        signing.anthropic,
        messages_profile,
        fixed_headers={"anthropic-version": anthropic.API_VERSION},
        foreign=IN_MESSAGES,
    ).spoken(),
    # Nothing foreign in Chat: the server may be Google's own, whose calls are signed in this way.
    Offer(CHAT, "", signing.bearer, chat_profile).spoken(COMPLETIONS, EMBEDDINGS),
    # Legacy completions are translated: the server's own, if any, are not known to be there.
    # Embeddings could not be had in any other way.
    Offer(RESPONSES, "", signing.bearer, responses_profile, foreign=IN_RESPONSES).spoken(
        EMBEDDINGS
    ),
    Offer(GEMINI, "", signing.google, gemini_profile.profile, foreign=IN_GEMINI).spoken(
        GEMINI_COUNT
    ),
)
"""What an operator's own provider may speak; its address is not known yet."""


_LIKE: Final[Mapping[str, Provider]] = {
    MESSAGES.name: anthropic.PROVIDER,
    CHAT.name: openai.PROVIDER,
    RESPONSES.name: openai.PROVIDER,
    GEMINI.name: gemini.PROVIDER,
}
"""Whose failures and limits those of a server resemble that speaks a format."""


def _spoken(stored: StoredProvider) -> tuple[Offer, ...]:
    for offers in _SPOKEN:
        if stored.dialect == offers[0].dialect.name:
            return offers
    known = ", ".join(offers[0].dialect.name for offers in _SPOKEN)
    raise BadRequest(f"provider {stored.id}: dialect must be one of {known}", path="dialect")


def _strategy(name: str | None) -> Strategy | None:
    """Return the strategy of that name; None, as configured, for one of a newer version."""
    return Strategy(name) if name in set(Strategy) else None


def _trimmed(base_url: str) -> str:
    """Return the address without slashes at its end: paths are appended to it."""
    return base_url.rstrip("/")
