"""Bodies of `/api/v1/providers`."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints

from models.account import Strategy
from models.provider import StoredProvider
from openapi.addresses import BaseUrl
from openapi.common import Listing
from openapi.fields import Answer, Body, Name, Patch, Slug, instant

DialectName: TypeAlias = Literal["messages", "chat", "responses", "gemini"]


def _prefix(text: str) -> str:
    if not all("!" <= char <= "~" for char in text):
        raise ValueError("must consist of visible ASCII characters, without spaces")
    return text.lower()


Prefix: TypeAlias = Annotated[
    str, StringConstraints(min_length=1, max_length=100), AfterValidator(_prefix)
]
Prefixes: TypeAlias = Annotated[list[Prefix], Field(max_length=100, examples=[["example-"]])]


class ProviderCreate(Body):
    """A provider of the operator's own."""

    id: Slug
    """Short name; `id/model` selects the provider directly."""
    name: Name
    dialect: DialectName
    """Format it speaks: Anthropic's Messages, OpenAI's Chat Completions or its Responses, or
    Google's Gemini."""
    base_url: BaseUrl
    """In the form that the official SDK takes: for OpenAI's formats with `/v1`, for the others
    without."""
    prefixes: Prefixes | None = None
    """Beginnings of model names that go to it; case does not count, the longest wins."""
    is_active: bool = True
    strategy: Strategy | None = None
    """How its next account is chosen among those of the best priority; null: as configured."""


class ProviderReplace(Body):
    """The whole provider anew; what is left out goes back to its default."""

    id: Slug | None = None
    """May be given; must be the provider's own."""
    name: Name
    dialect: DialectName
    base_url: BaseUrl | None = None
    """Null: the built-in address. An operator's own provider needs one."""
    prefixes: Prefixes | None = None
    """Null: as configured."""
    is_active: bool = True
    strategy: Strategy | None = None
    """Null: as configured."""


class ProviderPatch(Patch):
    """Changes of a provider."""

    name: Name = ""
    dialect: DialectName = "chat"
    """Cannot be changed for built-in providers."""
    base_url: BaseUrl | None = None
    """Null: the built-in address."""
    prefixes: Prefixes | None = None
    """Null: as configured."""
    is_active: bool = True
    strategy: Strategy | None = None
    """Null: as configured."""


class ProviderAnswer(Answer):
    """A provider."""

    id: str
    name: str
    dialect: str
    dialects: list[str]
    """Formats that it is spoken to in at its address; requests in others are translated."""
    base_url: str | None
    """Null: the built-in address."""
    prefixes: list[str] | None
    """Null: as configured."""
    is_builtin: bool
    is_active: bool
    strategy: str | None
    """How its next account is chosen; null: as configured."""
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, provider: StoredProvider, dialects: list[str]) -> "ProviderAnswer":
        """Show a provider."""
        prefixes = provider.prefixes
        return cls(
            id=provider.id,
            name=provider.name,
            dialect=provider.dialect,
            dialects=dialects,
            base_url=provider.base_url,
            prefixes=None if prefixes is None else list(prefixes),
            is_builtin=provider.is_builtin,
            is_active=provider.is_active,
            strategy=provider.strategy,
            created_at=instant(provider.created_at),
            updated_at=instant(provider.updated_at),
        )


class ProviderList(Listing[ProviderAnswer]):
    """A page of providers."""
