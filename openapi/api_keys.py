"""Bodies of `/api/v1/api-keys`. The key itself is shown once, when it is made."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from models.principal import ApiKey
from openapi.common import Listing
from openapi.fields import Answer, Body, Name, Patch, When, instant, moment


class KeyCreate(Body):
    """A new client key."""

    name: Name
    is_admin: bool = False
    """Whether it may use `/api/v1`."""
    expires_at: When | None = None
    """Null: it does not expire."""


class KeyReplace(Body):
    """The whole key anew, but for its secret; what is left out goes back to its default."""

    name: Name
    is_admin: bool = False
    is_active: bool = True
    expires_at: When | None = None


class KeyPatch(Patch):
    """Changes of a client key."""

    name: Name = ""
    is_admin: bool = False
    is_active: bool = True
    expires_at: When | None = None


class KeyAnswer(Answer):
    """A client key, without its secret."""

    id: str
    name: str
    hint: str
    """Last four characters of the key."""
    is_admin: bool
    is_active: bool
    expires_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, key: ApiKey) -> "KeyAnswer":
        """Show a key."""
        return cls(
            id=key.id,
            name=key.name,
            hint=key.hint,
            is_admin=key.is_admin,
            is_active=key.is_active,
            expires_at=moment(key.expires_at),
            created_at=instant(key.created_at),
        )


class NewKeyAnswer(KeyAnswer):
    """A client key just made, with its secret."""

    key: Annotated[str, Field(examples=["ak_..."])]
    """The key. It is shown this once; only a hash of it is kept."""

    @classmethod
    def made(cls, key: ApiKey, secret: str) -> "NewKeyAnswer":
        """Show a new key together with its secret."""
        return cls(**dict(KeyAnswer.of(key)), key=secret)


class KeyList(Listing[KeyAnswer]):
    """A page of client keys."""
