"""What `/api/v1/rests` takes and answers."""

from datetime import datetime
from typing import Literal

from models.rest import Rest
from openapi.common import Listing, PageQuery
from openapi.fields import Answer, Body, QueryText, Slug, instant


class RestQuery(PageQuery):
    """Which rests to list, by subject and scope."""

    subject: QueryText | None = None
    """An account, a proxy or an address of a provider."""
    provider_id: Slug | None = None
    """Those of this provider's accounts and addresses."""


class RestTarget(Body):
    """Which rests to end."""

    subject: QueryText
    scope: QueryText | None = None
    """Without it all of the subject's."""


class RestEntry(Answer):
    """Who rests, for what, until when and why."""

    subject: str
    """Account id, proxy id, or provider and address."""
    kind: Literal["account", "proxy", "provider"]
    provider_id: str | None
    label: str | None
    """Of the account or proxy; null where it has none."""
    scope: str
    """`*` for everything, a model, or `family:` and a family of models."""
    state: Literal["resting", "half_open", "needs_operator"]
    """`half_open`: one request at a time may try."""
    began_at: datetime
    opens_at: datetime | None
    """When the first may try; null when only an operator ends it."""
    until: datetime | None
    reason: str
    """Code of the error that led to it."""
    evidence: str
    """What the provider said."""
    strikes: int
    """How many rests in a row this is."""

    @classmethod
    def of(
        cls, rest: Rest, *, provider_id: str | None, label: str | None, now: float
    ) -> "RestEntry":
        """Show a rest."""
        is_open = rest.opens_at <= now
        state: Literal["resting", "half_open"] = "half_open" if is_open else "resting"
        return cls(
            subject=rest.subject,
            kind=rest.subject_kind,
            provider_id=provider_id,
            label=label,
            scope=rest.scope,
            state="needs_operator" if rest.needs_operator else state,
            began_at=instant(rest.began_at),
            opens_at=None if rest.needs_operator else instant(rest.opens_at),
            until=None if rest.needs_operator else instant(rest.until),
            reason=rest.reason.value,
            evidence=rest.evidence,
            strikes=rest.strikes,
        )


class RestList(Listing[RestEntry]):
    """A page of rests."""
