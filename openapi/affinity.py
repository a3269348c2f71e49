"""Bodies of `/api/v1/affinity`: which account each conversation lives with."""

from datetime import datetime
from typing import Self

from pydantic import model_validator

from openapi.common import Listing, PageQuery
from openapi.fields import Answer, Body, Id, QueryText


class BindingQuery(PageQuery):
    """Which conversations to list, those of the last turns first."""

    account_id: Id | None = None
    key_id: QueryText | None = None


class BindingAnswer(Answer):
    """A conversation and its account, as the process knows it that answers."""

    session: str
    """Hash of what the conversation is known by, of the client's key, the provider and the model
    family; for each of these it is another one."""
    account_id: str
    """Where it lives."""
    lender_id: str | None
    """The account that serves while that one cannot."""
    provider_id: str
    family: str
    """The model family, or the model where there are none."""
    key_id: str
    cached_tokens: int | None
    """What the cache held after the last turn. Null: this process saw none."""
    bound_at: datetime
    seen_at: datetime
    """The last turn that this process saw."""


class BindingList(Listing[BindingAnswer]):
    """A page of conversations."""


class BindingMove(Body):
    """Where a conversation shall live."""

    account_id: Id


class BindingPurge(Body):
    """Which conversations shall forget their account: one, or all of an account or a client key."""

    session: Id | None = None
    account_id: Id | None = None
    key_id: QueryText | None = None

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if sum(value is not None for value in (self.session, self.account_id, self.key_id)) != 1:
            raise ValueError("name one of session, account_id and key_id")
        return self
