"""Providers as operators have them: built-in ones changed, and their own."""

from dataclasses import replace
from typing import Final

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.foreign import IN_MESSAGES, IN_RESPONSES
from dialects.openai_chat import CHAT
from dialects.openai_completions import COMPLETIONS
from dialects.openai_embeddings import EMBEDDINGS
from dialects.openai_responses import RESPONSES
from models.errors import BadRequest
from models.profile import Profile, ProfileOf
from models.provider import StoredProvider
from providers import anthropic, failures, glm, openai, signing
from providers.base import Offer, Provider

# Chat servers are left alone: one may be Google's own, whose calls are signed in this way.
_FOREIGN: Final = {MESSAGES.name: IN_MESSAGES, RESPONSES.name: IN_RESPONSES}
_KEPT_REASONING: Final = ("kimi", "moonshot")
"""Families that want the assistant's `reasoning_content` back in a tool loop."""


def operator_provider(stored: StoredProvider) -> Provider:
    """Return an operator's own provider, which speaks one of the formats below.

    Raises BadRequest for an unknown format or a missing address.
    """
    if not stored.base_url:
        raise BadRequest(f"provider {stored.id}: base_url is missing", path="base_url")
    dialect, profile = _spoken(stored)
    is_messages = dialect is MESSAGES
    offer = Offer(
        dialect,
        _trimmed(stored.base_url),
        signing.anthropic if is_messages else signing.bearer,
        profile,
        fixed_headers={"anthropic-version": anthropic.API_VERSION} if is_messages else {},
        foreign=_FOREIGN.get(dialect.name),
    )
    return Provider(
        id=stored.id,
        name=stored.name,
        # Whether a server that resembles Anthropic's counts tokens is not known: few do.
        offers=offer.spoken() if is_messages else offer.spoken(COMPLETIONS, EMBEDDINGS),
        diagnose=failures.diagnose,
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


def messages_profile(model: str) -> Profile:
    """Return the facts about a model behind a server that speaks Messages."""
    if "claude" in model.lower():
        return anthropic.profile(model)
    return Profile(model, thinking="manual", structured_output=False)


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


def responses_profile(model: str) -> Profile:
    """Return the facts about a model behind a server that speaks Responses.

    Who has this format has it from OpenAI, efforts included.
    """
    name = model.lower().rpartition("/")[2]
    if openai.knows(name):
        return replace(openai.profile(name), model=model)
    return Profile(model, efforts=("low", "medium", "high"), max_stops=0)


_SPOKEN: Final[tuple[tuple[Dialect, ProfileOf], ...]] = (
    (MESSAGES, messages_profile),
    (CHAT, chat_profile),
    (RESPONSES, responses_profile),
)
"""What an operator's own provider may speak."""


def _spoken(stored: StoredProvider) -> tuple[Dialect, ProfileOf]:
    for dialect, profile in _SPOKEN:
        if stored.dialect == dialect.name:
            return dialect, profile
    known = ", ".join(dialect.name for dialect, _ in _SPOKEN)
    raise BadRequest(f"provider {stored.id}: dialect must be one of {known}", path="dialect")


def _trimmed(base_url: str) -> str:
    """Return the address without slashes at its end: paths are appended to it."""
    return base_url.rstrip("/")
